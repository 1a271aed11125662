import type { Buffer } from 'node:buffer'

const HEAD_END = '\r\n\r\n'
const LAST_CHUNK = '0\r\n\r\n'

/** An answer of HTTP/1.1, as much of it as a client of a benchmark needs. */
export interface Answer {
  readonly status: number
  /** The server closes the connection after this answer. */
  readonly closes: boolean
}

/** @param bytes what has come since the request
 * @returns undefined until all of the answer is there */
export function parseAnswer(bytes: Buffer): Answer | undefined {
  const end = bytes.indexOf(HEAD_END)
  if (end < 0) return undefined
  const head = bytes.toString('latin1', 0, end + 2)
  const status = Number(head.slice(9, 12))
  const closes = /\r\nconnection: *close\r\n/i.test(head)
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  if (length !== undefined) return bytes.length < end + HEAD_END.length + Number(length) ? undefined : { status, closes }
  // Without a length and chunks, the body lasts until the connection ends: nobody waits for it.
  const isWhole = status === 204 || status === 304 || closes || bytes.subarray(-LAST_CHUNK.length).toString('latin1') === LAST_CHUNK
  return isWhole ? { status, closes } : undefined
}
