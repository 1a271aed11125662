import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { Histogram, HISTOGRAM_BUCKETS } from '../measure/histogram.js'
import type { Posted, PosterWorkerData } from './poster-worker.js'

/** Starts posting in a thread of its own, so that nothing but the machine delays it. */
export class Poster {
  /** Post due to answered, of what was accepted after the warm-up. */
  readonly latency: Histogram
  readonly done: Promise<Posted>

  constructor(options: Omit<PosterWorkerData, 'latency'>) {
    const latency = new SharedArrayBuffer(8 * HISTOGRAM_BUCKETS)
    this.latency = new Histogram(new Float64Array(latency))
    const workerData: PosterWorkerData = { ...options, latency }
    const worker = new Worker(new URL('./poster-worker.js', import.meta.url), { workerData })
    this.done = once(worker, 'message').then(([posted]) => posted as Posted)
  }
}
