import type { Stored, Timed } from '../../dispatcher/store/store.js'
import type { VideoId } from '../../protocol/comment.js'
import type { Act } from '../../protocol/entry.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import { Chronicle, type Prohibition } from './chronicle.js'
import type { Disk, Landed } from './disk.js'
import { isModerator } from './names.js'
import { EPOCH_MS } from './process.js'
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
  | 'answer' // a post or an act was refused and stored all the same, or not answered within 8 s
  | 'erased' // a deleted comment was shown after its deletion had been answered
  | 'acts' // an act is shown as it was done, and what the acts have come to as it is in the store
  | 'skipped' // who asked for fewer comments is shown more of them, or told of others than were left out
  | 'forbidden' // a post was stored, or refused, against what the acts say
  | 'hook' // the web hook sees each entry that is stored, in order, since it began
  | 'bug' // the code threw

export interface Violation {
  readonly atMs: number
  readonly invariant: Invariant
  readonly text: string
  readonly viewer: string | undefined
  readonly videoId: VideoId | undefined
  readonly id: CommentId | undefined
}

/** A post, or an act. */
export interface Post {
  readonly draft: Timed
  /** Of an act: whether this is what was asked for. A gateway adds to some. */
  readonly isDone?: (act: Act) => boolean
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

export interface CheckerOptions {
  readonly world: World
  readonly disk: Disk
  /** How long news of what happened `at` may take to reach everyone, ms. */
  readonly boundMs: (at: number) => number
  /** Nothing is in trouble, so that slow mode keeps its pace. */
  readonly isQuiet: boolean
}

/** Two posts of an author that two dispatchers have at a time pass slow mode both; and its clocks count whole milliseconds. */
const SLOW_SLACK_MS = 250

/** A run's judge: it sees the disk and every viewer, poster and pager, and none of the code under test. */
export class Checker {
  readonly violations: Violation[] = []
  readonly posts: Post[] = []
  /** Comments that viewers were seen to get, each for each viewer. */
  deliveries = 0
  gaps = 0
  /** Comments that viewers were told are left out. */
  skipped = 0
  /** Longest from a comment's commit to a viewer that was there and well. */
  worst = { latencyMs: 0, viewer: '', videoId: '', id: 0 }
  readonly #o: CheckerOptions
  readonly #world: World
  readonly #disk: Disk
  readonly #chronicles = new Map<VideoId, Chronicle>()
  /** By who made it, and how. */
  readonly #made = new Map<string, Landed>()
  /** The newest acknowledged of each video and kind, whenever there was a newer one. */
  readonly #acked = new Map<string, { readonly id: CommentId; readonly at: number }[]>()

  constructor(options: CheckerOptions) {
    this.#o = options
    this.#world = options.world
    this.#disk = options.disk
    options.disk.onLanded = landed => this.#landed(landed)
  }

