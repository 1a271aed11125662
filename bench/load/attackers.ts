import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'

export const COUNTS = ['headers', 'bodies', 'deaf', 'silent', 'flood', 'opened', 'closed', 'pages', 'pagesRefused', 'joins', 'messages'] as const
export type Count = (typeof COUNTS)[number]

export interface AttackWorkerData {
  readonly host: string
  readonly port: number
  /** Source addresses of all but the flood: what many machines would be. */
  readonly sources: readonly string[]
  /** Source address of the flood. */
  readonly floodSource: string
  /** Source addresses of those who send nothing; of those who read pages. */
  readonly silentSources: readonly string[]
  readonly readSources: readonly string[]
  /** Source addresses of those who post by WebSocket without pause. */
  readonly shoutSources: readonly string[]
  /** Source address of those who join again and again, a proxy that the gateway trusts; the client that it names. */
  readonly proxySource: string
  readonly proxied: string
  /** Connections that send one header byte a second; one body byte; that watch and never read; that send nothing. */
  readonly headers: number
  readonly bodies: number
  readonly deaf: number
  readonly silent: number
  /** Connections that ask for the next page of 200 comments when they have one; viewers that come back with an old cursor when
   * they have their replay; viewers of other videos that come back when they have joined. */
  readonly readers: number
  readonly resumers: number
  readonly joiners: number
  /** WebSockets that send 200 posts a second each, and connect again when they are closed. */
  readonly shouters: number
  /** Has comments to read. */
  readonly history: string
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
    this.#held = options.headers + options.bodies + options.deaf + options.silent
    const workerData: AttackWorkerData = { ...options, memory }
    this.#worker = new Worker(new URL('./attack-worker.js', import.meta.url), { workerData, execArgv: [] })
  }

  /** What is open now, of each kind of connection; the rest since the start. */
  get(count: Count): number {
    return Atomics.load(this.#counts, COUNTS.indexOf(count))
  }

  /** Waits until nearly all that is to be held is held (the server goes on closing). @throws Error when that takes longer */
  async holding(timeoutMs: number): Promise<void> {
    const held = () => this.get('headers') + this.get('bodies') + this.get('deaf') + this.get('silent')
    for (const until = performance.now() + timeoutMs; held() < 0.9 * this.#held; await sleep(POLL_MS)) {
      if (performance.now() > until) throw new Error(`the attackers hold ${held()} of ${this.#held} connections`)
    }
  }

  async close(): Promise<void> {
    const exited = once(this.#worker, 'exit')
    this.#worker.postMessage('stop')
    await exited
  }
}
