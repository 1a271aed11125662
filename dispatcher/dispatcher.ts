import type { ActRequest, ActResult } from '../protocol/acts.js'
import type { VideoId } from '../protocol/comment.js'
import { readEntry, type Act, type VideoState } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import type { DecisionRequest, DecisionResult, HeldComment, HeldId } from '../protocol/held.js'
import type { VideoHomes } from '../protocol/homes.js'
import type { Cursor } from '../protocol/id.js'
import type { MemberNode } from '../protocol/nodes.js'
import type { PostBatch, PostResult } from '../protocol/posts.js'
import type { Batch, PeerSync, ReplayRequest, RoomAnswer, SyncRequest, WireComment } from '../protocol/wire.js'
import { peersIn, type View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import { Budget } from '../runtime/limits/budget.js'
import { Pauses } from '../runtime/pauses.js'
import { Failover, type Ping } from '../runtime/peers/failover.js'
import type { Traces } from '../runtime/traces/traces.js'
import { Accept } from './accept.js'
import { Acts, type AuditRecord, type ErasedAuthor } from './acts.js'
import { Away, type PeersDeps } from './away.js'
import { Forward, type ForwardTrace } from './forward.js'
import { HeldComments } from './held-comments.js'
import { Hooks, type Hook } from './hooks/hooks.js'
import { History, type HistoryPage, type HistoryQuery } from './history.js'
import type { DispatcherMetrics } from './metrics.js'
import { Owners } from './owners.js'
import { isPeer } from './peer-line.js'
import { PeerViewers } from './peer-viewers.js'
import type { Send } from './pipe.js'
import { Rates } from './rates.js'
import type { RecentComments } from './recent-comments.js'
import { RecentVideos } from './recent-videos.js'
import type { Review } from './review.js'
import { Route } from './route.js'
import { Rules } from './rules.js'
import type { Standing } from './standing.js'
import { States } from './states.js'
import { StoreUnavailableError, toWire, type Place, type Store, type Stored } from './store/store.js'
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
  /** Where there are several clusters; without, every video's home is here. */
  readonly peers?: PeersDeps | undefined
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
  /** Most bytes of those of away videos. */
  readonly maxAwayBytes: number
}

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

