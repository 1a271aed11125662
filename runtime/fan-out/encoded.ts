import { Buffer } from 'node:buffer'
import { joined, type Checksum } from '../../protocol/gzip.js'

/** How a viewer takes its events: server-sent events, DEFLATE blocks of them, or JSON messages. */
export type ViewerEncoding = 'plain' | 'gzip' | 'messages'

/** Whole events as viewers of one encoding are written them. */
export interface Encoded {
  readonly bytes: Buffer
  /** Of the text, where it is compressed: a gzip stream's end needs it. */
  readonly checksum?: Checksum | undefined
}

/** When events are compressed: what goes to fewer viewers is sent in stored blocks, which cost nothing to make. */
export interface GzipPolicy {
  /** Of zlib, 1–9. */
  readonly level: number
  readonly minViewers: number
}

/** What it cost to make: the length of the text, since to compress it costs more than the bytes that it saves. */
export function textBytes({ bytes, checksum }: Encoded): number {
  return checksum?.bytes ?? bytes.length
}

/** Several that are sent in one write. @param parts at least one */
export function inOne(parts: readonly Encoded[]): Encoded {
  const [first, ...others] = parts as [Encoded, ...Encoded[]]
  if (others.length === 0) return first
  const checksum = others.reduce((sum, part) => sum && part.checksum && joined(sum, part.checksum), first.checksum)
  return { bytes: Buffer.concat(parts.map(part => part.bytes)), checksum }
}

/** What is sent, and the `ready` that follows in the same write. */
export function withReady(events: Encoded, ready: Encoded | undefined): Encoded {
  if (!ready) return events
  return events.bytes.length === 0 ? ready : inOne([events, ready])
}
