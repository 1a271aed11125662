import { setTimeout as sleep } from 'node:timers/promises'
import { parseActResult, printActRequest } from '../../protocol/acts.js'
import type { Act } from '../../protocol/entry.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { PeerError } from '../../runtime/peers/peer-error.js'
import type { Random } from '../support/random.js'
import type { ActNote, Ledger } from './ledger.js'

export interface ModeratorsOptions {
  readonly ledger: Ledger
  readonly videos: readonly string[]
  /** Acts a second, over all videos. */
  readonly rate: number
  readonly random: Random
  /** The clusters at which they act: each act at one of them. */
  readonly clusters: readonly ActsAt[]
  /** A moderator that has waited this long gives up, ms. */
  readonly patienceMs: number
}

/** Where acts are done in one cluster. */
export interface ActsAt {
  /** Internal addresses of all dispatchers. */
  readonly dispatcherUrls: readonly string[]
  /** What they want to be sent. */
  readonly internalToken: string
}

/** Whom they ban. Nobody else posts under this name. */
export const TROLL = 'troll'

const TICK_MS = 50
const ANSWER_MS = 5_000
/** Of a video's newest comments, some are deleted while they are on their way. */
const NEWEST = 3
const BANNED_MS = 86_400_000

/** Moderators, by commands: each act is tried again under its key, at any dispatcher, until it is done. */
export class Moderators {
  readonly #options: ModeratorsOptions
  readonly #clients: ReadonlyMap<ActsAt, InternalClient>
  readonly #underWay = new Set<Promise<void>>()
  readonly #timer: NodeJS.Timeout
  #number = 0

  constructor(options: ModeratorsOptions) {
    this.#options = options
    this.#clients = new Map(options.clusters.map(cluster => [cluster, new InternalClient(cluster.internalToken)]))
    this.#timer = setInterval(() => {
      if (options.random.next() < (options.rate * TICK_MS) / 1_000) this.#begin()
    }, TICK_MS)
  }

  /** Begins no more acts, and waits for what became of those begun. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await Promise.all(this.#underWay)
    await Promise.all([...this.#clients.values()].map(client => client.close()))
  }

  #begin(): void {
    const { ledger, random, videos } = this.#options
    const videoId = random.pick(videos)
    const act = this.#act(videoId)
    if (!act) return
    const done = this.#do(ledger.addAct(videoId, `act-${++this.#number}`, act)).finally(() => this.#underWay.delete(done))
    this.#underWay.add(done)
  }

  #act(videoId: string): Act | undefined {
    const { ledger, random } = this.#options
    const which = random.next()
    if (which < 0.15) return { type: 'author-banned', authorId: TROLL, until: Date.now() + BANNED_MS }
    const comments = [...ledger.posts()].filter(post => post.videoId === videoId && post.id !== undefined && !ledger.deletionOf(videoId, post.id))
    const target = comments.length === 0 ? undefined : random.pick(random.next() < 0.6 ? comments.slice(-NEWEST) : comments).id
    if (which < 0.35) return { type: 'pinned', target: random.next() < 0.3 ? undefined : target }
    return target === undefined ? undefined : { type: 'deleted', target }
  }

  async #do(note: ActNote): Promise<void> {
    const { ledger, random, clusters, patienceMs } = this.#options
    const cluster = random.pick(clusters)
    const { videoId, key, act } = note
    const order = { videoId, key, actorId: 'operator', asModerator: true, act }
    while (performance.now() < note.begunAt + patienceMs) {
      const outcome = await this.#try(cluster, printActRequest({ passedOn: false, order, leftMs: ANSWER_MS }))
      note.outcomes.push(typeof outcome === 'number' ? 'done' : outcome)
      if (typeof outcome === 'number') return ledger.done(note, outcome)
      // Somebody else has deleted what was to be pinned.
      if (outcome === 'COMMENT_NOT_FOUND' && act.type === 'pinned') return
      await sleep(random.between(50, 250))
    }
    note.failed = true
  }

  async #try(cluster: ActsAt, body: string): Promise<number | string> {
    const url = this.#options.random.pick(cluster.dispatcherUrls)
    try {
      const result = parseActResult(await this.#clients.get(cluster)!.call(url, { path: '/internal/acts', body, headers: { 'content-type': 'application/json' }, timeoutMs: ANSWER_MS + 1_000 }))
      return 'error' in result ? result.error.code : result.entryId
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      return error.message
    }
  }
}