const LIMITS: Limits = { maxQueueBytes: 8 << 20, maxPipeBytes: 4 << 20, maxRecentBytes: 128 << 20, maxAwayBytes: 64 << 20 }
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
  /** Undefined where every video's home is here. */
  readonly #away: Away | undefined
  /** Undefined likewise. */
  readonly #peerViewers: PeerViewers | undefined
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
    const { self, store, view, clock, random, ping, metrics, onBug, peers } = deps
    const { maxQueueBytes, maxPipeBytes, maxAwayBytes } = { ...LIMITS, ...deps.limits }
    const send: Send = peers ? (target, path, body, ...rest) => (isPeer(target) ? this.#away!.push(target, body) : deps.send(target, path, body, ...rest)) : deps.send
    const owners = (this.#owners = new Owners(view, clock, self, deps.viewIsCurrent))
    const synced = (this.#synced = new Synced(clock))
    const forward = (this.#forward = new Forward({ view, synced, clock, random, send, metrics, maxPipeBytes, trace: deps.trace, traces: deps.traces }))
    this.#peerViewers = peers && new PeerViewers(clock)
    this.#away =
      peers &&
      new Away({
        ...peers,
        clock,
        random,
        metrics,
        maxBytes: maxAwayBytes,
        viewersElsewhere: (videoId, edgeId) => this.#viewersElsewhere(videoId, edgeId),
        forward: entry => this.#forwardAway(entry),
        forwardHint: hint => forward.hint(hint),
        onHeld: videoId => void this.#lookForMisplaced(videoId, peers),
      })
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
    metrics.bytes('accept_queue', 'Posts that wait for a commit or are in one.', () => accept.bytes)
    metrics.bytes('pipes', 'Comments that wait for edges and dispatchers.', () => forward.bytes)
    metrics.bytes('rings', 'Recent comments in memory.', () => this.#memory.recentVideos.bytes)
  }

  /** How long what is read now may have waited for this process to run, ms. */
  lostMs(): number {
    return this.#pauses.lostMs()
  }

  /** Stores posts here or has their owner store them. Each post's result, in order; an error is a result. Where nothing can
   * be stored here at present that is said at once: another dispatcher can be asked.
   * @param lostMs what the batch waited before it was read */
  posts(batch: PostBatch, lostMs = 0): Promise<PostResult[]> {
    return this.#away ? this.#postsByHome(this.#away, batch, lostMs) : this.#postsHere(batch, lostMs)
  }

  /** Posts of away videos go to their homes, whatever our own store can do. */
  async #postsByHome(away: Away, batch: PostBatch, lostMs: number): Promise<PostResult[]> {
    const isAway = batch.posts.map(({ videoId }) => away.lineOf(videoId) !== undefined)
    if (!isAway.includes(true)) return this.#postsHere(batch, lostMs)
    const [there, here] = [batch.posts.filter((_, i) => isAway[i]), batch.posts.filter((_, i) => !isAway[i])]
    const [theirs, ours] = await Promise.all([this.#keepInHand(away.posts(there, lostMs)), here.length > 0 ? this.#postsHere({ ...batch, posts: here }, lostMs) : []])
    const [atHome, stored] = [theirs.values(), ours.values()]
    return isAway.map(each => (each ? atHome : stored).next().value!)
  }

  #postsHere(batch: PostBatch, lostMs: number): Promise<PostResult[]> {
    if (this.#deps.standing?.cannotStore !== undefined) return Promise.resolve(batch.posts.map(() => this.#cannotStore()))
    return this.#keepInHand(this.#route.posts(batch, lostMs))
  }

  /** Acts here, or has the video's owner act. An error is a result. @param lostMs what it waited before it was read */
  act(request: ActRequest, lostMs = 0): Promise<ActResult> {
    if (this.#away?.lineOf(request.order.videoId)) return this.#keepInHand(this.#away.act(request, lostMs))
    if (this.#deps.standing?.cannotStore !== undefined) return Promise.resolve({ error: cannotStore() })
    return this.#keepInHand(this.#acts.act(request, lostMs))
  }

  /** Deletes some of an author's comments in all videos. @param after of the call before
   * @throws LiveError: it is to be repeated */
  async eraseAuthor(authorId: string, actorId: string, after: string | undefined): Promise<ErasedAuthor> {
    if (this.#deps.standing?.cannotStore !== undefined) throw new StoreUnavailableError(CANNOT_STORE)
    return this.#keepInHand(this.#acts.eraseAuthor(authorId, actorId, after))
  }

  /** The comments of a video that wait for a moderator, the oldest first. @throws StoreUnavailableError; LiveError HOME_UNAVAILABLE */
  held(videoId: VideoId): Promise<HeldComment[]> {
    if (this.#away?.lineOf(videoId)) return this.#away.held(videoId)
    return this.#ofOneGeneration(() => this.#held.list(videoId))
  }

  /** Publishes a held comment, or refuses it. An error is a result. @param lostMs what it waited before it was read */
  async decide(videoId: VideoId, id: HeldId, request: DecisionRequest, lostMs = 0): Promise<DecisionResult> {
    if (this.#away?.lineOf(videoId)) return this.#keepInHand(this.#away.decide(videoId, id, request, lostMs))
    if (this.#deps.standing?.cannotStore !== undefined) return { error: cannotStore() }
    try {
      return await this.#keepInHand(this.#held.decide(videoId, id, request, lostMs))
    } catch (error) {
      if (error instanceof LiveError) return { error: { code: error.code, message: error.message } }
      throw error
    }
  }

  /** Who wrote a comment. @throws LiveError COMMENT_NOT_FOUND, for a deleted one too; StoreUnavailableError; LiveError HOME_UNAVAILABLE */
  authorOf(place: Place): Promise<string> {
    if (this.#away?.lineOf(place.videoId)) return this.#away.authorOf(place)
    return this.#ofOneGeneration(() => this.#acts.authorOf(place))
  }

  /** How a video is set, and what is pinned. @throws StoreUnavailableError; LiveError HOME_UNAVAILABLE */
  state(videoId: VideoId): Promise<VideoState> {
    if (this.#away?.lineOf(videoId)) return this.#away.state(videoId)
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
    this.#synced.saw(edge, requests.map(({ videoId }) => videoId))
    return this.#away ? this.#syncByHome(this.#away, edge, requests, withStates) : this.#syncHere(edge, requests, withStates)
  }

  /** The same for another cluster. Of a video whose home is not here there is no answer.
   * @throws StoreUnavailableError; LiveError FORBIDDEN where PEERS does not name it */
  async syncOfPeer(name: string, { requests, viewers }: PeerSync): Promise<RoomAnswer[]> {
    const away = this.#peers()
    const member = away.member(name)
    const here = requests.filter(({ videoId }) => !away.lineOf(videoId))
    const videoIds = here.map(({ videoId }) => videoId)
    this.#synced.saw(member, videoIds)
    this.#peerViewers?.saw(member.id, videoIds, viewers)
    return here.length > 0 ? this.#syncHere(member, here, true) : []
  }

  /** A store of ours that is away keeps no room of an away video from its answer; but whoever has the wrong one has no answer at all, so
   * that another dispatcher is asked. */
  async #syncByHome(away: Away, edge: MemberNode, requests: readonly SyncRequest[], withStates: boolean): Promise<RoomAnswer[]> {
    const [there, here] = [requests.filter(({ videoId }) => away.lineOf(videoId)), requests.filter(({ videoId }) => !away.lineOf(videoId))]
    if (there.length === 0) return this.#syncHere(edge, here, withStates)
    const [theirs, ours = []] = await Promise.all([away.sync(edge.id, there), here.length > 0 ? this.#syncHere(edge, here, withStates).catch(error => this.#unlessOurStoreIsAway(error)) : []])
    return [...ours, ...(withStates ? theirs : theirs.map(answer => ({ ...answer, state: undefined })))]
  }

  #unlessOurStoreIsAway(error: unknown): undefined {
    if (this.#deps.standing?.refused !== undefined) throw error
    return unlessAway(error)
  }

  #syncHere(edge: MemberNode, requests: readonly SyncRequest[], withStates: boolean): Promise<RoomAnswer[]> {
    return this.#ofOneGeneration(async ({ sync, states }) => {
      const answers = await sync.sync(edge.id, requests)
      if (!withStates) return answers
      const known = await Promise.resolve(states.of(answers.map(({ videoId }) => videoId))).catch(unlessAway)
      return answers.map(answer => ({ ...answer, state: known?.get(answer.videoId) }))
    })
  }

  /** @param wanted whether anyone still waits for it @throws StoreUnavailableError; LiveError RATE_LIMITED where too much is read */
  replay(request: ReplayRequest, wanted?: () => boolean): Promise<RoomAnswer> {
    if (this.#away?.lineOf(request.videoId)) return this.#away.replay(request)
    return this.#ofOneGeneration(({ sync }) => sync.replay(request, wanted))
  }

  /** @param wanted whether anyone still waits for it @throws StoreUnavailableError; LiveError RATE_LIMITED where too much is read */
  history(videoId: VideoId, query: HistoryQuery, wanted?: () => boolean): Promise<HistoryPage> {
    if (this.#away?.lineOf(videoId)) return this.#away.history(videoId, query)
    return this.#ofOneGeneration(({ history }) => history.page(videoId, query, wanted))
  }

  /** What another dispatcher stored of videos that are ours, or hands over. Its word is no comparison (rule 5). */
  batch(batch: Batch): void {
    const away = this.#away
    if (!away) return this.#batchHere(batch)
    const split = (isAway: boolean): Batch => {
      const isThere = ({ videoId }: { readonly videoId: VideoId }) => (away.lineOf(videoId) !== undefined) === isAway
      return { comments: batch.comments.filter(isThere), hints: batch.hints.filter(isThere) }
    }
    const there = split(true)
    away.take(there)
    for (const entry of there.comments) this.#eraseFromPipes(entry.videoId, actOf(entry))
    this.#batchHere(split(false))
  }

  /** Which cluster is the video's home, as we have it; undefined where this cluster is by itself. @param withPeers also as each other
   * cluster has it @throws StoreUnavailableError */
  async homeOf(videoId: VideoId, withPeers: boolean): Promise<VideoHomes | undefined> {
    const away = this.#away
    if (!away) return undefined
    const head = (await this.#deps.store.lastIds([videoId])).get(videoId)
    if (head === undefined) throw new StoreUnavailableError('the video cannot be read')
    return { ...away.homeOf(videoId, head), ...(withPeers ? { peers: await away.homeElsewhere(videoId) } : {}) }
  }

  /** What another cluster pushes of the videos whose home it is. @throws LiveError FORBIDDEN where PEERS does not name it */
  pushed(name: string, batch: Batch): void {
    this.#peers().pushed(name, batch)
  }

  #batchHere({ comments, hints }: Batch): void {
    if (this.#deps.standing?.refused !== undefined) return
    const { recentVideos } = this.#current()
    for (const comment of comments) {
      recentVideos.take(comment)
      this.#eraseFromPipes(comment.videoId, actOf(comment))
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
    this.#away?.close()
    this.#failover.close()
    this.#pauses.close()
  }

  /** @returns the work */
  #keepInHand<T>(work: Promise<T>): Promise<T> {
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
    const sync = new Sync({ recentVideos, owners: this.#owners, store, reads: this.#reads, clock, metrics, viewersElsewhere: (videoId, edgeId) => this.#viewersElsewhere(videoId, edgeId) })
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

  /** An entry that another cluster has stored. */
  #forwardAway(entry: WireComment): void {
    const act = actOf(entry)
    if (act) this.#forwardAct(entry, act)
    else this.#forward.comment(entry, undefined)
  }

  #forwardAct(entry: WireComment, act: Act): void {
    this.#eraseFromPipes(entry.videoId, act)
    this.#forward.act(entry, this.#otherDispatchers())
  }

  /** The names of clusters, or DEFAULT_HOME, may have changed since our store took entries of an away video. */
  async #lookForMisplaced(videoId: VideoId, { homes, onMisplaced }: PeersDeps): Promise<void> {
    if (!onMisplaced) return
    const heads = await this.#deps.store.lastIds([videoId]).catch(unlessAway)
    if ((heads?.get(videoId) ?? 0) > 0) onMisplaced(videoId, homes.of(videoId))
  }

  /** @throws LiveError FORBIDDEN where this cluster is by itself */
  #peers(): Away {
    if (!this.#away) throw new LiveError('FORBIDDEN', 'this cluster has no PEERS')
    return this.#away
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

  #eraseFromPipes(videoId: VideoId, act: Act | undefined): void {
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

  #viewersElsewhere(videoId: VideoId, edgeId: string | undefined): number {
    return this.#deps.view.viewersOf(videoId, edgeId) + (this.#peerViewers?.of(videoId, edgeId) ?? 0)
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

function unlessAway(error: unknown): undefined {
  if (!(error instanceof StoreUnavailableError)) throw error
}

function notTheStore(): StoreUnavailableError {
  return new StoreUnavailableError('it is not the store that is expected')
}
