import { Buffer } from 'node:buffer'
import { isVideoId, type VideoId } from './comment.js'
import { END_REASONS, type EndReason } from './frame.js'
import type { Checksum } from './gzip.js'
import { MAX_CURSOR, type Cursor } from './id.js'
import { MAX_RECENT } from './limits.js'

/** A gateway and an edge talk over one WebSocket (RFC 6455), the link, in binary messages. PROTOCOL.md has their bytes and what
 * each means. Each begins with
 *
 *   byte 0      kind
 *   byte 1      flags, or the number of a reason
 *   bytes 2–3   `recent` of a join; else 0
 *   bytes 4–7   number of the join, the group or the ping
 *
 * All numbers are big endian. Events are text: a gateway compresses it for the viewers who take it so. A gateway of the former
 * version asks for DEFLATE blocks by the flag GZIP, and gets the checksum of their text with them, by the flag CHECKED; the
 * places of the checksums are 0 otherwise. */
export const LINK_PATH = '/internal/link'
/** What an edge takes. */
export const MAX_TO_EDGE_BYTES = 512
/** What a gateway takes: a flush of the largest batch that an edge takes, with room to spare. */
export const MAX_TO_GATEWAY_BYTES = 64 * 1024 * 1024

const HEAD_BYTES = 8
const GZIP = 1
const AFTER = 2
const AGAIN = 4
const CHECKED = 1

/** Where a stream is to begin: after a place, else with the last few, else now. */
export interface Begin {
  readonly after: Cursor | undefined
  readonly recent: number
}

export type ToEdge =
  /** Wants to be brought up to a group: what was missed in pieces, then `ready`. `again`: for members of the group that fell
   * behind, and that the edge has counted already. */
  | { readonly kind: 'join'; readonly join: number; readonly group: number; readonly again: boolean; readonly videoId: VideoId; readonly gzip: boolean; readonly begin: Begin }
  /** The last piece was taken: the next may come. */
  | { readonly kind: 'more'; readonly join: number }
  /** Nobody wants the join any longer. */
  | { readonly kind: 'leave'; readonly join: number }
  /** How many viewers the group has; 0 closes it. */
  | { readonly kind: 'weight'; readonly group: number; readonly weight: number }
  | { readonly kind: 'ping'; readonly nonce: number }

/** Events with the checksum of their text where they are compressed, and as they are otherwise. */
export type Sent = Buffer | { readonly bytes: Buffer; readonly checksum?: Checksum | undefined }

/** @typeParam Events as they are sent, or as they are read: without their checksum */
export type ToGateway<Events = Buffer> =
  /** All comments in (from, to] for those of the group that stand at `from`. `to` is below `from` where the room began anew. */
  | { readonly kind: 'flush'; readonly group: number; readonly epoch: number; readonly from: Cursor; readonly to: Cursor; readonly events: Events }
  | { readonly kind: 'piece'; readonly join: number; readonly to: Cursor; readonly events: Events }
  /** The last piece of a join, and the `ready` event. From now on the group's flushes are for those who joined. */
  | { readonly kind: 'ready'; readonly join: number; readonly group: number; readonly epoch: number; readonly at: Cursor; readonly events: Events; readonly ready: Events }
  | { readonly kind: 'joinEnded'; readonly join: number; readonly reason: EndReason }
  | { readonly kind: 'groupEnded'; readonly group: number; readonly reason: EndReason }
  /** @param syncAgeMs for how long no dispatcher has answered the edge */
  | { readonly kind: 'pong'; readonly nonce: number; readonly syncAgeMs: number }

const TO_EDGE = { join: 1, more: 2, leave: 3, weight: 4, ping: 5 } as const
const TO_GATEWAY = { flush: 1, piece: 2, ready: 3, joinEnded: 4, groupEnded: 5, pong: 6 } as const

export class LinkError extends Error {
  override readonly name = 'LinkError'
}

