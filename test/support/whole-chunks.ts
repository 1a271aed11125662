import { connect } from 'node:net'
import { constants, gunzipSync } from 'node:zlib'
import type { Test } from 'tap'
import { EMPTY_BLOCK } from '../../protocol/gzip.js'

/** The strictest client there is: it takes whole chunks alone, and of gzip only what was flushed. */
export interface StrictReader {
  /** What it can read by now. */
  text(): string
  /** The last chunk has come. */
  ended(): boolean
  /** The body as it came. */
  body(): Buffer
}

export function readStrictly(t: Test, url: string, { gzip }: { gzip: boolean }): StrictReader {
  const { hostname, port, pathname, search } = new URL(url)
  const socket = connect(Number(port), hostname, () => socket.write(`GET ${pathname}${search} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n${gzip ? 'Accept-Encoding: gzip\r\n' : ''}\r\n`))
  t.after(() => socket.destroy())
  const parts: Buffer[] = []
  socket.on('data', (part: Buffer) => parts.push(part)).on('error', () => {})
  const body = () => wholeChunks(Buffer.concat(parts))
  return {
    text: () => (gzip ? flushed(body()) : body().toString()),
    ended: () => Buffer.concat(parts).toString('latin1').endsWith('\r\n0\r\n\r\n'),
    body,
  }
}

/** The body of a response in chunks, as far as their last CRLF has come. */
export function wholeChunks(response: Buffer): Buffer {
  const chunks: Buffer[] = []
  for (let at = response.indexOf('\r\n\r\n') + 4; ;) {
    const head = /^([0-9a-f]+)\r\n/i.exec(response.toString('latin1', at, at + 12))
    if (!head) return Buffer.concat(chunks)
    const start = at + head[0].length
    const end = start + parseInt(head[1]!, 16)
    if (response.toString('latin1', end, end + 2) !== '\r\n') return Buffer.concat(chunks)
    chunks.push(response.subarray(start, end))
    at = end + 2
  }
}

function flushed(body: Buffer): string {
  const marker = EMPTY_BLOCK.subarray(1)
  const at = body.lastIndexOf(marker)
  return at < 0 ? '' : gunzipSync(body.subarray(0, at + marker.length), { finishFlush: constants.Z_SYNC_FLUSH }).toString()
}
