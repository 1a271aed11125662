import { connect } from 'node:net'
import { setImmediate as turn } from 'node:timers/promises'
import { must } from './target.js'

/** A case that has not ended by then hangs. */
const HANG_MS = 15_000
/** The library says 505 to what is no HTTP/1.1 at all; every other 5xx says that something here is broken. */
const NOT_HTTP = 505
const STATUS_LINE = /^HTTP\/1\.1 (\d{3}) /gm
/** What we and the library send; a header of another name was put there by the request. */
const HEADER = /^(?:HTTP\/1\.1 \d{3} .*|(?:access-control-[a-z-]+|vary|allow|date|uwebsockets|content-[a-z-]+|cache-control|connection|retry-after|etag|x-content-type-options|x-accel-buffering|x-frame-options|referrer-policy|transfer-encoding|cross-origin-[a-z-]+|permissions-policy|www-authenticate|upgrade|sec-websocket-(?:accept|version)): .*)$/i

/** Sends the bytes to a real server of this process, in two pieces, says goodbye when nothing is under way any more, and
 * holds what came back against what must hold of every answer. @param busy something is still to be answered */
export async function checkRaw(port: number, input: Buffer, busy: () => boolean): Promise<void> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  const received: Buffer[] = []
  let closed = false
  const gone = new Promise<void>(resolve => socket.once('close', () => { closed = true; resolve() }))
  socket.on('error', () => {}) // refused halfway through: it resets what was still to come
  socket.on('data', chunk => received.push(chunk))
  socket.on('end', () => socket.end())
  const timer = setTimeout(() => socket.destroy(new Error('hangs')), HANG_MS)
  const since = performance.now()
  const middle = input.length > 0 ? input[0]! % input.length : 0
  for (const piece of [input.subarray(0, middle), input.subarray(middle)]) {
    if (piece.length === 0 || closed) continue
    await new Promise<void>(resolve => socket.write(piece, () => resolve()))
    await turn()
  }
  for (let quiet = 0; quiet < 3 && !closed && performance.now() - since < HANG_MS; quiet = busy() ? 0 : quiet + 1) await turn()
  socket.end()
  await gone
  clearTimeout(timer)
  must(performance.now() - since < HANG_MS, 'the connection was never closed')

  const text = Buffer.concat(received).toString('latin1')
  for (const [, status] of text.matchAll(STATUS_LINE)) must(Number(status) < 500 || Number(status) === NOT_HTTP, `answered ${status}`)
  const heads = text.split(/(?=^HTTP\/1\.1 \d{3} )/m).map(answer => answer.split('\r\n\r\n')[0] ?? '')
  for (const head of heads) for (const line of head.split('\r\n')) must(line === '' || HEADER.test(line), `a header that is not ours: ${JSON.stringify(line)}`)
}