export function printToEdge(message: ToEdge): Buffer {
  const kind = TO_EDGE[message.kind]
  switch (message.kind) {
    case 'join': {
      const { join, group, again, videoId, gzip, begin } = message
      const out = Buffer.alloc(HEAD_BYTES + 12 + videoId.length)
      head(out, kind, (gzip ? GZIP : 0) | (begin.after === undefined ? 0 : AFTER) | (again ? AGAIN : 0), join)
      out.writeUInt16BE(begin.recent, 2)
      out.writeUInt32BE(group, 8)
      writeCursor(out, begin.after ?? 0, 12)
      out.write(videoId, 20, 'latin1')
      return out
    }
    case 'weight': {
      const out = Buffer.alloc(HEAD_BYTES + 4)
      head(out, kind, 0, message.group)
      out.writeUInt32BE(message.weight, 8)
      return out
    }
    case 'ping':
      return head(Buffer.alloc(HEAD_BYTES), kind, 0, message.nonce)
    case 'more':
    case 'leave':
      return head(Buffer.alloc(HEAD_BYTES), kind, 0, message.join)
  }
}

/** @throws LinkError */
export function parseToEdge(bytes: Buffer): ToEdge {
  if (bytes.length < HEAD_BYTES) throw new LinkError(`a message of ${bytes.length} bytes`)
  const number = bytes.readUInt32BE(4)
  switch (bytes[0]!) {
    case TO_EDGE.join: {
      atLeast(bytes, 21)
      const flags = bytes[1]!
      const recent = bytes.readUInt16BE(2)
      const videoId = bytes.toString('latin1', 20)
      if (!isVideoId(videoId)) throw new LinkError('a join without a video id')
      if (recent > MAX_RECENT) throw new LinkError(`a join of the last ${recent}`)
      const after = readCursor(bytes, 12)
      return { kind: 'join', join: number, group: bytes.readUInt32BE(8), again: (flags & AGAIN) !== 0, videoId, gzip: (flags & GZIP) !== 0, begin: { after: (flags & AFTER) === 0 ? undefined : after, recent } }
    }
    case TO_EDGE.more:
      return { kind: 'more', join: number }
    case TO_EDGE.leave:
      return { kind: 'leave', join: number }
    case TO_EDGE.weight:
      atLeast(bytes, 12)
      return { kind: 'weight', group: number, weight: bytes.readUInt32BE(8) }
    case TO_EDGE.ping:
      return { kind: 'ping', nonce: number }
    default:
      throw new LinkError(`a message of kind ${bytes[0]}`)
  }
}

export function printToGateway(message: ToGateway<Sent>): Buffer {
  const kind = TO_GATEWAY[message.kind]
  switch (message.kind) {
    case 'flush': {
      const { events } = message
      const out = Buffer.allocUnsafe(36 + bytesOf(events).length)
      head(out, kind, flagsOf(events), message.group)
      out.writeUInt32BE(message.epoch, 8)
      writeCursor(out, message.from, 12)
      writeCursor(out, message.to, 20)
      writeEvents(out, events, 28, 36)
      return out
    }
    case 'piece': {
      const { events } = message
      const out = Buffer.allocUnsafe(24 + bytesOf(events).length)
      head(out, kind, flagsOf(events), message.join)
      writeCursor(out, message.to, 8)
      writeEvents(out, events, 16, 24)
      return out
    }
    case 'ready': {
      const { events, ready } = message
      const { length } = bytesOf(events)
      const out = Buffer.allocUnsafe(44 + length + bytesOf(ready).length)
      head(out, kind, flagsOf(ready), message.join)
      out.writeUInt32BE(message.group, 8)
      out.writeUInt32BE(message.epoch, 12)
      writeCursor(out, message.at, 16)
      out.writeUInt32BE(length, 24)
      writeEvents(out, events, 28, 44)
      writeEvents(out, ready, 36, 44 + length)
      return out
    }
    case 'joinEnded':
      return head(Buffer.alloc(HEAD_BYTES), kind, END_REASONS.indexOf(message.reason), message.join)
    case 'groupEnded':
      return head(Buffer.alloc(HEAD_BYTES), kind, END_REASONS.indexOf(message.reason), message.group)
    case 'pong': {
      const out = head(Buffer.alloc(HEAD_BYTES + 4), kind, 0, message.nonce)
      out.writeUInt32BE(Math.min(message.syncAgeMs, 0xffffffff), 8)
      return out
    }
  }
}

