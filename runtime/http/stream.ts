/** A cork holds 16 KB, with each chunk's header. What is more goes past it, and loses data where the socket takes only
 * some: seen with a single write of 20 KB, and never with less. */
const CORK_BYTES = 15 * 1024

type Headers = Readonly<Record<string, string>>

/** As much of uWebSockets.js's HttpResponse as a stream uses. */
export interface StreamResponse {
  cork(write: () => void): unknown
  writeStatus(status: string): unknown
  writeHeader(name: string, value: string): unknown
  /** @returns false when it was the last that the socket takes for now */
  write(chunk: string | Uint8Array): boolean
  end(last?: string | Uint8Array): unknown
  close(): unknown
  onAborted(handler: () => void): unknown
  onWritable(handler: (offset: number) => boolean): unknown
}

export interface StreamEvents {
  /** Harmless bytes that may be sent right now, or null in the middle of an event. What the server holds back
   * of a slow viewer moves only with a further write. */
  nudge(): string | Uint8Array | null
  /** The peer took some of what the last write left, but not all: it reads, slowly. */
  progressed(): void
  /** Writing may go on: write what was missed. */
  drained(): void
  /** The peer left, or the stream was closed. Not called after `end`. */
  left(): void
}

/** One open streaming response that never holds more than two writes in memory. */
export class Stream {
  /** True from a write that returned false until the socket drains: write nothing meanwhile, it would be lost. Nothing but
   * such a write makes it true, or what its writer then wrote in good faith would be lost. */
  blocked = false
  gone = false
  readonly #res: StreamResponse

  readonly #events: StreamEvents

  /** Sends status 200, the headers and `first` (not empty: headers leave with the first byte). */
  constructor(res: StreamResponse, headers: readonly Headers[], first: string | Uint8Array, events: StreamEvents) {
    this.#res = res
    this.#events = events
    // One closure for both: it lives as long as the stream, and a process has as many as viewers. Called with how much
    // was written once the socket takes bytes again, and with nothing when the peer has left.
    const told = (written?: number) => (written === undefined ? this.#left() : this.#writable())
    res.onAborted(told)
    // Without it, a viewer that was slow once is killed 12 s later; it must write at least a byte.
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
    // Of a write that the server took, a part may have stayed with it too: then nobody waits.
    const awaited = this.blocked
    this.blocked = false
    const bytes = this.#events.nudge()
    if (bytes) this.write(bytes)
    const moved = !this.blocked
    if (!awaited) this.blocked = false
    else if (!moved) this.#events.progressed()
    // Out of this callback, in which all writes would share one cork: several large ones in one lose data.
    else setImmediate(() => !this.gone && !this.blocked && this.#events.drained())
    return moved
  }

  /** @returns false when the socket took the last it can for now (or the peer is gone) */
  write(chunk: string | Uint8Array): boolean {
    if (this.gone || this.blocked) return false
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    if (bytes.length <= CORK_BYTES) this.#cork(bytes)
    // To its end, whatever the socket takes: the server keeps the rest.
    else for (let at = 0; at < bytes.length; at += CORK_BYTES) this.#cork(bytes.subarray(at, at + CORK_BYTES))
    return !this.blocked
  }

  /** One cork, one write: several of more than 16 KB together in one cork lose data. */
  #cork(bytes: Uint8Array): void {
    this.#res.cork(() => {
      if (!this.#res.write(bytes)) this.blocked = true
    })
  }

  /** Ends the response, with a few last bytes where they are given: they are taken even while `blocked`. */
  end(last?: string | Uint8Array): void {
    if (this.gone) return
    this.gone = true
    this.#res.cork(() => {
      this.#res.end(last) // never end(x, true) after a write: it corrupts the stream
    })
  }

  /** Closes the connection now, whatever is unsent. */
  close(): void {
    if (!this.gone) this.#res.close()
  }
}

/** Not in the constructor: a closure there would keep all of this for as long as the stream is open. */
function start(res: StreamResponse, headers: readonly Headers[], first: string | Uint8Array): void {
  res.cork(() => {
    res.writeStatus('200 OK')
    for (const each of headers) for (const name in each) res.writeHeader(name, each[name]!)
    res.write(first)
  })
}
