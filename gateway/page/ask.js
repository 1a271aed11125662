// Requests beside the stream. A browser keeps six HTTP/1.1 connections to a host: with as many streams open, in tabs or
// frames, every other request waits in the browser, without an end and without an error.

/** A request without an answer for so long is looked into, by a smaller one. */
const LATE_MS = 2_000
/** The server answers the smaller one sooner, whatever it is busy with. */
const PROMPT_MS = 2_000
const PROBE_TIMEOUT_MS = 20_000

/** Over HTTP/2 and HTTP/3 requests do not wait for one another. */
export const sixAtMost = !/^h[23]/.test(performance.getEntriesByType('navigation')[0]?.nextHopProtocol)

let probing = false
let isCrowded = false
let tell = () => {}

/** Calls back when requests seem to wait for a connection, and when they do so no longer. */
export const onCrowded = told => (tell = told)
export const crowded = () => isCrowded

/** As `fetch`, for the client. */
export async function ask(url, init) {
  if (init.headers.accept) return fetch(url, init) // the stream itself
  const late = setTimeout(() => probe(url), LATE_MS)
  try {
    const response = await fetch(url, init)
    settle(false)
    return response
  } finally {
    clearTimeout(late)
  }
}

async function probe(url) {
  if (!sixAtMost || probing) return
  probing = true
  const late = setTimeout(() => settle(true), PROMPT_MS)
  try {
    await fetch(`${url.split('?')[0]}/stats`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
    settle(false)
  } catch {
    // Nothing is known.
  }
  clearTimeout(late)
  probing = false
}

function settle(is) {
  if (is !== isCrowded) tell((isCrowded = is))
}
