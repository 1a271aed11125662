import type { Clock } from '../../runtime/clock.js'
import type { World } from './world.js'

/** A step of `soon`: what else is due now has its turn first. */
const TURN_MS = 0.02
/** What wall clocks say when a run begins, Unix ms. */
export const EPOCH_MS = Date.UTC(2026, 5, 1)

interface Held {
  readonly task: () => void
  readonly timer: boolean
}

/** One incarnation of a process. What reaches it while it is frozen is held and runs when it thaws; what reaches
 * it when it is dead is dropped. */
export class Process {
  readonly name: string
  readonly clock: Clock
  state: 'up' | 'frozen' | 'dead' = 'up'
  /** How far its wall clock is off, ms. */
  skewMs = 0
  readonly #world: World
  readonly #onBug: (error: unknown) => void
  #held: Held[] = []
  /** Until when its CPU is taken. */
  #busyUntil = 0
  readonly #deaths = new Set<() => void>()

  constructor(world: World, name: string, onBug: (error: unknown) => void) {
    this.#world = world
    this.name = name
    this.#onBug = onBug
    this.clock = {
      wall: () => EPOCH_MS + Math.floor(world.now + this.skewMs),
      now: () => Math.max(world.now, this.#busyUntil),
      after: (ms, task) => this.#timer(ms, task),
      tick: (ms, task) => {
        const dueAt = this.clock.now() + ms
        return this.#timer(ms, () => task(this.clock.now() - dueAt))
      },
      soon: task => void this.#timer(TURN_MS, task),
    }
  }

  /** Something for this process: its own code runs only in here. */
  run(task: () => void, timer = false): void {
    if (this.state === 'dead') return
    if (this.state === 'frozen') return void this.#held.push({ task, timer })
    if (this.#busyUntil > this.#world.now) return void this.#world.after(this.#busyUntil - this.#world.now, () => this.run(task, timer))
    try {
      task()
    } catch (error) {
      this.#onBug(error)
    }
  }

  /** The code that runs now takes this much CPU. */
  burn(ms: number): void {
    this.#busyUntil = Math.max(this.#busyUntil, this.#world.now) + ms
  }

  freeze(): void {
    if (this.state === 'up') this.state = 'frozen'
  }

  /** What was held runs in one go: either all timers first, as a loop that wakes in its timers' phase does, or
   * all in order. */
  thaw(): void {
    if (this.state !== 'frozen') return
    this.state = 'up'
    const held = this.#held
    this.#held = []
    const timersFirst = this.#world.random.chance(0.5)
    const ordered = timersFirst ? [...held.filter(({ timer }) => timer), ...held.filter(({ timer }) => !timer)] : held
    for (const { task, timer } of ordered) this.#world.after(0, () => this.run(task, timer))
  }

  kill(): void {
    if (this.state === 'dead') return
    this.state = 'dead'
    this.#held = []
    for (const told of [...this.#deaths]) told()
    this.#deaths.clear()
  }

  /** Told when it dies. @returns stops it */
  onDeath(listener: () => void): () => void {
    this.#deaths.add(listener)
    return () => this.#deaths.delete(listener)
  }

  #timer(ms: number, task: () => void): () => void {
    let cancelled = false
    // A timer's delay counts from what the process takes for now.
    const cancel = this.#world.after(ms + this.clock.now() - this.#world.now, () =>
      this.run(() => {
        if (!cancelled) task()
      }, true),
    )
    return () => {
      cancelled = true
      cancel()
    }
  }
}
