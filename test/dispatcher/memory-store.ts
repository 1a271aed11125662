import { StoreUnavailableError, type AtOnce, type Outcome, type Range, type Store, type Stored, type Timed } from '../../dispatcher/store/store.js'
import type { Comment, Draft, VideoId } from '../../protocol/comment.js'
import { nextId, type Cursor } from '../../protocol/id.js'

/** A store in a few lines of memory, that a test can hold up, make fail and look into. It keeps the contract. */
export class MemoryStore implements Store {
  generation: string | undefined
  atOnce: AtOnce | undefined
  readonly videos = new Map<VideoId, Stored[]>()
  readonly #keys = new Map<string, Comment>()
  /** How many calls of each kind came. */
  readonly calls = { append: 0, madeBy: 0, page: 0, lastIds: 0 }
  /** Runs before each call does its work, which waits for it and fails as it does. */
  before: (call: keyof MemoryStore['calls']) => Promise<void> | void = () => {}
  /** Why this video alone can be neither written nor read, where it cannot. */
  damaged: (videoId: VideoId) => string | undefined = () => undefined
  /** Runs after an append has committed, before its answer. */
  committed: () => Promise<void> | void = () => {}

  /** Monotonic ms, as deadlines are. */
  readonly #now: () => number

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  async append(drafts: readonly Timed[], nowMs: number): Promise<Outcome[]> {
    this.calls.append++
    await this.before('append')
    const outcomes = drafts.map(draft => (draft.deadline !== undefined && draft.deadline <= this.#now() ? { kind: 'expired' as const } : this.#appendOne(draft, nowMs)))
    await this.committed()
    return outcomes
  }

  async madeBy({ videoId, authorId, content, key }: Draft): Promise<Comment | undefined> {
    this.calls.madeBy++
    await this.before('madeBy')
    const first = this.#keys.get(JSON.stringify([videoId, authorId, key]))
    return first?.content === content ? first : undefined
  }

  async page(videoId: VideoId, { after, until, newestFirst, limit }: Range): Promise<Stored[]> {
    this.calls.page++
    await this.before('page')
    const reason = this.damaged(videoId)
    if (reason !== undefined) throw new StoreUnavailableError(reason, { videoId })
    const found = (this.videos.get(videoId) ?? []).filter(({ comment }) => comment.id > after && comment.id <= until)
    return (newestFirst ? found.reverse() : found).slice(0, limit)
  }

  async lastIds(videoIds: readonly VideoId[]): Promise<ReadonlyMap<VideoId, Cursor>> {
    this.calls.lastIds++
    await this.before('lastIds')
    return new Map(videoIds.filter(videoId => this.damaged(videoId) === undefined).map(videoId => [videoId, this.#last(videoId)]))
  }

  async close(): Promise<void> {}

  #last(videoId: VideoId): Cursor {
    return this.videos.get(videoId)?.at(-1)?.comment.id ?? 0
  }

  #appendOne({ videoId, authorId, authorName, content, key }: Draft, nowMs: number): Outcome {
    const reason = this.damaged(videoId)
    if (reason !== undefined) return { kind: 'failed', reason }
    const place = JSON.stringify([videoId, authorId, key])
    const first = this.#keys.get(place)
    if (first) return first.content === content ? { kind: 'repeated', comment: first } : { kind: 'reused' }
    const prev = this.#last(videoId)
    const comment: Comment = { id: nextId(nowMs, prev), videoId, authorId, ...(authorName === undefined ? {} : { authorName }), content, createdAt: nowMs }
    this.#keys.set(place, comment)
    const comments = this.videos.get(videoId) ?? []
    this.videos.set(videoId, comments)
    comments.push({ comment, prev })
    return { kind: 'created', comment, prev }
  }
}
