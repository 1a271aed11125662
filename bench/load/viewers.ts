import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { Histogram } from '../measure/histogram.js'
import { addFaults, noFaults } from './checker.js'
import { wallMs, type Schedule } from './schedule.js'
import { ViewerStats } from './stats.js'
import type { StreamTarget } from './target.js'
import type { Order, Verdict, ViewerWorkerData } from './viewer-worker.js'

export interface Audience {
  readonly targets: readonly StreamTarget[]
  /** Viewer i connects to target i mod their number and watches video i mod `videos`. */
  readonly viewers: number
  readonly videos: number
  /** At least so many are checked event by event, of every video one. */
  readonly checked: number
  /** Joins a second; 0: as fast as they are taken. */
  readonly joinRate: number
}

const POLL_MS = 20
/** A thread that reads for 10,000 viewers comes to its orders late. */
const ANSWER_MS = 60_000
const CLOSE_MS = 10_000

/** Many viewers, in threads of this process: what they are told, and what they count. */
export class Viewers {
  readonly #workers: Worker[] = []
  readonly #stats: ViewerStats[] = []
  readonly #exits: Promise<unknown>[] = []
  #connected = 0
  #error: Error | undefined

  constructor(threads: number) {
    for (let i = 0; i < threads; i++) {
      const stats = new ViewerStats()
      const workerData: ViewerWorkerData = { memory: stats.memory }
      const worker = new Worker(new URL('./viewer-worker.js', import.meta.url), { workerData, execArgv: [] })
      worker.on('error', error => (this.#error ??= error))
      this.#workers.push(worker)
      this.#stats.push(stats)
      this.#exits.push(new Promise(resolve => worker.once('exit', resolve)))
    }
  }

  /** Begins to connect an audience; several may follow one another. @returns Unix ms at which its first viewer is due */
  connect({ targets, viewers, videos, checked, joinRate }: Audience): number {
    const startAt = wallMs() + 50
    const stride = this.#workers.length
    this.#workers.forEach((worker, first) =>
      this.#send(worker, {
        kind: 'connect',
        targets,
        first,
        stride,
        end: viewers,
        videos,
        checkEvery: Math.max(1, Math.floor(viewers / videos / Math.ceil(checked / videos))),
        startAt,
        stepMs: joinRate === 0 ? 0 : 1000 / joinRate,
      }),
    )
    this.#connected += viewers
    return startAt
  }

  /** Waits until everyone is ready. @throws Error when that takes longer, or a viewer is refused */
  async ready(timeoutMs: number, progress: (ready: number) => void = () => {}): Promise<void> {
    const deadline = wallMs() + timeoutMs
    while (this.get('ready') < this.#connected) {
      progress(this.get('ready'))
      if (this.#error) throw this.#error
      if (wallMs() > deadline) throw new Error(`only ${this.get('ready')} of ${this.#connected} viewers were ready in ${timeoutMs / 1000} s (${this.get('failed')} failed)`)
      if (this.get('failed') > 0) throw new Error(`${this.get('failed')} viewers were refused: ${(await this.verify(new Uint8Array(), false)).firstError ?? 'their stream ended'}`)
      await sleep(POLL_MS)
    }
    progress(this.#connected)
  }

  begin(schedule: Schedule): void {
    for (const worker of this.#workers) this.#send(worker, { kind: 'begin', schedule })
  }

  /** Something disturbs the viewers between these times, Unix ms. Comments that are due then are timed apart. */
  disturbed(from: number, until = Infinity): void {
    for (const worker of this.#workers) this.#send(worker, { kind: 'disturbed', from, until })
  }

  get(counter: Parameters<ViewerStats['get']>[0]): number {
    return this.#stats.reduce((sum, stats) => sum + stats.get(counter), 0)
  }

  histogram(name: 'posted' | 'disturbed' | 'accepted' | 'joined' | 'back'): Histogram {
    const all = new Histogram()
    for (const stats of this.#stats) all.add(stats[name])
    return all
  }

  /** @param accepted 1 for each post that the system took
   * @throws Error when a thread has failed, or does not answer within a minute */
  async verify(accepted: Uint8Array, settled: boolean): Promise<Verdict> {
    const all = { faults: noFaults(), firstError: undefined as string | undefined }
    for (const verdict of await Promise.all(this.#workers.map(worker => this.#ask(worker, { kind: 'verify', accepted, settled })))) {
      addFaults(all.faults, verdict.faults)
      all.firstError ??= verdict.firstError
    }
    return all
  }

  async close(): Promise<void> {
    for (const worker of this.#workers) this.#send(worker, { kind: 'close' })
    const force = setTimeout(() => this.#workers.forEach(worker => void worker.terminate()), CLOSE_MS)
    await Promise.all(this.#exits)
    clearTimeout(force)
  }

  async #ask(worker: Worker, order: Order): Promise<Verdict> {
    if (this.#error) throw this.#error
    const answer = once(worker, 'message', { signal: AbortSignal.timeout(ANSWER_MS) })
    this.#send(worker, order)
    return ((await answer) as [Verdict])[0]
  }

  #send(worker: Worker, order: Order): void {
    worker.postMessage(order)
  }
}
