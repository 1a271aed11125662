import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Guard } from '../../cluster/guard.js'
import { Histogram } from '../measure/histogram.js'
import type { ManyViewersCount, ManyViewersOrder, ManyViewersTimes } from './many-viewers-worker.js'

const ANSWER_MS = 120_000

/** Viewers in a process of their own: one process has 20,000 descriptors, and a large audience needs many. */
export class ManyViewers {
  readonly pid: number
  readonly #process: ChildProcess
  readonly #guard = new Guard()

  constructor() {
    this.#process = fork(new URL('./many-viewers-worker.js', import.meta.url), { execArgv: ['--max-semi-space-size=2'], serialization: 'advanced' })
    this.pid = this.#process.pid!
    this.#guard.protect([this.pid])
  }

  /** Begins to connect. @param request the whole request @param ready stands in the stream once the viewer gets every later comment */
  connect(order: Omit<Extract<ManyViewersOrder, { kind: 'connect' }>, 'kind'>): void {
    this.#process.send({ kind: 'connect', ...order } satisfies ManyViewersOrder)
  }

  count(): Promise<ManyViewersCount> {
    return this.#ask<ManyViewersCount>({ kind: 'count' })
  }

  /** When its viewers got a comment, in ms after it was sent. */
  async times(number: number): Promise<{ histogram: Histogram; lastMs: number }> {
    const { counts, lastMs } = await this.#ask<ManyViewersTimes>({ kind: 'times', number })
    const histogram = new Histogram()
    counts.forEach((count, i) => (histogram.counts[i] = count))
    return { histogram, lastMs }
  }

  async close(): Promise<void> {
    const exited = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await exited
    this.#guard.close()
  }

  /** One question at a time. */
  async #ask<Answer>(order: ManyViewersOrder): Promise<Answer> {
    const answer = once(this.#process, 'message', { signal: AbortSignal.timeout(ANSWER_MS) })
    this.#process.send(order)
    return ((await answer) as [Answer])[0]
  }
}

/** What many groups have counted together. */
export async function countAll(groups: readonly ManyViewers[]): Promise<ManyViewersCount> {
  const counts = await Promise.all(groups.map(group => group.count()))
  const sum = (of: (count: ManyViewersCount) => number) => counts.reduce((total, count) => total + of(count), 0)
  const comments = Math.max(0, ...counts.map(({ have }) => have.length))
  return {
    ready: sum(({ ready }) => ready),
    turnedAway: sum(({ turnedAway }) => turnedAway),
    lost: sum(({ lost }) => lost),
    misplaced: sum(({ misplaced }) => misplaced),
    have: Array.from({ length: comments }, (_, i) => sum(({ have }) => have[i] ?? 0)),
  }
}
