import { Buffer } from 'node:buffer'
import type { Process } from './process.js'
import type { World } from './world.js'

/** The end that reads: called in its own process, never after `abort`. */
export interface Reader {
  data(chunk: Buffer, headers: ReadonlyMap<string, string>): void
  /** The writer ended it, or it broke, perhaps in the middle of what was written. */
  over(broken: boolean): void
}

export interface ChannelOptions {
  readonly world: World
  readonly from: Process
  readonly to: Process
  readonly reader: Reader
  /** Bytes that the sockets between take before `write` says so. */
  readonly limitBytes: number
  readonly latencyMs: () => number
  /** How long nothing passes between the two any more, ms. */
  readonly cutMs: () => number
}

/** A TCP connection in one direction: ordered bytes that arrive in chunks cut anywhere, with back-pressure. A
 * writer that is killed may leave any first part of what it wrote; one that is frozen leaves all of it. */
export class Channel {
  /** The writer's: all that was written has room again. */
  onWritable: () => void = () => {}
  /** The writer's: the reader is gone. */
  onAborted: () => void = () => {}
  /** Of the answer that goes this way. */
  readonly headers = new Map<string, string>()
  /** Most bytes that ever waited. */
  mostBuffered = 0
  readonly #o: ChannelOptions
  #queue: Buffer[] = []
  #buffered = 0
  #full = false
  /** The writer is done, or dead. */
  #over: 'ended' | 'broken' | undefined
  /** The reader wants nothing more. */
  #aborted = false
  #paused = false
  #moving = false
  readonly #forget: (() => void)[]

  constructor(options: ChannelOptions) {
    this.#o = options
    this.#forget = [options.from.onDeath(() => this.reset()), options.to.onDeath(() => this.abort())]
  }

  get closed(): boolean {
    return this.#over !== undefined || this.#aborted
  }

  /** @returns false when this was the last that it takes for now */
  write(bytes: Uint8Array | string): boolean {
    if (this.closed) return true
    this.#push(bytes)
    if (this.#buffered > this.#o.limitBytes) this.#full = true
    return !this.#full
  }

  end(last?: Uint8Array | string): void {
    if (this.closed) return
    if (last !== undefined) this.#push(last)
    this.#over = 'ended'
    this.#move()
  }

  /** The writer is gone without a word: some first part of what waits still arrives. */
  reset(): void {
    if (this.closed) return
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

  #push(bytes: Uint8Array | string): void {
    const copy = Buffer.from(bytes)
    if (copy.length === 0) return
    this.#queue.push(copy)
    this.#buffered += copy.length
    this.mostBuffered = Math.max(this.mostBuffered, this.#buffered)
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
      if (this.#full && !this.#over && this.#buffered <= limitBytes / 2) {
        this.#full = false
        world.after(latencyMs(), () => from.run(() => {
          if (!this.closed) this.onWritable()
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
