import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'
import type { Ledger, Post, Try } from './ledger.js'
import type { Random } from '../support/random.js'
import type { Address } from './viewer.js'

export interface PostersOptions {
  readonly ledger: Ledger
  readonly videos: readonly string[]
  /** Comments a second, over all videos. */
  readonly rate: number
  readonly random: Random
  /** All gateways that there are now, by cluster: posters are at each in turn, and stay there. */
  readonly addresses: readonly (() => readonly Address[])[]
  /** A poster that has waited this long gives up, ms. */
  readonly patienceMs: number
}

const TICK_MS = 10
/** More than a gateway takes to answer a post it cannot store. */
const ANSWER_MS = 10_000
/** The answer that the video's home cannot be reached: nothing is stored. */
const AWAY = '503 HOME_UNAVAILABLE'
/** Of so many posters one does not take that for an answer: all of them would be more than a cluster has posts when the line heals. */
const STUBBORN_EVERY = 4
/** The longer one has waited, the more seldom it tries: so many tries until the wait grows no more. */
const MOST_TRIES = 20
/** What a 4-byte character makes of the longest comment: about 4 KB. */
const FAT = ` ${'🎉'.repeat(950)}`

/** Posts that come whether the ones before were answered or not, to every video in turn. Each is tried again under its key
 * until it is answered 201, at another gateway where one did not answer. */
export class Posters {
  readonly #options: PostersOptions
  readonly #agent = new Agent({ headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS, connect: { timeout: 2_000 }, keepAliveTimeout: 1_000 })
  readonly #underWay = new Set<Promise<void>>()
  readonly #bursts = new Set<{ videoId: string; perTick: number }>()
  #timer: NodeJS.Timeout | undefined
  #number = 0
  #due = 0
  #tickedAt = performance.now()

  constructor(options: PostersOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tick(), TICK_MS)
  }

  /** Long comments besides, `rate` a second on that video, until the function returned is called. */
  burst(videoId: string, rate: number): () => void {
    const burst = { videoId, perTick: (rate * TICK_MS) / 1_000 }
    this.#bursts.add(burst)
    return () => this.#bursts.delete(burst)
  }

  /** Begins no more posts, and waits for what became of those begun. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
    await this.#agent.destroy()
  }

  #tick(): void {
    const { videos, rate, random } = this.#options
    const now = performance.now()
    // What a held-up process left out is not made up for in one heap.
    this.#due = Math.min(this.#due + (rate * (now - this.#tickedAt)) / 1_000, rate / 10 + 1)
    this.#tickedAt = now
    for (; this.#due >= 1; this.#due--) this.#begin(videos[this.#number % videos.length]!, '')
    for (const { videoId, perTick } of this.#bursts) {
      for (let left = perTick; left > 0; left--) if (random.next() < left) this.#begin(videoId, FAT)
    }
  }

  #begin(videoId: string, padding: string): void {
    const key = `post-${++this.#number}`
    const number = this.#number
    const done = this.#post(this.#options.ledger.add(videoId, key, key + padding), number).finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
  }

  async #post(post: Post, number: number): Promise<void> {
    const { videos, random, ledger, patienceMs } = this.#options
    const round = Math.floor(number / videos.length)
    const addresses = this.#options.addresses[round % this.#options.addresses.length]!
    const isStubborn = Math.floor(round / this.#options.addresses.length) % STUBBORN_EVERY === 0
    const deadline = post.begunAt + patienceMs
    let last: string | undefined
    while (performance.now() < deadline) {
      const all = addresses()
      const others = all.filter(({ id }) => id !== last)
      const { id, url } = random.pick(others.length > 0 ? others : all)
      last = id
      const one: Try = { at: performance.now(), gateway: id, outcome: undefined }
      post.tries.push(one)
      const answer = await this.#try(url, post)
      one.outcome = answer.outcome
      if (answer.id !== undefined) return ledger.acknowledge(post, answer.id)
      if (answer.final) break
      if (!isStubborn && answer.outcome === AWAY) {
        post.left = true
        return
      }
      await sleep(random.between(50, 250) * Math.min(post.tries.length, MOST_TRIES))
    }
    post.failed = true
  }

  async #try(origin: string, post: Post): Promise<{ outcome: string; id?: number; final?: boolean }> {
    try {
      const { statusCode, body } = await this.#agent.request({
        origin,
        path: `/comments/${post.videoId}`,
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': post.key },
        body: JSON.stringify({ content: post.content, authorId: 'chaos' }),
      })
      const answer = (await body.json()) as { id?: string; error?: { code: string } }
      if (statusCode === 201) return { outcome: '201', id: Number(answer.id) }
      return { outcome: `${statusCode} ${answer.error?.code}`, final: statusCode >= 400 && statusCode < 500 && statusCode !== 429 }
    } catch (error) {
      return { outcome: (error as { code?: string }).code ?? (error as Error).message }
    }
  }
}
