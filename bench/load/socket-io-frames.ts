import { Buffer } from 'node:buffer'
import { readComment, type SeenComment } from './block-reader.js'

/** As much of RFC 6455 and of Socket.IO's protocol as a viewer needs that only listens. */

const TEXT = 1
/** How a server's frame of no bytes begins that pings its peer, and what that answers. */
export const PING_FRAME = Buffer.from([0x89, 0])
export const PONG_FRAME = Buffer.from([0x8a, 0x80, 0, 0, 0, 0])

/** A client's frame of up to 125 characters of ASCII. From a client every frame is masked; with zeros, it is as if it were not. */
export const masked = (text: string) => Buffer.concat([Buffer.from([0x80 | TEXT, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)])

/** Asks for the default namespace. */
export const CONNECT = masked('40')
export const PONG = masked('3')
/** How a server's ping ends a chunk. */
export const PING = Buffer.from([0x80 | TEXT, 1, 0x32])

export function isPing(message: Buffer): boolean {
  return message.length === 1 && message[0] === 0x32
}

/** The whole text messages at the start of `bytes`, how many pings there are between them, and what is left.
 * @throws Error at a frame that is neither */
export function splitFrames(bytes: Buffer): { messages: Buffer[]; pings: number; rest: Buffer } {
  const messages: Buffer[] = []
  let pings = 0
  let at = 0
  while (bytes.length - at >= 2) {
    if (bytes[at] === PING_FRAME[0] && bytes[at + 1] === PING_FRAME[1]) {
      pings++
      at += PING_FRAME.length
      continue
    }
    if (bytes[at] !== (0x80 | TEXT)) throw new Error(`a frame of kind ${bytes[at]}, a whole text was expected`)
    let size = bytes[at + 1]!
    let start = at + 2
    if (size === 126) {
      if (bytes.length - at < 4) break
      size = bytes.readUInt16BE(start)
      start += 2
    } else if (size === 127) {
      if (bytes.length - at < 10) break
      size = Number(bytes.readBigUInt64BE(start))
      start += 8
    }
    if (bytes.length - start < size) break
    messages.push(bytes.subarray(start, start + size))
    at = start + size
  }
  return { messages, pings, rest: bytes.subarray(at) }
}

/** For BlockReader: `42["comment",{...}]` is an event. */
export function parseMessage(message: Buffer): SeenComment[] {
  const text = message.toString()
  return text.startsWith('42') && text.includes('`') ? [readComment(text.slice(2))] : []
}

/** For BlockReader: a message of ours, an array of events. */
export function parseEvents(message: Buffer): SeenComment[] {
  const events = JSON.parse(message.toString()) as { readonly event: string; readonly id?: string; readonly data: unknown }[]
  return events.flatMap(({ event, id, data }) => {
    const json = JSON.stringify(data)
    return event === 'message' && json.includes('`') ? [readComment(json, id)] : []
  })
}
