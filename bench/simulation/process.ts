import type { Clock } from '../../runtime/clock.js'
import type { Timeline } from './timeline.js'

/** An event loop looks at what has come after so much work. */
const TURN_MS = 1
/** How often work that is known only by its share of a core takes its part of the time. */
const BACKGROUND_MS = 5

/** The cores of a machine on which several processes take turns, in the order in which they became ready. */
export class Cores {
  readonly #timeline: Timeline
  readonly #waiting: (() => number)[] = []
  #free: number

  constructor(timeline: Timeline, cores: number) {
    this.#timeline = timeline
    this.#free = cores
  }

  /** @param turn runs when a core is free @returns how long it takes, ms */
  take(turn: () => number): void {
    if (this.#free === 0) return void this.#waiting.push(turn)
    this.#free--
    this.#timeline.after(turn(), () => {
      this.#free++
      const next = this.#waiting.shift()
      if (next) this.take(next)
    })
  }
}

export interface ProcessOptions {
  readonly timeline: Timeline
  /** What it costs to wake up for the first task after a pause, ms. */
  readonly wakeMs: number
  /** Shared with other processes; without, the process has a core of its own. */
  readonly cores?: Cores | undefined
}

/** A process with one event loop, in virtual time: its tasks run one after another, and while one spends time the others wait.
 * To the code that runs in it, it is the clock. */
export class Process implements Clock {
  /** Processor time that it has used. */
  busyMs = 0
  readonly #options: ProcessOptions
  #tasks: (() => void)[] = []
  #turnAt: number | undefined
  #spentMs = 0
  /** Spent outside of a turn: the next one begins with it. */
  #owedMs = 0
  #freeAt = -1
  #scheduled = false

  constructor(options: ProcessOptions) {
    this.#options = options
  }

  now(): number {
    if (this.#turnAt !== undefined) return this.#turnAt + this.#spentMs
    return Math.max(this.#options.timeline.now(), this.#freeAt) + this.#owedMs
  }

  wall(): number {
    return this.now()
  }

  after(ms: number, task: () => void): () => void {
    return this.tell(ms, () => this.soon(task))
  }

  tick(ms: number, task: (lateMs: number) => void): () => void {
    const dueAt = this.now() + ms
    return this.after(ms, () => task(this.now() - dueAt))
  }

  soon(task: () => void): void {
    this.#tasks.push(task)
    this.#schedule()
  }

  /** Runs `task` at no cost `ms` after what this process has done so far: what it sends arrives somewhere. */
  tell(ms: number, task: () => void): () => void {
    const { timeline } = this.#options
    return timeline.after(this.now() - timeline.now() + ms, task)
  }

  spend(ms: number): void {
    if (this.#turnAt === undefined) this.#owedMs += ms
    else this.#spentMs += ms
  }

  /** Work beside, which takes a share of a core of its own. @param share 0 to 1 @param phase 0 to 1: when it takes its parts */
  background(share: number, phase: number): void {
    const { timeline } = this.#options
    const ms = share * BACKGROUND_MS
    if (ms <= 0) return
    timeline.after(phase * BACKGROUND_MS, () => {
      timeline.every(BACKGROUND_MS, () => {
        if (this.#scheduled) return this.spend(ms)
        this.#freeAt = Math.max(this.#freeAt, timeline.now()) + ms
        this.busyMs += ms
      })
    })
  }

  #schedule(): void {
    if (this.#scheduled || this.#turnAt !== undefined) return
    this.#scheduled = true
    const { timeline, cores } = this.#options
    const turn = () => this.#turn()
    timeline.after(this.#freeAt - timeline.now(), cores ? () => cores.take(turn) : turn)
  }

  #turn(): number {
    const { timeline, wakeMs } = this.#options
    this.#scheduled = false
    this.#turnAt = timeline.now()
    this.#spentMs = this.#owedMs + (timeline.now() > this.#freeAt ? wakeMs : 0)
    this.#owedMs = 0
    let done = 0
    while (done < this.#tasks.length && (done === 0 || this.#spentMs < TURN_MS)) this.#tasks[done++]!()
    this.#tasks = this.#tasks.slice(done)
    const spent = this.#spentMs
    this.#freeAt = this.#turnAt + spent
    this.#turnAt = undefined
    this.busyMs += spent
    if (this.#tasks.length > 0) this.#schedule()
    return spent
  }
}
