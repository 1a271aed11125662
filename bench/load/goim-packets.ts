import { Buffer } from 'node:buffer'
import { readComment, type SeenComment } from './block-reader.js'
import { MARK } from './comment-text.js'

/** As much of goim's TCP protocol as a viewer, and who broadcasts to it, need. A packet is a header of 16 bytes, big-endian (its
 * length, the header's, version, operation, sequence), and a body. */

const HEADER_BYTES = 16
const VERSION = 1
const AUTH = 7
const AUTH_REPLY = 8
/** What a comment is broadcast as; viewers say which operations they accept. */
const COMMENT = 1000

/** Lets a viewer in, and into the room. Below 0x80 in every byte: a request is text. */
export function authPacket(): string {
  return packet(AUTH, '{"mid":1,"room_id":"bench://1","platform":"bench","accepts":[1000]}').toString('latin1')
}

/** A comment as viewers get it. No byte of the header is the mark that comments are counted by: a blank after the JSON sees to it. */
export function commentPacket(json: string): Buffer {
  const sent = packet(COMMENT, json)
  return sent.subarray(0, HEADER_BYTES).includes(MARK) ? packet(COMMENT, `${json} `) : sent
}

function packet(operation: number, body: string): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES + Buffer.byteLength(body))
  bytes.writeUInt32BE(bytes.length, 0)
  bytes.writeUInt16BE(HEADER_BYTES, 4)
  bytes.writeUInt16BE(VERSION, 6)
  bytes.writeUInt32BE(operation, 8)
  bytes.write(body, HEADER_BYTES)
  return bytes
}

/** The whole packets at the start of `bytes`, and what is left. @throws Error at what is none */
export function splitPackets(bytes: Buffer): { packets: Buffer[]; rest: Buffer } {
  const packets: Buffer[] = []
  let at = 0
  while (bytes.length - at >= HEADER_BYTES) {
    const size = bytes.readUInt32BE(at)
    if (size < HEADER_BYTES || bytes.readUInt16BE(at + 4) !== HEADER_BYTES) throw new Error('not a packet of goim')
    if (bytes.length - at < size) break
    packets.push(bytes.subarray(at, at + size))
    at += size
  }
  return { packets, rest: bytes.subarray(at) }
}

/** Whether it says that the viewer is in. */
export function isAuthReply(packet: Buffer): boolean {
  return packet.readUInt32BE(8) === AUTH_REPLY
}

/** For BlockReader. */
export function parsePacket(packet: Buffer): SeenComment[] {
  return packet.readUInt32BE(8) === COMMENT ? [readComment(packet.toString('utf8', HEADER_BYTES))] : []
}
