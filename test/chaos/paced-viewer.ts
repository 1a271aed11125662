import { connect, type Socket } from 'node:net'
import { Duplex, type Writable } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { Dechunker } from '../../bench/load/dechunker.js'
import { SseParser } from '../../protocol/sse.js'
import type { Gap } from './notes.js'

/** So little is taken from the kernel at a time that a slow viewer reads evenly. */
const READ_BYTES = 512
const FAST_READ_BYTES = 65_536
/** So much of what a late process did not read is made up for. */
const MOST_LATE_MS = 1_000

/** A viewer that takes so many bytes a second from its socket, encrypted ones over TLS, and does not come back once it is closed. */
export class PacedViewer {
  ready = false
  /** The last id it was sent, of a comment or a gap. */
  last = 0
  /** Ms from a comment's acceptance to its arrival. */
  readonly latencies: number[] = []
  readonly gaps: Gap[] = []
  /** What nobody should see. */
  readonly wrong: string[] = []
  closedBy: string | undefined
  readonly #ids: number[] = []
  readonly #socket: Socket
  readonly #parser = new SseParser()
  /** The answer's head, as far as it has come; undefined: it is over. */
  #head: Buffer | undefined = Buffer.alloc(0)
  readonly #body = new Dechunker()
  #start: number | undefined
  #bytesPerSecond: number
  #resuming: NodeJS.Timeout | undefined
  /** When it may read on. */
  #dueAt = -Infinity
  #left = false

  /** @param bytesPerSecond Infinity: all that comes; 0: nothing, once it has asked */
  constructor(url: string, bytesPerSecond: number) {
    const { protocol, hostname, port, pathname } = new URL(url)
    this.#bytesPerSecond = bytesPerSecond
    const buffer = Buffer.alloc(bytesPerSecond < Infinity ? READ_BYTES : FAST_READ_BYTES)
    const callback = (length: number, bytes: Uint8Array) => {
      take(Buffer.from(bytes.subarray(0, length)))
      return this.#readsOn(length)
    }
    this.#socket = connect({ host: hostname, port: Number(port), onread: { buffer, callback } })
    let take = (bytes: Buffer) => this.#onBytes(bytes)
    let plain: Writable = this.#socket
    if (protocol === 'https:') {
      // TLS reads ahead as it likes, so it is the encrypted bytes that are paced.
      const encrypted = new Duplex({ read() {}, write: (bytes, _, done) => void this.#socket.write(bytes as Buffer, done) })
      take = bytes => void encrypted.push(bytes)
      plain = connectTls({ socket: encrypted, rejectUnauthorized: false }).on('data', (bytes: Buffer) => this.#onBytes(bytes))
    }
    this.#socket.on('error', error => (this.closedBy ??= error.message))
    this.#socket.on('close', () => (this.closedBy ??= 'the server'))
    plain.write(`GET ${pathname} HTTP/1.1\r\nhost: ${hostname}:${port}\r\naccept: text/event-stream\r\n\r\n`)
    if (bytesPerSecond === 0) this.#socket.pause()
  }

  pace(bytesPerSecond: number): void {
    this.#bytesPerSecond = bytesPerSecond
    clearTimeout(this.#resuming)
    if (bytesPerSecond > 0) this.#socket.resume()
  }

  /** Comments it was sent. */
  get events(): number {
    return this.#ids.length
  }

  close(): void {
    this.#left = true
    clearTimeout(this.#resuming)
    this.#socket.destroy()
  }

  /** How many of those it was owed neither came nor were named by a gap.
   * @param whole it should have come to the end; else it is owed what lies below the last it saw */
  missed(acknowledged: readonly number[], whole: boolean): number {
    const seen = new Set(this.#ids)
    const owed = acknowledged.filter(id => id > (this.#start ?? Infinity) && (whole || id <= this.last))
    return owed.filter(id => !seen.has(id) && !this.gaps.some(({ from, to }) => from < id && id <= to)).length
  }

  #onBytes(bytes: Buffer): void {
    if (this.#left) return
    let body: Buffer[]
    try {
      body = this.#bodyOf(bytes)
    } catch (error) {
      this.wrong.push(String(error))
      this.closedBy ??= 'itself'
      return this.close()
    }
    for (const event of body.flatMap(part => this.#parser.push(part))) {
      const id = Number(event.id)
      if (event.event === 'ready') {
        this.ready = true
        this.#start ??= id
        this.last = id
      } else if (event.event === 'gap') {
        const { from, to } = JSON.parse(event.data) as { from: string; to: string }
        this.gaps.push({ from: Number(from), to: Number(to), at: performance.now() })
        this.last = Number(to)
      } else if (event.event === 'message') {
        if (id <= this.last) this.wrong.push(`${id} came after ${this.last}`)
        this.last = id
        this.#ids.push(id)
        this.latencies.push(Date.now() - Number(/"createdAt":(\d+)/.exec(event.data)![1]))
      }
    }
  }

  /** @returns whether to read on at once after so many bytes */
  #readsOn(bytes: number): boolean {
    if (this.#left || this.#bytesPerSecond === 0) return false
    if (this.#bytesPerSecond === Infinity) return true
    // By the clock: a process that is held up reads no slower for it.
    const now = performance.now()
    this.#dueAt = Math.max(this.#dueAt, now - MOST_LATE_MS) + (bytes / this.#bytesPerSecond) * 1_000
    this.#resuming = setTimeout(() => this.#socket.resume(), Math.max(0, this.#dueAt - now))
    return false
  }

  /** What of the answer's body comes with these bytes. */
  #bodyOf(bytes: Buffer): Buffer[] {
    if (this.#head) {
      bytes = Buffer.concat([this.#head, bytes])
      const end = bytes.indexOf('\r\n\r\n')
      this.#head = end < 0 ? bytes : undefined
      if (end < 0) return []
      bytes = bytes.subarray(end + 4)
    }
    const parts: Buffer[] = []
    this.#body.push(bytes, part => parts.push(part as Buffer))
    return parts
  }
}
