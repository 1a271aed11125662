/** A cork buffers 16 KB, including chunk headers and what ends a chunk. A larger write bypasses it and loses data if the
 * socket takes only part of it: seen with a single write of 20 KB, never with less. */
const CORK_BYTES = 15 * 1024

type Headers = Readonly<Record<string, string>>

/** The part of uWebSockets.js's HttpResponse that a stream uses. */
export interface StreamResponse {
  cork(write: () => void): unknown
  writeStatus(status: string): unknown
  writeHeader(name: string, value: string): unknown
  /** @returns false if the socket takes no more for now */
  write(chunk: string | Uint8Array): boolean
  end(last?: string | Uint8Array): unknown
  close(): unknown
  onAborted(handler: () => void): unknown
  onWritable(handler: (offset: number) => boolean): unknown
}

export interface StreamEvents {
  /** Meaningless bytes. The server sends bytes that it holds back for a slow viewer only with a further write. */
  nudge(): Uint8Array
  /** Meaningless bytes that follow each write, in the same system call; undefined for none. The library ends a chunk only
   * when it begins the next, and some clients read whole chunks alone: they would have each event when the next one came. */
  chunkEnd(): Uint8Array | undefined
  /** The peer took some of the bytes that the last write left, but not all: it reads slowly. */
  progressed(): void
  /** The socket takes bytes again: write what was missed. */
  drained(): void
  /** The peer left, or the stream was closed. Not called after `end`. */
  left(): void
}

/** One open streaming response that never holds more than two writes in memory. */
export class Stream {
  /** True from a write that returned false until the socket drains; a write in between would be lost. Only such a write
   * may set it, so that its writer knows. */
  blocked = false
  gone = false
  readonly #res: StreamResponse

  readonly #events: StreamEvents

  /** Sends status 200, the headers and `first`, which must not be empty: headers leave with the first byte. */
  constructor(res: StreamResponse, headers: readonly Headers[], first: string | Uint8Array, events: StreamEvents) {
    this.#res = res
    this.#events = events
    // One closure for both callbacks, since there is one per viewer. onWritable passes the bytes written so far, onAborted
    // passes nothing.
    const told = (written?: number) => (written === undefined ? this.#left() : this.#writable())
    res.onAborted(told)
    // Without it a viewer that was slow once is closed 12 s later. It must write at least one byte.
    res.onWritable(told as (written: number) => boolean)
    start(res, headers, first)
  }

  #left(): void {
    if (this.gone) return
    this.gone = true
    this.#events.left()
  }

  #writable(): boolean {
    if (this.gone) return true
    // The server may also hold back part of a write that returned true: then no writer waits.
    const awaited = this.blocked
    this.blocked = false
    this.#cork(this.#events.nudge())
    const moved = !this.blocked
    if (!awaited) this.blocked = false
    else if (!moved) this.#events.progressed()
    // Outside this callback, in which all writes share one cork: several large ones in one lose data.
    else setImmediate(() => !this.gone && !this.blocked && this.#events.drained())
    return moved
  }

  /** @returns false if the socket takes no more for now, or the peer is gone */
  write(chunk: string | Uint8Array): boolean {
    if (this.gone || this.blocked) return false
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    // All of it, whatever the socket takes: the server keeps the rest.
    let rest = bytes
    for (; rest.length > CORK_BYTES; rest = rest.subarray(CORK_BYTES)) this.#cork(rest.subarray(0, CORK_BYTES))
    this.#cork(rest, this.#events.chunkEnd())
    return !this.blocked
  }

  /** Less than 16 KB per cork: more in several writes loses data. */
  #cork(bytes: Uint8Array, end?: Uint8Array): void {
    this.#res.cork(() => {
      if (!this.#res.write(bytes)) this.blocked = true
      if (end && !this.#res.write(end)) this.blocked = true
    })
  }

  /** Ends the response, with a few last bytes if given: they are accepted even while `blocked`. */
  end(last?: string | Uint8Array): void {
    if (this.gone) return
    this.gone = true
    this.#res.cork(() => {
      this.#res.end(last) // never end(x, true) after a write: it corrupts the stream
    })
  }

  /** Closes the connection now and drops what is unsent. */
  close(): void {
    if (!this.gone) this.#res.close()
  }
}

/** Not in the constructor, where the closure would keep its arguments alive as long as the stream. */
function start(res: StreamResponse, headers: readonly Headers[], first: string | Uint8Array): void {
  res.cork(() => {
    res.writeStatus('200 OK')
    for (const each of headers) for (const name in each) res.writeHeader(name, each[name]!)
    res.write(first)
  })
}
