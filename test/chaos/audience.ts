import type { ViewerNotes } from './notes.js'
import type { Random } from '../support/random.js'
import { eventStream, webSocket } from './line.js'
import { ChaosViewer, type Address } from './viewer.js'

export interface AudienceOptions {
  readonly viewers: number
  readonly videos: readonly string[]
  /** Whether some come and go. */
  readonly churning: boolean
  readonly random: Random
  /** Some watch by a WebSocket, which a gateway of a former version does not know. */
  readonly sockets: boolean
  /** Where to connect now, by cluster: viewers are at each in turn. */
  readonly addresses: readonly (() => Address)[]
}

const CHURNING_SHARE = 0.3
/** One viewer in so many watches by a WebSocket. */
const SOCKET_EVERY = 4
const STORM_SHARE = 0.3
const TICK_MS = 100

/** All viewers of a run: most stay, the others join, leave, and resume where they were. Half of them watch a tenth of the videos. */
export class Audience {
  readonly #options: AudienceOptions
  readonly #steady: ChaosViewer[] = []
  readonly #churning = new Set<ChaosViewer>()
  readonly #notes: ViewerNotes[] = []
  readonly #timers = new Set<NodeJS.Timeout>()
  #number = 0
  #ticking: NodeJS.Timeout | undefined

  constructor(options: AudienceOptions) {
    this.#options = options
    const churning = options.churning ? Math.floor(options.viewers * CHURNING_SHARE) : 0
    for (let i = churning; i < options.viewers; i++) this.#steady.push(this.#join(undefined))
    for (let i = 0; i < churning; i++) this.#churning.add(this.#join(this.#sometimesRecent()))
  }

  /** From now on some come and go. */
  begin(): void {
    this.#ticking = setInterval(() => this.#churn(), TICK_MS)
  }

  /** Of everybody who ever watched. */
  get notes(): readonly ViewerNotes[] {
    return this.#notes
  }

  get present(): readonly ChaosViewer[] {
    return [...this.#steady, ...this.#churning]
  }

  get watched(): number {
    return this.#notes.length
  }

  on(videoId: string): ChaosViewer[] {
    return this.present.filter(viewer => viewer.notes.videoId === videoId)
  }

  /** Many lose their connection at once, and come back with their cursor at once. */
  storm(): number {
    const hit = this.present.filter(() => this.#options.random.next() < STORM_SHARE)
    for (const viewer of hit) {
      viewer.disconnect()
      this.#later(this.#options.random.between(0, 200), () => viewer.resume())
    }
    return hit.length
  }

  /** Nobody comes or goes any more; who is away comes back. */
  settle(): void {
    clearInterval(this.#ticking)
    for (const timer of this.#timers) clearTimeout(timer)
    for (const viewer of this.present) {
      viewer.unstall()
      viewer.resume()
    }
  }

  close(): void {
    this.settle()
    for (const viewer of this.present) viewer.disconnect()
  }

  /** In ten seconds nearly every churning viewer has left once: for good, or to come back with its cursor. */
  #churn(): void {
    const { random } = this.#options
    for (const viewer of this.#churning) {
      if (random.next() > TICK_MS / 6_000) continue
      if (random.next() < 0.5) {
        viewer.disconnect()
        this.#later(random.between(0, 5_000), () => viewer.resume())
      } else {
        viewer.leave()
        this.#churning.delete(viewer)
        this.#churning.add(this.#join(this.#sometimesRecent()))
      }
    }
  }

  #join(recent: number | undefined): ChaosViewer {
    const { videos, random, addresses } = this.#options
    const hot = videos.slice(0, Math.ceil(videos.length / 10))
    const name = `viewer-${++this.#number}`
    // The first of them see to it that every video is watched.
    const videoId = videos[this.#number - 1] ?? (random.next() < 0.5 ? random.pick(hot) : random.pick(videos))
    const address = addresses[this.#number % addresses.length]!
    const isSocket = this.#options.sockets && Math.ceil(this.#number / addresses.length) % SOCKET_EVERY === 0
    const viewer = new ChaosViewer({ name, videoId, recent, address, open: isSocket ? webSocket : eventStream })
    this.#notes.push(viewer.notes)
    return viewer
  }

  #sometimesRecent(): number | undefined {
    const { random } = this.#options
    return random.next() < 0.5 ? random.whole(1, 50) : undefined
  }

  #later(ms: number, task: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      task()
    }, ms)
    this.#timers.add(timer)
  }
}