  violate(invariant: Invariant, text: string, about: { viewer?: string | undefined; videoId?: VideoId | undefined; id?: CommentId | undefined } = {}): void {
    if (this.violations.length >= 20) return
    this.violations.push({ atMs: this.#world.now, invariant, text, viewer: about.viewer, videoId: about.videoId, id: about.id })
    this.#world.tell?.(`!! ${invariant}: ${text}`)
  }

  /** Where a deletion is acknowledged, what it deleted has left the disk. */
  acknowledged(post: Post, id: CommentId): void {
    const { videoId, content, act } = post.draft
    const { isDone = () => false } = post
    const { now } = this.#world
    const chronicle = this.chronicle(videoId)
    post.ackedAt ??= now
    if (post.id !== undefined && post.id !== id) this.violate('history', `one key was answered with ${post.id} and with ${id}`, { videoId, id })
    post.id = id
    chronicle.answered(id, now)
    if (chronicle.isShown(id)) this.#note(`${videoId} shown`, id)
    if (chronicle.isComment(id)) this.#note(`${videoId} comments`, id)
    const said = this.at(videoId, id) && chronicle.at(id)?.draft
    if (!said || (said.act ? !isDone(said.act) : said.content !== content)) this.violate('history', `${id} was acknowledged and is not stored so`, { videoId, id })
    if (act?.type === 'deleted' && this.at(videoId, act.target)?.comment.content !== '') this.violate('erased', `the deletion of ${act.target} was answered before its text had left the disk`, { videoId, id: act.target })
  }

  #note(kind: string, id: CommentId): void {
    const newest = this.#acked.get(kind) ?? []
    this.#acked.set(kind, newest)
    if (id > (newest.at(-1)?.id ?? 0)) newest.push({ id, at: this.#world.now })
  }

  /** Of entries that viewers see: all but bans. */
  newestAcked(videoId: VideoId): Cursor {
    return this.#acked.get(`${videoId} shown`)?.at(-1)?.id ?? 0
  }

  /** @param by when it had been acknowledged */
  newestAckedComment(videoId: VideoId, by: number): Cursor {
    return this.#acked.get(`${videoId} comments`)?.findLast(({ at }) => at <= by)?.id ?? 0
  }

  chronicle(videoId: VideoId): Chronicle {
    let chronicle = this.#chronicles.get(videoId)
    if (!chronicle) this.#chronicles.set(videoId, (chronicle = new Chronicle(videoId)))
    return chronicle
  }

  /** A comment's text is shown. @param at since when whoever shows it could have known of its deletion */
  shows(what: string, videoId: VideoId, id: CommentId, content: string, at = this.#world.now): void {
    const chronicle = this.chronicle(videoId)
    if (!chronicle.isComment(id) || content !== chronicle.at(id)?.draft.content) return this.violate('history', `${what} shows ${id} with other content`, { videoId, id })
    const erasedAt = chronicle.erasedAt(id)
    if (at > erasedAt + this.#o.boundMs(erasedAt)) this.violate('erased', `${what} shows ${id} ${Math.round(at - erasedAt)} ms after its deletion was answered`, { videoId, id })
  }

  /** Whether an act may have refused a post of the author, which was asked for at `since`. */
  mayRefuse(code: string, videoId: VideoId, author: string, since: number): boolean {
    const { boundMs } = this.#o
    return this.chronicle(videoId).prohibitions.some(each => each.code === code && (each.authorId ?? author) === author && each.to + boundMs(each.to) >= since)
  }

  #landed(landed: Landed): void {
    const { id, draft } = landed
    const chronicle = this.chronicle(draft.videoId)
    if (!draft.act) {
      const broken = isModerator(draft.authorId) ? undefined : chronicle.prohibitions.find(each => this.#breaks(each, landed, chronicle))
      if (broken) this.violate('forbidden', `${draft.content} of ${draft.authorId} was stored, though ${broken.by} says ${broken.code}`, { videoId: draft.videoId, id })
    } else if (!isModerator(draft.authorId) && !(draft.act.type === 'deleted' && chronicle.at(draft.act.target)?.draft.authorId === draft.authorId)) {
      this.violate('forbidden', `${draft.authorId} is no moderator, and its ${draft.act.type} was stored`, { videoId: draft.videoId, id })
    }
    chronicle.add(landed, EPOCH_MS)
    this.#made.set(makerOf(draft), landed)
  }

  /** Whether a comment is stored that everyone should know is forbidden. */
  #breaks({ authorId, slowMs, by, to }: Prohibition, { at, draft }: Landed, chronicle: Chronicle): boolean {
    const answeredAt = chronicle.answeredAt(by)
    if ((authorId ?? draft.authorId) !== draft.authorId || at >= to || at <= answeredAt + this.#o.boundMs(answeredAt)) return false
    if (slowMs === 0) return true
    const last = chronicle.lastBy(draft.authorId)
    if (!last || !this.#o.isQuiet || chronicle.isDeleted(last.id)) return false
    return at - last.at > SLOW_SLACK_MS && at - last.at < slowMs - SLOW_SLACK_MS
  }

  /** The entry before it that viewers see, 0 for the first. */
  prevShown(videoId: VideoId, id: CommentId): Cursor {
    return this.#prev(videoId, id, prev => this.chronicle(videoId).isShown(prev))
  }

  /** The comment before it, deleted or not, 0 for the first. */
  prevComment(videoId: VideoId, id: CommentId): Cursor {
    return this.#prev(videoId, id, prev => this.chronicle(videoId).isComment(prev))
  }

  #prev(videoId: VideoId, id: CommentId, counts: (prev: CommentId) => boolean): Cursor {
    let prev = this.at(videoId, id)?.prev ?? 0
    while (prev > 0 && !counts(prev)) prev = this.at(videoId, prev)?.prev ?? 0
    return prev
  }

  /** Comments that somebody posted. */
  get postedCount(): number {
    return this.#count(() => true)
  }

  get ackedCount(): number {
    return this.#count(({ ackedAt }) => ackedAt !== undefined)
  }

  #count(counts: (post: Post) => boolean): number {
    return this.posts.filter(post => !post.draft.act && counts(post)).length
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

  /** What is stored with after < id ≤ until. */
  between(videoId: VideoId, after: Cursor, until: Cursor): readonly Stored[] {
    return this.stored(videoId).slice(this.#above(videoId, after), this.#above(videoId, until))
  }

  /** How many are stored with after < id ≤ until. */
  count(videoId: VideoId, after: Cursor, until: Cursor): number {
    return Math.max(0, this.#above(videoId, until) - this.#above(videoId, after))
  }

  /** How many of them viewers see. */
  countShown(videoId: VideoId, after: Cursor, until: Cursor): number {
    return this.count(videoId, after, until) - this.chronicle(videoId).hidden(after, until)
  }

  /** How many of them are comments that are not deleted. */
  countComments(videoId: VideoId, after: Cursor, until: Cursor): number {
    return this.count(videoId, after, until) - this.chronicle(videoId).notComments(after, until)
  }

  landedAt(videoId: VideoId, id: CommentId): number {
    return this.chronicle(videoId).at(id)?.at ?? Infinity
  }

  /** Once all is quiet: what was acknowledged is stored, and no key made two entries. */
  checkStored(): void {
    const seen = new Set<string>()
    for (const [videoId, list] of this.#disk.model.videos) {
      for (const { comment: { id } } of list) {
        const { draft } = this.chronicle(videoId).at(id)!
        const maker = makerOf(draft)
        if (seen.has(maker)) this.violate('history', `${nameOf(draft)} is stored twice`, { videoId, id })
        seen.add(maker)
      }
    }
    for (const { draft, id } of this.posts) {
      if (id !== undefined && !this.at(draft.videoId, id)) this.violate('history', `${id} was acknowledged and is not stored`, { videoId: draft.videoId, id })
    }
  }

  /** Once all is quiet: what was refused is not stored by that try, then or later, and nothing is stored that its
   * poster has long given up. @param latestMs after the try that stored it began */
  checkAnswers(latestMs: number): void {
    for (const { draft, tries } of this.posts) {
      const stored = this.#made.get(makerOf(draft))
      if (!stored) continue
      const what = nameOf(draft)
      const about = { videoId: draft.videoId, id: stored.id }
      const last = tries.findLast(({ begunAt }) => begunAt <= stored.at)
      const lateMs = stored.at - (last?.begunAt ?? stored.at)
      if (lateMs > latestMs) this.violate('answer', `${what} was stored ${Math.round(lateMs)} ms after it was asked for last`, about)
      // Once a try's outcome is unknown, what lands later may be its.
      for (const [i, { begunAt, status }] of tries.entries()) {
        if (status === undefined || status < 400 || status === 504) break
        const until = tries[i + 1]?.begunAt ?? Infinity
        if (stored.at >= begunAt && stored.at < until) this.violate('answer', `${what} was answered ${status} and stored ${Math.round(stored.at - begunAt)} ms after it was asked for`, about)
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

function makerOf({ videoId, authorId, key }: Timed): string {
  return `${videoId} ${authorId} ${key}`
}

function nameOf({ content, act, key }: Timed): string {
  return act ? `${act.type} (${key})` : content
}
