import type { Stored } from '../../dispatcher/store/store.js'
import type { Draft, VideoId } from '../../protocol/comment.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import type { Disk } from './disk.js'
import type { World } from './world.js'

/** What must hold of every run. */
export type Invariant =
  | 'missed' // (1) an acknowledged comment did not reach a viewer that it was for
  | 'twice' // (2)
  | 'order' // (3)
  | 'history' // (4) all acknowledged is in history, no key stored twice
  | 'paging' // (5)
  | 'recent' // (6) what a newcomer is given and history join without a gap
  | 'gap' // a gap names just what was not sent, and only where there was reason
  | 'cursor' // a viewer's cursor never passes what it missed
  | 'encoding' // a compressed stream is one, across edges too
  | 'waiting' // nobody waits for ever
  | 'late' // bounds on latency
  | 'memory' // bounds on memory
  | 'restless' // once all is well, nothing goes on but what always does
  | 'answer' // a post was answered 503 and stored all the same, or not within 8 s
  | 'bug' // the code threw

export interface Violation {
  readonly atMs: number
  readonly invariant: Invariant
  readonly text: string
  readonly viewer: string | undefined
  readonly videoId: VideoId | undefined
  readonly id: CommentId | undefined
}

export interface Post {
  readonly draft: Draft
  readonly begunAt: number
  ackedAt: number | undefined
  id: CommentId | undefined
  /** In their order. */
  readonly tries: Try[]
}

/** One request of a poster. */
export interface Try {
  readonly begunAt: number
  /** HTTP status; undefined: no answer, or none that says what became of the post. */
  status: number | undefined
}

/** A run's judge: it sees the disk and every viewer, poster and pager, and none of the code under test. */
export class Checker {
  readonly violations: Violation[] = []
  readonly posts: Post[] = []
  /** Comments that viewers were seen to get, each for each viewer. */
  deliveries = 0
  gaps = 0
  /** Longest from a comment's commit to a viewer that was there and well. */
  worst = { latencyMs: 0, viewer: '', videoId: '', id: 0 }
  readonly #world: World
  readonly #disk: Disk
  /** The newest acknowledged of each video, whenever there was a newer one. */
  readonly #acked = new Map<VideoId, { readonly id: CommentId; readonly at: number }[]>()

  constructor(world: World, disk: Disk) {
    this.#world = world
    this.#disk = disk
  }

  violate(invariant: Invariant, text: string, about: { viewer?: string | undefined; videoId?: VideoId | undefined; id?: CommentId | undefined } = {}): void {
    if (this.violations.length >= 20) return
    this.violations.push({ atMs: this.#world.now, invariant, text, viewer: about.viewer, videoId: about.videoId, id: about.id })
    this.#world.tell?.(`!! ${invariant}: ${text}`)
  }

  acknowledged(post: Post, id: CommentId): void {
    const { videoId } = post.draft
    post.ackedAt ??= this.#world.now
    if (post.id !== undefined && post.id !== id) this.violate('history', `one key was answered with ${post.id} and with ${id}`, { videoId, id })
    post.id = id
    const newest = this.#acked.get(videoId) ?? []
    this.#acked.set(videoId, newest)
    if (id > (newest.at(-1)?.id ?? 0)) newest.push({ id, at: this.#world.now })
    const stored = this.at(videoId, id)
    if (stored?.comment.content !== post.draft.content) this.violate('history', `${id} was acknowledged and is not stored so`, { videoId, id })
  }

  /** @param by when it had been acknowledged */
  newestAcked(videoId: VideoId, by = Infinity): Cursor {
    return this.#acked.get(videoId)?.findLast(({ at }) => at <= by)?.id ?? 0
  }

  get ackedCount(): number {
    let count = 0
    for (const { ackedAt } of this.posts) if (ackedAt !== undefined) count++
    return count
  }

  /** Everything stored of a video, ascending. */
  stored(videoId: VideoId): readonly Stored[] {
    return this.#disk.model.videos.get(videoId) ?? []
  }

  head(videoId: VideoId): Cursor {
    return this.stored(videoId).at(-1)?.comment.id ?? 0
  }

  at(videoId: VideoId, id: CommentId): Stored | undefined {
    const stored = this.stored(videoId)[this.#above(videoId, id) - 1]
    return stored?.comment.id === id ? stored : undefined
  }

  /** How many are stored with after < id ≤ until. */
  count(videoId: VideoId, after: Cursor, until: Cursor): number {
    return Math.max(0, this.#above(videoId, until) - this.#above(videoId, after))
  }

  landedAt(videoId: VideoId, id: CommentId): number {
    return this.#disk.landedAt.get(videoId)?.get(id) ?? Infinity
  }

  /** Once all is quiet: what was acknowledged is stored, and no key made two comments. */
  checkStored(): void {
    const seen = new Set<string>()
    for (const list of this.#disk.model.videos.values()) {
      for (const { comment } of list) {
        if (seen.has(comment.content)) this.violate('history', `${comment.content} is stored twice`, comment)
        seen.add(comment.content)
      }
    }
    for (const { draft, id } of this.posts) {
      if (id !== undefined && !this.at(draft.videoId, id)) this.violate('history', `${id} was acknowledged and is not stored`, { videoId: draft.videoId, id })
    }
  }

  /** Once all is quiet: what was answered 503 is not stored by that try, then or later, and nothing is stored that its
   * poster has long given up. @param latestMs after the try that stored it began */
  checkAnswers(latestMs: number): void {
    const landed = new Map<string, { readonly id: CommentId; readonly at: number }>()
    for (const [videoId, list] of this.#disk.model.videos) for (const { comment } of list) landed.set(comment.content, { id: comment.id, at: this.landedAt(videoId, comment.id) })
    for (const { draft, tries } of this.posts) {
      const stored = landed.get(draft.content)
      if (!stored) continue
      const last = tries.findLast(({ begunAt }) => begunAt <= stored.at)
      const lateMs = stored.at - (last?.begunAt ?? stored.at)
      if (lateMs > latestMs) this.violate('answer', `${draft.content} was stored ${Math.round(lateMs)} ms after it was asked for last`, { videoId: draft.videoId, id: stored.id })
      // Once a try's outcome is unknown, what lands later may be its.
      for (const [i, { begunAt, status }] of tries.entries()) {
        if (status !== 503) break
        const until = tries[i + 1]?.begunAt ?? Infinity
        if (stored.at >= begunAt && stored.at < until) this.violate('answer', `${draft.content} was answered 503 and stored ${Math.round(stored.at - begunAt)} ms after it was asked for`, { videoId: draft.videoId, id: stored.id })
      }
    }
  }

  /** Index of the first stored comment above `id`. */
  #above(videoId: VideoId, id: Cursor): number {
    const list = this.stored(videoId)
    let low = 0
    let high = list.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (list[middle]!.comment.id > id) high = middle
      else low = middle + 1
    }
    return low
  }
}