/** The bytes of events are views into `bytes`. @throws LinkError */
export function parseToGateway(bytes: Buffer): ToGateway {
  if (bytes.length < HEAD_BYTES) throw new LinkError(`a message of ${bytes.length} bytes`)
  const number = bytes.readUInt32BE(4)
  switch (bytes[0]!) {
    case TO_GATEWAY.flush:
      atLeast(bytes, 36)
      return { kind: 'flush', group: number, epoch: bytes.readUInt32BE(8), from: readCursor(bytes, 12), to: readCursor(bytes, 20), events: bytes.subarray(36) }
    case TO_GATEWAY.piece:
      atLeast(bytes, 24)
      return { kind: 'piece', join: number, to: readCursor(bytes, 8), events: bytes.subarray(24) }
    case TO_GATEWAY.ready: {
      atLeast(bytes, 44)
      const end = 44 + bytes.readUInt32BE(24)
      atLeast(bytes, end)
      return { kind: 'ready', join: number, group: bytes.readUInt32BE(8), epoch: bytes.readUInt32BE(12), at: readCursor(bytes, 16), events: bytes.subarray(44, end), ready: bytes.subarray(end) }
    }
    case TO_GATEWAY.joinEnded:
      return { kind: 'joinEnded', join: number, reason: reasonOf(bytes[1]!) }
    case TO_GATEWAY.groupEnded:
      return { kind: 'groupEnded', group: number, reason: reasonOf(bytes[1]!) }
    case TO_GATEWAY.pong:
      atLeast(bytes, 12)
      return { kind: 'pong', nonce: number, syncAgeMs: bytes.readUInt32BE(8) }
    default:
      throw new LinkError(`a message of kind ${bytes[0]}`)
  }
}

function head(out: Buffer, kind: number, flags: number, number: number): Buffer {
  out[0] = kind
  out[1] = flags
  out.writeUInt16BE(0, 2)
  out.writeUInt32BE(number, 4)
  return out
}

function bytesOf(events: Sent): Buffer {
  return Buffer.isBuffer(events) ? events : events.bytes
}

function checksumOf(events: Sent): Checksum | undefined {
  return Buffer.isBuffer(events) ? undefined : events.checksum
}

function flagsOf(events: Sent): number {
  return checksumOf(events) ? CHECKED : 0
}

function writeEvents(out: Buffer, events: Sent, sumAt: number, at: number): void {
  const checksum = checksumOf(events)
  out.writeInt32BE((checksum?.crc ?? 0) | 0, sumAt)
  out.writeUInt32BE(checksum?.bytes ?? 0, sumAt + 4)
  out.set(bytesOf(events), at)
}

function writeCursor(out: Buffer, cursor: Cursor, at: number): void {
  out.writeUInt32BE(Math.floor(cursor / 2 ** 32), at)
  out.writeUInt32BE(cursor % 2 ** 32, at + 4)
}

function readCursor(bytes: Buffer, at: number): Cursor {
  const cursor = bytes.readUInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
  if (cursor > MAX_CURSOR) throw new LinkError('an id over 2^53 - 1')
  return cursor
}

function atLeast(bytes: Buffer, length: number): void {
  if (bytes.length < length) throw new LinkError(`a message of kind ${bytes[0]} and ${bytes.length} bytes`)
}

function reasonOf(number: number): EndReason {
  const reason = END_REASONS[number]
  if (!reason) throw new LinkError(`an end for the reason ${number}`)
  return reason
}
