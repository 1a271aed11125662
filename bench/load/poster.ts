import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Histogram, HISTOGRAM_BUCKETS } from '../measure/histogram.js'
import type { Posted, PosterWorkerData } from './poster-worker.js'

const PATIENCE_MS = 10_000

/** Starts posting in a thread of its own, so that nothing but the machine delays it. */
export class Poster {
  /** Post due to answered, of what was accepted after the warm-up. */
  readonly latency: Histogram
  readonly done: Promise<Posted>

  constructor({ patienceMs = PATIENCE_MS, ...options }: Omit<PosterWorkerData, 'latency' | 'patienceMs'> & { readonly patienceMs?: number }) {
    const latency = new SharedArrayBuffer(8 * HISTOGRAM_BUCKETS)
    this.latency = new Histogram(new Float64Array(latency))
    const workerData: PosterWorkerData = { ...options, patienceMs, latency }
    const worker = new Worker(new URL('./poster-worker.js', import.meta.url), { workerData, execArgv: [] })
    this.done = once(worker, 'message').then(([posted]) => posted as Posted)
    this.done.catch(() => {}) // who waits for it is told, when they do
  }
}
