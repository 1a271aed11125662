import { heldIdOf, outcomeOfHeld, saidOf } from '../../dispatcher/store/held-draft.js'
import { keyHash } from '../../dispatcher/store/key-hash.js'
import { blank, StoreUnavailableError, type AtOnce, type Found, type Held, type Outcome, type Place, type Range, type Store, type Stored, type StoredState, type Taken, type Timed, type Unsent, type UnsentVideos } from '../../dispatcher/store/store.js'
import type { Comment, VideoId } from '../../protocol/comment.js'
import { DEFAULT_STATE, stateAfter, type Act, type VideoState } from '../../protocol/entry.js'
import type { HeldComment, HeldId } from '../../protocol/held.js'
import { nextId, type CommentId, type Cursor } from '../../protocol/id.js'

/** What a video's acts have come to. */
interface Acts {
  state: VideoState
  readonly bans: Map<string, number>
  /** Deleted comments whose content is still here, by their acts. */
  readonly unerased: Map<CommentId, CommentId>
}

const SEARCHED = 3

/** A store in a few lines of memory, that a test can hold up, make fail and look into. It keeps the contract. */
export class MemoryStore implements Store {
  generation: string | undefined
  atOnce: AtOnce | undefined
  /** Deleted comments keep their content here until somebody erases it. */
  readonly videos = new Map<VideoId, Stored[]>()
  readonly #acts = new Map<VideoId, Acts>()
  readonly #held = new Map<string, Held>()
  /** Whether what is stored is to be sent to a web hook. */
  isHooked = false
  /** What the hook has taken of each video. */
  readonly taken = new Map<VideoId, Cursor>()
  /** Held comments that the hook has not been sent as they are now. */
  readonly #unsentHeld = new Set<string>()
  readonly #keys = new Map<string, { readonly id: CommentId; readonly said: Buffer }>()
  /** How many calls of each kind came. */
  readonly calls = { append: 0, madeBy: 0, page: 0, lastIds: 0, state: 0, erase: 0, lastPostedAt: 0, commentsBy: 0, heldIn: 0, held: 0, refuseHeld: 0, eraseHeld: 0, unsent: 0, unsentVideos: 0, noteTaken: 0 }
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

  async madeBy(draft: Timed): Promise<Comment | undefined> {
    this.calls.madeBy++
    await this.before('madeBy')
    const first = this.#first(draft)
    return first?.kind === 'repeated' ? first.comment : undefined
  }

