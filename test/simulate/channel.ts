import { Buffer } from 'node:buffer'
import type { Process } from './process.js'
import type { World } from './world.js'

/** The end that reads: called in its own process, never after `abort`. */
export interface Reader {
  data(chunk: Buffer, headers: ReadonlyMap<string, string>): void
  /** The writer writes it, whenever it arrives: for who judges writers. */
  written?(chunk: Uint8Array | string, headers: ReadonlyMap<string, string>): void
  /** The writer ended it, or it broke, perhaps in the middle of what was written. */
  over(broken: boolean): void
}

export interface ChannelOptions {
  readonly world: World
  readonly from: Process
  readonly to: Process
  readonly reader: Reader
  /** Bytes that the sockets between take; what is more the writer's server holds back. */
  readonly limitBytes: number
  readonly latencyMs: () => number
  /** How long nothing passes between the two any more, ms. */
  readonly cutMs: () => number
}

/** A TCP connection in one direction: ordered bytes that arrive in chunks cut anywhere, with back-pressure as
 * uWebSockets.js tells it. A write in a cork succeeds although the sockets take only a part of it; the next one fails,
 * unless what was held back could go first. What is held back goes with a further write alone, which may move a part of
 * it and fail again. A writer that is killed may leave any first part of what the sockets took; one that is frozen leaves
 * all of that. */
export class Channel {
  /** The writer's: the sockets take something again, perhaps not all that was held back. */
  onWritable: () => void = () => {}
  /** The writer's: the reader is gone. */
  onAborted: () => void = () => {}
  /** What is held back goes when there is room, as a WebSocket's does; without: with a further write alone. */
  sendsByItself = false
  /** Of the answer that goes this way. */
  readonly headers = new Map<string, string>()
  /** Most bytes that ever waited. */
  mostBuffered = 0
  readonly #o: ChannelOptions
  /** What the sockets took. */
  #queue: Buffer[] = []
  #buffered = 0
  /** What they did not take. */
  #held = Buffer.alloc(0)
  /** The writer is done, or dead. */
  #over: 'ended' | 'broken' | undefined
  /** The reader wants nothing more. */
  #aborted = false
  #paused = false
  #moving = false
  /** The writer is about to learn that there is room. */
  #telling = false
  /** It has to learn that there is room, whatever is held back then. */
  #owed = false
  readonly #forget: (() => void)[]

  constructor(options: ChannelOptions) {
    this.#o = options
    this.#forget = [options.from.onDeath(() => this.reset()), options.to.onDeath(() => this.abort())]
  }

  get closed(): boolean {
    return this.#over !== undefined || this.#aborted
  }

  /** What the sockets did not take. */
  get heldBytes(): number {
    return this.#held.length
  }

  /** @returns false when something was held back before, and still is */
  write(bytes: Uint8Array | string): boolean {
    if (this.closed) return true
    this.#o.reader.written?.(bytes, this.headers)
    this.#pushHeld()
    const failed = this.#held.length > 0
    this.#hold(bytes)
    this.#pushHeld()
    // A WebSocket hears that there is room also where a later message took the last of what was held back with it.
    if (this.sendsByItself && this.#held.length > 0) this.#owed = true
    return !failed
  }

  /** What is held back now goes by itself. */
  end(last?: Uint8Array | string): void {
    if (this.closed) return
    if (last !== undefined) this.#hold(last)
    this.#over = 'ended'
    this.#pushHeld()
    this.#move()
  }

  /** The writer is gone without a word: some first part of what waits still arrives. */
  reset(): void {
    if (this.closed) return
    this.#held = Buffer.alloc(0)
    const all = Buffer.concat(this.#queue)
    const kept = all.subarray(0, this.#o.world.random.below(all.length + 1))
    this.#queue = kept.length > 0 ? [kept] : []
    this.#over = 'broken'
    this.#move()
  }

  /** The connection breaks: both ends learn it. */
  cut(): void {
    if (this.closed) return
    this.reset()
    this.#o.world.after(this.#o.latencyMs(), () => this.#o.from.run(() => this.onAborted()))
  }

  /** The reader wants no more: the writer learns it a little later. */
  abort(): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#queue = []
    this.#held = Buffer.alloc(0)
    this.#release()
    if (this.#over) return
    const { world, from, latencyMs } = this.#o
    world.after(latencyMs(), () => from.run(() => {
      if (!this.#over) this.onAborted()
    }))
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    this.#move()
  }

  #hold(bytes: Uint8Array | string): void {
    this.#held = Buffer.concat([this.#held, Buffer.from(bytes)])
    this.mostBuffered = Math.max(this.mostBuffered, this.#buffered + this.#held.length)
  }

  /** Gives the sockets as much as they take. */
  #pushHeld(): void {
    const taken = this.#held.subarray(0, Math.max(0, this.#o.limitBytes - this.#buffered))
    if (taken.length === 0) return
    this.#held = this.#held.subarray(taken.length)
    this.#queue.push(taken)
    this.#buffered += taken.length
    this.#move()
  }

  #move(): void {
    if (this.#moving || this.#paused || this.#aborted || (this.#queue.length === 0 && !this.#over)) return
    this.#moving = true
    this.#o.world.after(this.#o.latencyMs() + this.#o.cutMs(), this.#arrive)
  }

  readonly #arrive = (): void => {
    const cutMs = this.#o.cutMs()
    if (cutMs > 0) return void this.#o.world.after(cutMs, this.#arrive)
    this.#o.to.run(() => {
      this.#moving = false
      if (this.#aborted || this.#paused) return
      this.#read()
      this.#move()
    })
  }

  #read(): void {
    const { world, from, reader, limitBytes, latencyMs } = this.#o
    const all = this.#queue.length === 1 ? this.#queue[0]! : Buffer.concat(this.#queue)
    if (all.length > 0) {
      const size = world.random.chance(0.85) ? all.length : world.random.whole(1, all.length)
      this.#queue = size < all.length ? [all.subarray(size)] : []
      this.#buffered -= size
      if (this.#over) this.#pushHeld()
      else if ((this.#held.length > 0 || this.#owed) && !this.#telling && this.#buffered <= limitBytes / 2) {
        this.#telling = true
        this.#owed = false
        world.after(latencyMs(), () => from.run(() => {
          this.#telling = false
          if (this.closed) return
          if (this.sendsByItself) this.#pushHeld()
          this.onWritable()
        }))
      }
      reader.data(all.subarray(0, size), this.headers)
    }
    if (this.#queue.length > 0 || !this.#over || this.#aborted) return
    this.#aborted = true
    this.#release()
    reader.over(this.#over === 'broken')
  }

  #release(): void {
    for (const forget of this.#forget) forget()
  }
}
