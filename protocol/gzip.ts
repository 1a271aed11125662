import { Buffer } from 'node:buffer'
import { constants, deflateRawSync } from 'node:zlib'

/** A stream that is compressed once for all viewers of a room. Each viewer gets its own gzip header (RFC 1952), then
 * the shared DEFLATE blocks (RFC 1951). A block refers to nothing before it and ends on a byte boundary, so a viewer may
 * begin at any block and continue with those of another edge. There is no trailer. */

/** No name, no time, no flags. */
export const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff])

export const GZIP_HEADERS: Readonly<Record<string, string>> = { 'content-encoding': 'gzip' }

/** A stored block of no bytes: it means nothing, and pushes out bytes that a server held back. */
export const EMPTY_BLOCK = Buffer.from([0, 0, 0, 0xff, 0xff])

const MAX_STORED_BYTES = 65_535

export function acceptsGzip(acceptEncoding: string): boolean {
  return acceptEncoding.split(',').some(each => /^\s*gzip\s*(;\s*q=(1(\.0*)?|0?\.[0-9]*[1-9][0-9]*)\s*)?$/i.test(each))
}

/** @param level zlib's, 1–9; 0 makes stored blocks, which cost almost nothing */
export function blocks(text: string, level: number): Buffer {
  if (level === 0) return stored(Buffer.from(text))
  return deflateRawSync(text, { level, finishFlush: constants.Z_FULL_FLUSH })
}

function stored(bytes: Buffer): Buffer {
  const parts: Buffer[] = []
  for (let at = 0; at < bytes.length; at += MAX_STORED_BYTES) {
    const part = bytes.subarray(at, at + MAX_STORED_BYTES)
    const head = Buffer.alloc(5)
    head.writeUInt16LE(part.length, 1)
    head.writeUInt16LE(~part.length & 0xffff, 3)
    parts.push(head, part)
  }
  return Buffer.concat(parts)
}
