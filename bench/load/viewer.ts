import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import { createGunzip, type Gunzip } from 'node:zlib'
import { EMPTY_BLOCK, GZIP_HEADER } from '../../protocol/gzip.js'
import type { BlockReader, SeenComment } from './block-reader.js'
import { Dechunker } from './dechunker.js'
import { wallMs } from './schedule.js'
import { isAuthReply, splitPackets } from './goim-packets.js'
import { PieceCounter } from './piece-counter.js'
import { isPing, PONG, PONG_FRAME, splitFrames, CONNECT } from './socket-io-frames.js'
import type { StreamTarget } from './target.js'

const BLANK_LINE = '\n\n'
const EMPTY = Buffer.alloc(0)

export interface ViewerEvents {
  /** It will get every later comment. */
  ready(): void
  /** Of a checked viewer. @param at when its bytes were read, Unix ms */
  comments(comments: readonly SeenComment[], at: number): void
  /** Of a compressed stream that is not checked. */
  counted(comments: number): void
  /** What came is not what the protocol says. */
  malformed(error: Error): void
}

/** One viewer's end of a stream, from the first byte: until it is ready it reads everything; then, unless it is
 * checked or compressed, nobody calls it again and its bytes are only counted. */
export class ViewerStream {
  ready = false
  /** It is compressed, and its comments are only counted. */
  isCounted = false
  readonly #target: StreamTarget
  readonly #socket: Socket
  readonly #reader: BlockReader
  readonly #events: ViewerEvents
  readonly #counter: PieceCounter | undefined
  #head = ''
  #inBody = false
  #dechunker: Dechunker | undefined
  #gunzip: Gunzip | undefined
  /** When the pieces that are being unpacked were read. */
  readonly #unpacking: number[] = []
  #carry: Buffer = EMPTY
  /** Of a counted stream: its gzip header has come. */
  #isBegun = false

  /** @param counter counts the comments where the stream is compressed; without it, each event is read */
  constructor(target: StreamTarget, socket: Socket, reader: BlockReader, events: ViewerEvents, counter?: PieceCounter) {
    this.#target = target
    this.#socket = socket
    this.#reader = reader
    this.#events = events
    this.#counter = counter
    this.#inBody = target.protocol === 'goim' // it has no head
  }

  /** @param bytes belong to the caller again when this returns */
  push(bytes: Buffer): void {
    try {
      if (this.#inBody) this.#body(bytes)
      else this.#readHead(bytes)
    } catch (error) {
      this.#events.malformed(error as Error)
    }
  }

  /** Lets go of what only reading needs. */
  close(): void {
    this.#gunzip?.close()
    this.#gunzip = undefined
  }

  #readHead(bytes: Buffer): void {
    this.#head += bytes.toString('latin1')
    const end = this.#head.indexOf('\r\n\r\n')
    if (end < 0) return
    const head = this.#head.slice(0, end).toLowerCase()
    const rest = Buffer.from(this.#head.slice(end + 4), 'latin1')
    this.#head = ''
    const { protocol, ready } = this.#target
    if (!head.startsWith(protocol === 'sse' ? 'http/1.1 200 ' : 'http/1.1 101 ')) throw new Error(`the stream was answered ${head.split('\r\n')[0]}`)
    this.#inBody = true
    if (/^transfer-encoding: chunked$/m.test(head)) this.#dechunker = new Dechunker()
    if (/^content-encoding: gzip$/m.test(head)) {
      this.isCounted = this.#counter !== undefined
      if (!this.isCounted) this.#gunzip = this.#startGunzip()
    }
    if (protocol === 'socket.io') this.#socket.write(CONNECT)
    if (ready === null) this.#becomeReady()
    if (rest.length > 0) this.#body(rest)
  }

  #body(bytes: Buffer): void {
    if (this.#dechunker) this.#dechunker.push(bytes, part => this.#unpack(part as Buffer))
    else this.#unpack(bytes)
  }

  #unpack(bytes: Buffer): void {
    if (this.isCounted) return this.#count(bytes)
    if (!this.#gunzip) return this.#read(bytes, wallMs())
    this.#unpacking.push(wallMs())
    this.#gunzip.write(Buffer.from(bytes), () => this.#unpacking.shift())
  }

  #count(part: Buffer): void {
    const all = this.#carry.length === 0 ? part : Buffer.concat([this.#carry, part])
    const isWhole = PieceCounter.endsWith(all)
    this.#carry = isWhole ? EMPTY : Buffer.from(all)
    if (!isWhole) return
    if (!this.#isBegun && !all.subarray(0, GZIP_HEADER.length).equals(GZIP_HEADER)) throw new Error('not a gzip stream of ours')
    const piece = this.#isBegun ? all : all.subarray(GZIP_HEADER.length)
    this.#isBegun = true
    if (piece.equals(EMPTY_BLOCK)) return
    const { text, comments } = this.#counter!.read(piece)
    if (!this.ready && text.includes(this.#target.ready!)) this.#becomeReady()
    if (comments > 0) this.#events.counted(comments)
  }

  #startGunzip(): Gunzip {
    const gunzip = createGunzip()
    gunzip.on('data', (bytes: Buffer) => {
      try {
        this.#read(bytes, this.#unpacking[0] ?? wallMs())
      } catch (error) {
        this.#events.malformed(error as Error)
      }
    })
    gunzip.on('error', error => this.#events.malformed(error))
    return gunzip
  }

  #read(bytes: Buffer, at: number): void {
    const all = this.#carry.length === 0 ? bytes : Buffer.concat([this.#carry, bytes])
    if (this.#target.protocol === 'websocket') {
      const { messages, pings, rest } = splitFrames(all)
      this.#carry = Buffer.from(rest)
      if (pings > 0) this.#socket.write(PONG_FRAME)
      for (const message of messages) this.#take(message, at)
      return
    }
    if (this.#target.protocol === 'socket.io') {
      const { messages, rest } = splitFrames(all)
      this.#carry = Buffer.from(rest)
      for (const message of messages) {
        if (isPing(message)) this.#socket.write(PONG)
        this.#take(message, at)
      }
      return
    }
    if (this.#target.protocol === 'goim') {
      const { packets, rest } = splitPackets(all)
      this.#carry = Buffer.from(rest)
      for (const packet of packets) {
        if (!this.ready && isAuthReply(packet)) this.#becomeReady()
        this.#take(packet, at)
      }
      return
    }
    const end = all.lastIndexOf(BLANK_LINE)
    const whole = end < 0 ? 0 : end + BLANK_LINE.length
    this.#carry = whole === all.length ? EMPTY : Buffer.from(all.subarray(whole))
    if (whole > 0) this.#take(all.subarray(0, whole), at)
  }

  #take(block: Buffer, at: number): void {
    if (!this.ready && this.#target.ready !== null && block.includes(this.#target.ready)) this.#becomeReady()
    const comments = this.#reader.read(block)
    if (comments.length > 0) this.#events.comments(comments, at)
  }

  #becomeReady(): void {
    this.ready = true
    this.#events.ready()
  }
}
