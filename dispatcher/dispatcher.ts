import type { ActRequest, ActResult } from '../protocol/acts.js'
import type { VideoId } from '../protocol/comment.js'
import { readEntry, type Act, type VideoState } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import type { DecisionRequest, DecisionResult, HeldComment, HeldId } from '../protocol/held.js'
import type { Cursor } from '../protocol/id.js'
import type { MemberNode } from '../protocol/nodes.js'
import type { PostBatch, PostResult } from '../protocol/posts.js'
import type { Batch, Hint, ReplayRequest, RoomAnswer, SyncRequest, WireComment } from '../protocol/wire.js'
import { peersIn, type View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import { Budget } from '../runtime/limits/budget.js'
import { Pauses } from '../runtime/pauses.js'
import { Failover, type Ping } from '../runtime/peers/failover.js'
import type { Traces } from '../runtime/traces/traces.js'
import { Accept } from './accept.js'
import { Acts, type AuditRecord, type ErasedAuthor } from './acts.js'
import { Forward, type ForwardTrace } from './forward.js'
import { HeldComments } from './held-comments.js'
import { Hooks, type Hook } from './hooks/hooks.js'
import { History, type HistoryPage, type HistoryQuery } from './history.js'
import type { DispatcherMetrics } from './metrics.js'
import { Owners } from './owners.js'
import type { Send } from './pipe.js'
import { Rates } from './rates.js'
import type { RecentComments } from './recent-comments.js'
import { RecentVideos } from './recent-videos.js'
import type { Review } from './review.js'
import { Route } from './route.js'
import { Rules } from './rules.js'
import type { Standing } from './standing.js'
import { States } from './states.js'
import { StoreUnavailableError, toWire, unlessUnavailable, type Place, type Store, type Stored } from './store/store.js'
import { Sync } from './sync.js'
import { Synced } from './synced.js'

export interface DispatcherDeps {
  /** Our own id in the registry. */
  readonly self: string
  readonly store: Store
  readonly view: View
  /** Whether the view shows the registry as it is now. */
  readonly viewIsCurrent: () => boolean
  readonly clock: Clock
  /** 0 ≤ x < 1 */
  readonly random: () => number
  readonly send: Send
  readonly ping: Ping
  readonly metrics: DispatcherMetrics
  /** Called with an error that is a bug, once the posts that met it have been answered. */
  readonly onBug: (error: unknown) => void
  readonly limits?: Partial<Limits>
  /** Whether it may answer and store at present; without, always. */
  readonly standing?: Pick<Standing, 'refused' | 'cannotStore'>
  /** What the site lets its viewers say; without, anything. */
  readonly rules?: Rules
  /** The site's review; without, posts are published as they come. */
  readonly review?: Pick<Review, 'verdict'> | undefined
  /** The site's web hook, which is sent what is stored; the store is opened for one. */
  readonly hook?: Hook | undefined
  /** Called for each act that is done here. */
  readonly audit?: ((record: AuditRecord) => void) | undefined
  /** The viewers that other clusters have of a video, but for one; without, there are none. */
  readonly viewersAtPeers?: (videoId: VideoId, except: string | undefined) => number
  /** Optional hooks: called for each comment that is stored and forwarded. */
  readonly trace?: Trace | undefined
  readonly traces?: Traces | undefined
}

export interface Trace extends ForwardTrace {
  stored(comment: WireComment): void
}

export interface Limits {
  /** Most bytes of posts that wait for a commit: about half a second of SQLite. */
  readonly maxQueueBytes: number
  /** Most bytes that wait for one edge or dispatcher. */
  readonly maxPipeBytes: number
  /** Most bytes of all recent comments. */
  readonly maxRecentBytes: number
}

/** What is asked of a dispatcher about videos. */
export type Answers = Pick<Dispatcher, 'posts' | 'act' | 'held' | 'decide' | 'authorOf' | 'state' | 'sync' | 'replay' | 'history' | 'batch'>

/** What is known of one generation of the store, and what answers from it. */
interface Memory {
  readonly generation: string | undefined
  /** Monotonic ms. */
  readonly since: number
  readonly recentVideos: RecentVideos
  readonly sync: Sync
  readonly history: History
  readonly states: States
}

const LIMITS: Limits = { maxQueueBytes: 8 << 20, maxPipeBytes: 4 << 20, maxRecentBytes: 128 << 20 }
const HAND_OVER_SLICE = 500
/** Pages of history and replays that are read from the store at a time, unless it says otherwise: what each takes of this
 * thread comes piece by piece. */
const READS_AT_ONCE = 1
/** Posts in hand go before them, for this long. */
const POSTS_FIRST_MS = 20
const READS_IN_LINE = 128
const READ_WAIT_MS = 2_000

/** A dispatcher without its sockets, files and timers: what it does with posts, syncs, batches and changes of
 * the view. server.ts maps routes to its methods, main.ts gives it the real store, clock and network. */
export class Dispatcher {
  readonly #deps: DispatcherDeps
  #memory: Memory
  readonly #owners: Owners
  readonly #synced: Synced
  readonly #forward: Forward
  readonly #accept: Accept
  readonly #route: Route
  readonly #acts: Acts
  readonly #held: HeldComments
  readonly #hooks: Hooks | undefined
  readonly #failover: Failover
  readonly #pauses: Pauses
  /** What is stored here, for operators. */
  readonly rates: Rates
  readonly #reads: Budget
  /** Posts that are not answered yet. */
  readonly #inHand = new Set<Promise<unknown>>()

  constructor(deps: DispatcherDeps) {
    this.#deps = deps
    this.rates = new Rates(deps.clock)
    this.#pauses = new Pauses(deps.clock, lateMs => deps.metrics.loopDelay.record(lateMs))
    // RATE_LIMITED: a gateway or an edge of the last version does not back off from a dispatcher for a status below 500.
    this.#reads = new Budget({ clock: deps.clock, atOnce: deps.store.atOnce?.reads ?? READS_AT_ONCE, inLine: READS_IN_LINE, waitMs: READ_WAIT_MS, code: 'RATE_LIMITED', first: () => this.#postsFirst(), refused: () => deps.metrics.readsRefused.inc() })
    const { self, store, view, clock, random, ping, send, metrics, onBug } = deps
    const { maxQueueBytes, maxPipeBytes } = { ...LIMITS, ...deps.limits }
    const owners = (this.#owners = new Owners(view, clock, self, deps.viewIsCurrent))
    const synced = (this.#synced = new Synced(clock))
    const forward = (this.#forward = new Forward({ view, synced, clock, random, send, metrics, maxPipeBytes, trace: deps.trace, traces: deps.traces }))
    const accept = (this.#accept = new Accept({
      store,
      clock,
      rules: deps.rules ?? new Rules({ clock }),
      metrics,
      traces: deps.traces,
      maxQueueBytes,
      onBug,
      review: deps.review && (post => deps.review!.verdict(post)),
      mayHold: () => this.#isUpgraded(),
      states: videoIds => this.#current().states.of(videoIds),
      stored: (stored, asOf) => this.#stored(stored, asOf),
      held: videoId => this.#hooks?.stored(videoId, true),
      repeated: ({ videoId, id }) => forward.hint({ videoId, id }),
      doubtful: videoId => this.#current().recentVideos.doubt(videoId),
    }))
    const here: MemberNode = { id: self, instance: 'self', internalUrl: '' }
    this.#failover = new Failover({
      clock,
      random,
      ping: (peer, timeoutMs) => (peer === here ? Promise.resolve(undefined) : ping(peer, timeoutMs)),
      ...peersIn(view, id => view.dispatcher(id)),
    })
    this.#route = new Route({ owners, failover: this.#failover, self: here, clock, send, metrics, accept: posts => accept.accept(posts) })
    this.#acts = new Acts({ owners, failover: this.#failover, self: here, store, clock, send, metrics, isUpgraded: () => this.#isUpgraded(), accept: posts => accept.accept(posts), repeated: act => this.#repeated(act), audit: deps.audit ?? (() => {}) })
    this.#held = new HeldComments({ store, clock, metrics, accept: posts => accept.accept(posts), audit: deps.audit ?? (() => {}), decided: videoId => this.#hooks?.stored(videoId, true) })
    this.#hooks =
      deps.hook && new Hooks({ ...deps.hook, store, clock, random, metrics, reads: this.#reads, recent: videoId => this.#current().recentVideos.get(videoId), isOurs: videoId => owners.ownerOf(videoId)?.id === self, onBug })
    this.#memory = this.#newMemory()
    metrics.bytes('accept_queue', 'Bytes of posts that wait for a commit or are in one.', () => accept.bytes)
    metrics.bytes('pipes', 'Bytes of comments that wait to be sent to edges and dispatchers.', () => forward.bytes)
    metrics.bytes('rings', 'Bytes of recent comments in memory.', () => this.#memory.recentVideos.bytes)
  }

  /** How long what is read now may have waited for this process to run, ms. */
  lostMs(): number {
    return this.#pauses.lostMs()
  }

  /** Stores posts here or has their owner store them. Each post's result, in order; an error is a result. Where nothing can
   * be stored here at present that is said at once: another dispatcher can be asked.
   * @param lostMs what the batch waited before it was read */
  posts(batch: PostBatch, lostMs = 0): Promise<PostResult[]> {
    if (this.#deps.standing?.cannotStore !== undefined) return Promise.resolve(batch.posts.map(() => this.#cannotStore()))
    return this.keepInHand(this.#route.posts(batch, lostMs))
  }

  /** Acts here, or has the video's owner act. An error is a result. @param lostMs what it waited before it was read */
  act(request: ActRequest, lostMs = 0): Promise<ActResult> {
    if (this.#deps.standing?.cannotStore !== undefined) return Promise.resolve({ error: cannotStore() })
    return this.keepInHand(this.#acts.act(request, lostMs))
  }

  /** Deletes some of an author's comments in all videos. @param after of the call before
   * @throws LiveError: it is to be repeated */
  async eraseAuthor(authorId: string, actorId: string, after: string | undefined): Promise<ErasedAuthor> {
    if (this.#deps.standing?.cannotStore !== undefined) throw new StoreUnavailableError(CANNOT_STORE)
    return this.keepInHand(this.#acts.eraseAuthor(authorId, actorId, after))
  }

  /** The comments of a video that wait for a moderator, the oldest first. @throws StoreUnavailableError */
  held(videoId: VideoId): Promise<HeldComment[]> {
    return this.#ofOneGeneration(() => this.#held.list(videoId))
  }

  /** Publishes a held comment, or refuses it. An error is a result. @param lostMs what it waited before it was read */
  async decide(videoId: VideoId, id: HeldId, request: DecisionRequest, lostMs = 0): Promise<DecisionResult> {
    if (this.#deps.standing?.cannotStore !== undefined) return { error: cannotStore() }
    try {
      return await this.keepInHand(this.#held.decide(videoId, id, request, lostMs))
    } catch (error) {
      if (error instanceof LiveError) return { error: { code: error.code, message: error.message } }
      throw error
    }
  }

  /** Who wrote a comment. @throws LiveError COMMENT_NOT_FOUND, for a deleted one too; StoreUnavailableError */
  authorOf(place: Place): Promise<string> {
    return this.#ofOneGeneration(() => this.#acts.authorOf(place))
  }

  /** How a video is set, and what is pinned. @throws StoreUnavailableError */
  state(videoId: VideoId): Promise<VideoState> {
    return this.#ofOneGeneration(async ({ states }) => {
      const state = (await states.of([videoId])).get(videoId)
      if (!state) throw new StoreUnavailableError('the video cannot be read')
      return state
    })
  }

  /** What an edge has not got, room by room; a room may have no answer while the store is away.
   * @param withStates the edge reads the states of videos too
   * @throws StoreUnavailableError when none has one */
  sync(edge: MemberNode, requests: readonly SyncRequest[], withStates = false): Promise<RoomAnswer[]> {
    this.saw(edge, requests)
    return this.#ofOneGeneration(async ({ sync, states }) => {
      const answers = await sync.sync(edge.id, requests)
      if (!withStates) return answers
      const known = await Promise.resolve(states.of(answers.map(({ videoId }) => videoId))).catch(unlessUnavailable)
      return answers.map(answer => ({ ...answer, state: known?.get(answer.videoId) }))
    })
  }

  /** Notes that an edge holds these videos, as a sync says. */
  saw(edge: MemberNode, requests: readonly SyncRequest[]): void {
    this.#synced.saw(edge, requests.map(({ videoId }) => videoId))
  }

  /** @param wanted whether anyone still waits for it @throws StoreUnavailableError; LiveError RATE_LIMITED where too much is read */
  replay(request: ReplayRequest, wanted?: () => boolean): Promise<RoomAnswer> {
    return this.#ofOneGeneration(({ sync }) => sync.replay(request, wanted))
  }

  /** @param wanted whether anyone still waits for it @throws StoreUnavailableError; LiveError RATE_LIMITED where too much is read */
  history(videoId: VideoId, query: HistoryQuery, wanted?: () => boolean): Promise<HistoryPage> {
    return this.#ofOneGeneration(({ history }) => history.page(videoId, query, wanted))
  }

  /** What another dispatcher stored of videos that are ours, or hands over. Its word is no comparison (rule 5). */
  batch({ comments, hints }: Batch): void {
    if (this.#deps.standing?.refused !== undefined) return
    const { recentVideos } = this.#current()
    for (const comment of comments) {
      recentVideos.take(comment)
      this.eraseFromPipes(comment)
      this.#hooks?.stored(comment.videoId)
    }
    const now = this.#deps.clock.now()
    for (const hint of hints) {
      recentVideos.hint(hint, now)
      this.#hooks?.stored(hint.videoId, true)
    }
  }

  /** To be called when it is certain at last what became of posts whose outcome was unknown. @param lastId the newest id
   * that the store has of the video since, 0 where it has none */
  settled(videoId: VideoId, lastId: Cursor): void {
    this.#current().recentVideos.doubt(videoId)
    if (lastId > 0) this.#forward.hint({ videoId, id: lastId })
    this.#hooks?.stored(videoId, true)
  }

  /** To be called when a dispatcher came, went or changed. The previous owner of a video sends its newest comment to the
   * new owner. */
  viewChanged(): void {
    this.#hooks?.ownersChanged()
    const takerOf = this.#owners.refresh()
    if (takerOf) this.#handOver([...this.#current().recentVideos.all()], takerOf)
  }

  /** Resolves when all that was accepted is stored, acknowledged and forwarded, or after `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    let cancel = (): void => {}
    const limit = new Promise<void>(resolve => {
      cancel = this.#deps.clock.after(limitMs, resolve)
    })
    await Promise.race([limit, this.#finished()])
    cancel()
  }

  /** Sends the web hook nothing more. @param limitMs how long a call that is under way is waited for */
  async endHook(limitMs: number): Promise<void> {
    await this.#hooks?.close(limitMs)
  }

  close(): void {
    this.#forward.close()
    this.#failover.close()
    this.#pauses.close()
  }

  /** What a drain waits for, and reads of many pages. @returns the work */
  keepInHand<T>(work: Promise<T>): Promise<T> {
    this.#inHand.add(work)
    const done = () => this.#inHand.delete(work)
    work.then(done, done)
    return work
  }

  /** Resolves when the posts in hand are answered, or after POSTS_FIRST_MS. */
  async #postsFirst(): Promise<void> {
    if (this.#inHand.size === 0) return
    let cancel = (): void => {}
    const enough = new Promise<void>(resolve => (cancel = this.#deps.clock.after(POSTS_FIRST_MS, resolve)))
    await Promise.race([enough, Promise.allSettled(this.#inHand)])
    cancel()
  }

  async #finished(): Promise<void> {
    while (this.#inHand.size > 0) await Promise.allSettled(this.#inHand)
    await this.#accept.idle()
    await this.#forward.idle()
  }

  /** @throws StoreUnavailableError when the store is not the cluster's, or another took its place before the answer was there */
  async #ofOneGeneration<T>(answer: (memory: Memory) => Promise<T>): Promise<T> {
    const refused = () => this.#deps.standing?.refused !== undefined
    const memory = this.#current()
    if (refused()) throw notTheStore()
    const answered = await answer(memory)
    if (refused() || memory !== this.#current()) throw notTheStore()
    return answered
  }

  /** Memory of another generation is void: what it has may be missing in the store. */
  #current(): Memory {
    if (this.#memory.generation !== this.#deps.store.generation) this.#memory = this.#newMemory()
    return this.#memory
  }

  #newMemory(): Memory {
    const { store, clock, metrics, limits } = this.#deps
    const recentVideos = new RecentVideos(limits?.maxRecentBytes ?? LIMITS.maxRecentBytes)
    const sync = new Sync({ recentVideos, owners: this.#owners, store, reads: this.#reads, clock, metrics, viewersElsewhere: (videoId, edgeId) => this.viewersElsewhere(videoId, edgeId) })
    return {
      generation: store.generation,
      since: clock.now(),
      recentVideos,
      sync,
      history: new History({ recentVideos, store, reads: this.#reads, clock, metrics, isCurrent: recent => sync.isCurrent(recent) }),
      states: new States({ recentVideos, store, clock, isCompared: recent => sync.isCompared(recent), unerased: (videoId, target) => void this.#acts.finish(videoId, target) }),
    }
  }

  #cannotStore(): PostResult {
    const error = cannotStore()
    this.#deps.metrics.posts.inc({ code: error.code })
    return { error }
  }

  /** Whether all who would be sent an act can read it. */
  #isUpgraded(): boolean {
    const { view } = this.#deps
    return view.edges().every(({ entries }) => entries) && [...view.allDispatchers()].every(({ entries }) => entries)
  }

  #stored(stored: Stored, asOf: number): void {
    const comment = toWire(stored)
    this.#deps.trace?.stored(comment)
    this.rates.stored(comment.videoId)
    const { recentVideos, since } = this.#current()
    if (asOf >= since) {
      recentVideos.take(comment)
      recentVideos.compared(comment.videoId, comment.id, asOf) // rule 5: our own append is a comparison
    }
    this.#hooks?.stored(comment.videoId)
    if (stored.act) this.#forwardAct(comment, stored.act)
    else this.#forward.comment(comment, this.#owners.otherOwner(comment.videoId))
  }

  /** Sends the edges an entry that another cluster has stored. */
  forward(entry: WireComment): void {
    const act = actOf(entry)
    if (act) this.#forwardAct(entry, act)
    else this.#forward.comment(entry, undefined)
  }

  forwardHint(hint: Hint): void {
    this.#forward.hint(hint)
  }

  #forwardAct(entry: WireComment, act: Act): void {
    this.#erase(entry.videoId, act)
    this.#forward.act(entry, this.#otherDispatchers())
  }

  /** An act that was stored before may be news to our memory and to the other dispatchers'. Accept has hinted the edges. */
  #repeated(act: Place): void {
    this.#current().recentVideos.hint(act, this.#deps.clock.now())
    this.#forward.hintDispatchers(act, this.#otherDispatchers())
  }

  #otherDispatchers(): MemberNode[] {
    const { view, self } = this.#deps
    return [...view.allDispatchers()].filter(({ id }) => id !== self)
  }

  /** What an entry deletes is not sent any more. */
  eraseFromPipes(entry: WireComment): void {
    this.#erase(entry.videoId, actOf(entry))
  }

  #erase(videoId: VideoId, act: Act | undefined): void {
    if (act?.type === 'deleted') this.#forward.erase(videoId, act.target)
  }

  /** In slices: there may be many videos, and posts go on meanwhile. */
  #handOver(recentVideos: readonly RecentComments[], takerOf: (videoId: VideoId) => MemberNode | undefined): void {
    for (const { videoId, newest } of recentVideos.slice(0, HAND_OVER_SLICE)) {
      const taker = newest && takerOf(videoId)
      if (taker) this.#forward.handOver(newest, taker)
    }
    if (recentVideos.length > HAND_OVER_SLICE) this.#deps.clock.soon(() => this.#handOver(recentVideos.slice(HAND_OVER_SLICE), takerOf))
  }

  /** The viewers of a video but for one edge's, or one cluster's. */
  viewersElsewhere(videoId: VideoId, except: string | undefined): number {
    return this.#deps.view.viewersOf(videoId, except) + (this.#deps.viewersAtPeers?.(videoId, except) ?? 0)
  }
}

const CANNOT_STORE = 'this dispatcher can store nothing at present'

function cannotStore(): Pick<StoreUnavailableError, 'code' | 'message'> {
  const { code, message } = new StoreUnavailableError(CANNOT_STORE)
  return { code, message }
}

/** What an entry does; undefined where it is a comment, or nothing that we know. */
function actOf({ videoId, json }: WireComment): Act | undefined {
  const entry = readEntry(videoId, json)
  return entry.kind === 'act' ? entry.act : undefined
}

function notTheStore(): StoreUnavailableError {
  return new StoreUnavailableError('it is not the store that is expected')
}
