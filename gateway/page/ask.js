import { authorization, unauthorized } from './token.js'

// Requests beside the stream. A browser keeps six HTTP/1.1 connections to a host: with as many streams open, in tabs or
// frames, every other request waits in the browser, without an end and without an error.

/** A request that takes longer is looked into, by a smaller one. */
const LATE_MS = 3_000
/** The server answers the smaller one in less, whatever it is busy with. */
const PROMPT_MS = 3_000
const PROBE_TIMEOUT_MS = 30_000

/** Over HTTP/2 and HTTP/3 requests do not wait for one another. */
export const sixAtMost = !/^h[23]/.test(performance.getEntriesByType('navigation')[0]?.nextHopProtocol)

let probedAt = Infinity
let isCrowded = false
let tell = () => {}

/** Calls back when requests begin or cease to wait for a connection. */
export const onCrowded = told => (tell = told)
export const crowded = () => isCrowded

/** The stream has said something, so the server can be reached: what it leaves without an answer has not left. */
export function heard() {
  if (performance.now() - probedAt > PROMPT_MS) settle(true)
}

/** As `fetch`, with our token. `asked`: it was refused for want of one, and the framing site has been asked. */
export async function ask(url, init = {}) {
  const late = setTimeout(() => probe(url), LATE_MS)
  try {
    const response = await fetch(url, { ...init, headers: { ...init.headers, ...authorization() } })
    settle(false)
    response.asked = response.status === 401 && unauthorized()
    return response
  } finally {
    clearTimeout(late)
  }
}

async function probe(url) {
  if (!sixAtMost || probedAt !== Infinity) return
  probedAt = performance.now()
  try {
    await fetch(`${url.split('?')[0]}/stats`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
    settle(false)
  } catch {
    // Nothing is known.
  }
  probedAt = Infinity
}

function settle(is) {
  if (is === isCrowded) return
  isCrowded = is
  tell(is)
}
