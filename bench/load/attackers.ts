import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

export const COUNTS = ['headers', 'bodies', 'deaf', 'flood', 'opened', 'closed'] as const
export type Count = (typeof COUNTS)[number]

export interface AttackWorkerData {
  readonly host: string
  readonly port: number
  /** Source addresses of all but the flood: what many machines would be. */
  readonly sources: readonly string[]
  /** Source address of the flood. */
  readonly floodSource: string
  /** Connections that send one header byte a second; one body byte; that watch and never read. */
  readonly headers: number
  readonly bodies: number
  readonly deaf: number
  /** New connections a second that say nothing. */
  readonly floodRate: number
  readonly videos: number
  /** What is open now, and what was opened and closed in all, by `COUNTS`. */
  readonly memory: SharedArrayBuffer
}

const POLL_MS = 50

/** Those who mean harm, in a thread of this process. */
export class Attackers {
  readonly #worker: Worker
  readonly #counts: Int32Array
  readonly #held: number

  constructor(options: Omit<AttackWorkerData, 'memory'>) {
    const memory = new SharedArrayBuffer(4 * COUNTS.length)
    this.#counts = new Int32Array(memory)
    this.#held = options.headers + options.bodies + options.deaf
    const workerData: AttackWorkerData = { ...options, memory }
    this.#worker = new Worker(new URL('./attack-worker.js', import.meta.url), { workerData, execArgv: [] })
  }

  /** What is open now, of each kind; `opened` and `closed` since the start. */
  get(count: Count): number {
    return Atomics.load(this.#counts, COUNTS.indexOf(count))
  }

  /** Waits until nearly all that is to be held is held (the server goes on closing). @throws Error when that takes longer */
  async holding(timeoutMs: number): Promise<void> {
    const held = () => this.get('headers') + this.get('bodies') + this.get('deaf')
    for (const until = performance.now() + timeoutMs; held() < 0.95 * this.#held; await sleep(POLL_MS)) {
      if (performance.now() > until) throw new Error(`the attackers hold ${held()} of ${this.#held} connections`)
    }
  }

  async close(): Promise<void> {
    const exited = once(this.#worker, 'exit')
    this.#worker.postMessage('stop')
    await exited
  }
}