  async page(videoId: VideoId, { after, until, newestFirst, limit }: Range): Promise<Stored[]> {
    this.calls.page++
    await this.before('page')
    this.#check(videoId)
    const found = (this.videos.get(videoId) ?? []).filter(({ comment }) => comment.id > after && comment.id <= until)
    return (newestFirst ? found.reverse() : found).slice(0, limit).map(stored => this.#masked(stored))
  }

  async lastIds(videoIds: readonly VideoId[]): Promise<ReadonlyMap<VideoId, Cursor>> {
    this.calls.lastIds++
    await this.before('lastIds')
    return new Map(videoIds.filter(videoId => this.damaged(videoId) === undefined).map(videoId => [videoId, this.#last(videoId)]))
  }

  async state(videoIds: readonly VideoId[], nowMs: number): Promise<ReadonlyMap<VideoId, StoredState>> {
    this.calls.state++
    await this.before('state')
    return new Map(videoIds.filter(videoId => this.damaged(videoId) === undefined).map(videoId => [videoId, this.#stateOf(videoId, nowMs)]))
  }

  async erase(videoId: VideoId, target: CommentId): Promise<void> {
    this.calls.erase++
    await this.before('erase')
    const entries = this.videos.get(videoId) ?? []
    const i = entries.findIndex(({ comment }) => comment.id === target)
    if (i >= 0) entries[i] = this.#masked(entries[i]!)
    this.#actsOf(videoId).unerased.delete(target)
  }

  async lastPostedAt(videoId: VideoId, authorId: string): Promise<number | undefined> {
    this.calls.lastPostedAt++
    await this.before('lastPostedAt')
    this.#check(videoId)
    const mine = new Set(Array.from(this.#keys).filter(([place]) => place.startsWith(JSON.stringify([videoId, authorId]).slice(0, -1))).map(([, { id }]) => id))
    return this.videos.get(videoId)?.findLast(({ comment, act }) => !act && mine.has(comment.id))?.comment.createdAt
  }

  async commentsBy(authorId: string, after: string | undefined): Promise<Found> {
    this.calls.commentsBy++
    await this.before('commentsBy')
    const all = [...this.videos.values()].flat()
    const from = Number(after ?? 0)
    const places = all.slice(from, from + SEARCHED).filter(stored => this.#masked(stored).comment.authorId === authorId).map(({ comment: { videoId, id } }): Place => ({ videoId, id }))
    return { places, after: from + SEARCHED < all.length ? String(from + SEARCHED) : undefined }
  }

  async heldIn(videoId: VideoId, limit: number): Promise<HeldComment[]> {
    this.calls.heldIn++
    await this.before('heldIn')
    this.#check(videoId)
    const waiting = [...this.#held.values()].filter(held => held.videoId === videoId && !held.decided)
    return waiting.slice(0, limit).map(({ key: _, said: __, decided: ___, ...held }) => held)
  }

  async held(videoId: VideoId, id: HeldId): Promise<Held | undefined> {
    this.calls.held++
    await this.before('held')
    this.#check(videoId)
    return this.#held.get(`${videoId} ${id}`)
  }

  async refuseHeld(videoId: VideoId, id: HeldId, reason: string | undefined): Promise<Held | undefined> {
    this.calls.refuseHeld++
    await this.before('refuseHeld')
    this.#decide(videoId, id, { refused: true, ...(reason === undefined ? {} : { reason }) })
    return this.#held.get(`${videoId} ${id}`)
  }

  async eraseHeld(authorId: string): Promise<number> {
    this.calls.eraseHeld++
    await this.before('eraseHeld')
    const mine = [...this.#held].filter(([, held]) => held.authorId === authorId)
    for (const [place] of mine) {
      this.#held.delete(place)
      this.#unsentHeld.delete(place)
    }
    return mine.filter(([, { decided }]) => !decided).length
  }

  async unsent(videoId: VideoId, limit: number): Promise<Unsent> {
    this.calls.unsent++
    await this.before('unsent')
    this.#check(videoId)
    const held = [...this.#unsentHeld].flatMap(place => this.#held.get(place) ?? []).filter(each => each.videoId === videoId)
    return { after: this.taken.get(videoId), held: held.slice(0, limit) }
  }

  async unsentVideos(after: string | undefined, isOurs: (videoId: VideoId) => boolean): Promise<UnsentVideos> {
    this.calls.unsentVideos++
    await this.before('unsentVideos')
    const entries = [...this.taken].filter(([videoId, id]) => this.#last(videoId) > id).map(([videoId]) => videoId)
    const held = [...this.#unsentHeld].map(place => this.#held.get(place)!.videoId)
    const ours = [...new Set([...entries, ...held])].filter(isOurs).sort()
    const found = ours.filter(videoId => videoId > (after ?? '')).slice(0, SEARCHED)
    return { videoIds: found, after: found.length < SEARCHED ? undefined : found.at(-1) }
  }

  async noteTaken({ entries, held }: Taken): Promise<void> {
    this.calls.noteTaken++
    await this.before('noteTaken')
    for (const [videoId, id] of entries) if (id > this.taken.get(videoId)! && id <= this.#last(videoId)) this.taken.set(videoId, id)
    for (const { videoId, id, decided } of held) {
      const place = `${videoId} ${id}`
      if ((this.#held.get(place)?.decided === undefined) === (decided === undefined)) this.#unsentHeld.delete(place)
    }
  }

  async close(): Promise<void> {}

  #decide(videoId: VideoId, id: HeldId, decided: Held['decided']): void {
    const held = this.#held.get(`${videoId} ${id}`)
    if (!held || held.decided) return
    const { authorName: _, ...rest } = held
    this.#held.set(`${videoId} ${id}`, { ...rest, content: '', decided })
    if (this.isHooked) this.#unsentHeld.add(`${videoId} ${id}`)
  }

  #heldOutcome(draft: Timed, nowMs: number): Outcome | undefined {
    const { videoId, authorId, authorName, content, key } = draft
    const id = heldIdOf(draft)
    const outcome = outcomeOfHeld(draft, this.#held.get(`${videoId} ${id}`))
    if (outcome || draft.review !== 'hold') return outcome
    this.#held.set(`${videoId} ${id}`, { id, videoId, authorId, ...(authorName === undefined ? {} : { authorName }), content, heldAt: nowMs, key, said: saidOf(draft) })
    if (this.isHooked) this.#unsentHeld.add(`${videoId} ${id}`)
    return { kind: 'held' }
  }

  #actsOf(videoId: VideoId): Acts {
    return this.#acts.get(videoId) ?? { state: DEFAULT_STATE, bans: new Map(), unerased: new Map() }
  }

  #last(videoId: VideoId): Cursor {
    return this.videos.get(videoId)?.at(-1)?.comment.id ?? 0
  }

  #stateOf(videoId: VideoId, nowMs: number): StoredState {
    const { state, bans, unerased } = this.#actsOf(videoId)
    return { ...state, head: this.#last(videoId), bans: new Map([...bans].filter(([, until]) => until > nowMs)), unerased: [...unerased.keys()] }
  }

  #masked(stored: Stored): Stored {
    const { comment, prev, act } = stored
    const deletedBy = this.#acts.get(comment.videoId)?.unerased.get(comment.id)
    if (deletedBy !== undefined) return { comment: blank(comment), prev, deletedBy }
    const pinned = act?.type === 'pinned' && act.target !== undefined ? this.#commentAt(comment.videoId, act.target) : undefined
    return pinned ? { ...stored, pinned } : stored
  }

  #at(videoId: VideoId, id: CommentId): Stored | undefined {
    const stored = this.videos.get(videoId)?.find(({ comment }) => comment.id === id)
    return stored && this.#masked(stored)
  }

  #commentAt(videoId: VideoId, id: CommentId): Comment | undefined {
    const found = this.#at(videoId, id)
    return found && !found.act && found.deletedBy === undefined ? found.comment : undefined
  }

  #check(videoId: VideoId): void {
    const reason = this.damaged(videoId)
    if (reason !== undefined) throw new StoreUnavailableError(reason, { videoId })
  }

  #first(draft: Timed): Extract<Outcome, { kind: 'repeated' | 'reused' }> | undefined {
    const { videoId, authorId, authorName, content, key } = draft
    const made = this.#keys.get(placeOf(videoId, authorId, key))
    const stored = made && this.#at(videoId, made.id)
    if (!stored) return undefined
    if (!made.said.equals(keyHash(draft))) return { kind: 'reused' }
    const { comment, deletedBy } = stored
    return { kind: 'repeated', comment: deletedBy === undefined ? comment : { ...comment, authorId, ...(authorName === undefined ? {} : { authorName }), content } }
  }

  #refused(videoId: VideoId, act: Act): Outcome | undefined {
    if ((act.type !== 'deleted' && act.type !== 'pinned') || act.target === undefined) return undefined
    const target = this.#at(videoId, act.target)
    if (!target || target.act) return { kind: 'missing' }
    if (target.deletedBy === undefined) return undefined
    return act.type === 'pinned' ? { kind: 'missing' } : { kind: 'repeated', comment: blank({ ...target.comment, id: target.deletedBy }) }
  }

  #appendOne(draft: Timed, nowMs: number): Outcome {
    const { videoId, authorId, authorName, by, content, key, act } = draft
    const reason = this.damaged(videoId)
    if (reason !== undefined) return { kind: 'failed', reason }
    const done = this.#first(draft) ?? (act && this.#refused(videoId, act)) ?? (draft.review && this.#heldOutcome(draft, nowMs))
    if (done) return done
    const prev = this.#last(videoId)
    const id = nextId(nowMs, prev)
    const comment: Comment = act ? blank({ videoId, id, createdAt: nowMs }) : { id, videoId, authorId, ...(authorName === undefined ? {} : { authorName }), ...(by && { by }), content, createdAt: nowMs }
    this.#keys.set(placeOf(videoId, authorId, key), { id, said: keyHash(draft) })
    const stored: Stored = act ? { comment, prev, act } : { comment, prev }
    const entries = this.videos.get(videoId) ?? []
    this.videos.set(videoId, entries)
    entries.push(stored)
    if (this.isHooked && !this.taken.has(videoId)) this.taken.set(videoId, prev)
    if (act) this.#carryOut(videoId, id, act)
    if (draft.review === 'approve') this.#decide(videoId, heldIdOf(draft), { approved: id })
    return { kind: 'created', ...this.#masked(stored) }
  }

  #carryOut(videoId: VideoId, id: CommentId, act: Act): void {
    const acts = this.#actsOf(videoId)
    this.#acts.set(videoId, acts)
    if (act.type === 'author-banned') acts.bans.set(act.authorId, act.until)
    if (act.type === 'deleted') acts.unerased.set(act.target, id)
    acts.state = stateAfter(acts.state, act, act.type === 'pinned' && act.target !== undefined ? this.#commentAt(videoId, act.target) : undefined)
  }
}

function placeOf(videoId: VideoId, authorId: string, key: string): string {
  return JSON.stringify([videoId, authorId, key])
}
