import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Counts, Order, Share } from './crowd-worker.js'
import type { ViewerNotes } from './notes.js'
import type { Address } from './viewer.js'

export interface CrowdOptions {
  readonly viewers: number
  readonly videos: readonly string[]
  /** Viewers that come, a second. */
  readonly perSecond: number
  readonly addresses: readonly Address[]
}

const VIEWERS_A_THREAD = 5_000

/** More viewers than one thread reads for, each as {@link ChaosViewer} has it. */
export class Crowd {
  readonly viewers: number
  readonly #workers: readonly Worker[]

  /** They begin to come at once. */
  constructor({ viewers, videos, perSecond, addresses }: CrowdOptions) {
    this.viewers = viewers
    const threads = Math.ceil(viewers / VIEWERS_A_THREAD)
    this.#workers = Array.from({ length: threads }, (_, first) => {
      const workerData: Share = { first, step: threads, viewers: Math.ceil((viewers - first) / threads), videos, perSecond: perSecond / threads, addresses }
      return new Worker(new URL('crowd-worker.js', import.meta.url), { workerData, execArgv: [] })
    })
  }

  /** Where they connect from now on. */
  send(addresses: readonly Address[]): void {
    for (const worker of this.#workers) worker.postMessage({ kind: 'addresses', addresses } satisfies Order)
  }

  /** @param last id by video */
  async count(last: ReadonlyMap<string, number> = new Map()): Promise<Counts> {
    const all = await this.#ask<Counts>({ kind: 'count', last })
    return all.reduce((sum, { ready, behind }) => ({ ready: sum.ready + ready, behind: sum.behind + behind }))
  }

  /** All leave. @returns what they noted */
  async leave(): Promise<ViewerNotes[]> {
    return (await this.#ask<ViewerNotes[]>({ kind: 'leave' })).flat()
  }

  #ask<T>(order: Order): Promise<T[]> {
    return Promise.all(
      this.#workers.map(async worker => {
        const answer = once(worker, 'message')
        worker.postMessage(order)
        return ((await answer) as [T])[0]
      }),
    )
  }
}
