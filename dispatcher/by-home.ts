import type { ActRequest, ActResult } from '../protocol/acts.js'
import type { VideoId } from '../protocol/comment.js'
import type { VideoState } from '../protocol/entry.js'
import type { DecisionRequest, DecisionResult, HeldComment, HeldId } from '../protocol/held.js'
import type { VideoHomes } from '../protocol/homes.js'
import type { MemberNode } from '../protocol/nodes.js'
import type { PostBatch, PostResult } from '../protocol/posts.js'
import type { Batch, PeerSync, ReplayRequest, RoomAnswer, SyncRequest } from '../protocol/wire.js'
import { Away, type PeersDeps } from './away.js'
import { Dispatcher, type Answers, type DispatcherDeps } from './dispatcher.js'
import type { HistoryPage, HistoryQuery } from './history.js'
import { isPeer } from './peer-line.js'
import { PeerViewers } from './peer-viewers.js'
import { StoreUnavailableError, unlessUnavailable, type Place, type Store } from './store/store.js'

export interface ByHomeDeps extends DispatcherDeps {
  readonly peers: PeersDeps
}

/** Most bytes of the recent comments of away videos. */
const MAX_AWAY_BYTES = 64 << 20

/** A dispatcher where there are several clusters: what is asked about a video is asked of its home. */
export class ByHome implements Answers {
  /** For the videos whose home is here. */
  readonly here: Dispatcher
  readonly #away: Away
  readonly #peers: PeersDeps
  readonly #peerViewers: PeerViewers
  readonly #store: Store
  /** Whether the store is not, at present, the cluster's. */
  readonly #isRefused: () => boolean

  constructor(deps: ByHomeDeps) {
    const { peers, store, clock, random, metrics, standing } = deps
    this.#peers = peers
    this.#store = store
    this.#isRefused = () => standing?.refused !== undefined
    const peerViewers = (this.#peerViewers = new PeerViewers(clock))
    const here = (this.here = new Dispatcher({
      ...deps,
      send: (target, path, body, ...rest) => (isPeer(target) ? this.#away.push(target, body) : deps.send(target, path, body, ...rest)),
      viewersAtPeers: (videoId, except) => peerViewers.of(videoId, except),
    }))
    this.#away = new Away({
      ...peers,
      clock,
      random,
      metrics,
      maxBytes: MAX_AWAY_BYTES,
      viewersElsewhere: (videoId, edgeId) => here.viewersElsewhere(videoId, edgeId),
      forward: entry => here.forward(entry),
      forwardHint: hint => here.forwardHint(hint),
      onHeld: videoId => void this.#lookForMisplaced(videoId),
    })
  }

  /** Posts of away videos go to their homes, whatever our own store can do. */
  async posts(batch: PostBatch, lostMs = 0): Promise<PostResult[]> {
    const isAway = batch.posts.map(({ videoId }) => this.#isAway(videoId))
    if (!isAway.includes(true)) return this.here.posts(batch, lostMs)
    const [there, here] = [batch.posts.filter((_, i) => isAway[i]), batch.posts.filter((_, i) => !isAway[i])]
    const [theirs, ours] = await Promise.all([this.here.keepInHand(this.#away.posts(there, lostMs)), here.length > 0 ? this.here.posts({ ...batch, posts: here }, lostMs) : []])
    const [atHome, stored] = [theirs.values(), ours.values()]
    return isAway.map(each => (each ? atHome : stored).next().value!)
  }

  act(request: ActRequest, lostMs = 0): Promise<ActResult> {
    return this.#isAway(request.order.videoId) ? this.here.keepInHand(this.#away.act(request, lostMs)) : this.here.act(request, lostMs)
  }

  /** @throws StoreUnavailableError; LiveError HOME_UNAVAILABLE */
  held(videoId: VideoId): Promise<HeldComment[]> {
    return this.#for(videoId).held(videoId)
  }

  decide(videoId: VideoId, id: HeldId, request: DecisionRequest, lostMs = 0): Promise<DecisionResult> {
    return this.#isAway(videoId) ? this.here.keepInHand(this.#away.decide(videoId, id, request, lostMs)) : this.here.decide(videoId, id, request, lostMs)
  }

  /** @throws LiveError COMMENT_NOT_FOUND, HOME_UNAVAILABLE; StoreUnavailableError */
  authorOf(place: Place): Promise<string> {
    return this.#for(place.videoId).authorOf(place)
  }

  /** @throws StoreUnavailableError; LiveError HOME_UNAVAILABLE */
  state(videoId: VideoId): Promise<VideoState> {
    return this.#for(videoId).state(videoId)
  }

  /** A store of ours that is away keeps no room of an away video from its answer; but whoever has the wrong one has no answer at all, so
   * that another dispatcher is asked. */
  async sync(edge: MemberNode, requests: readonly SyncRequest[], withStates = false): Promise<RoomAnswer[]> {
    const { there, here } = this.#split(requests)
    if (there.length === 0) return this.here.sync(edge, here, withStates)
    this.here.saw(edge, there)
    const [theirs, ours = []] = await Promise.all([this.#away.sync(edge.id, there), here.length > 0 ? this.here.sync(edge, here, withStates).catch(error => this.#unlessStoreIsAway(error)) : []])
    return [...ours, ...(withStates ? theirs : theirs.map(answer => ({ ...answer, state: undefined })))]
  }

  /** The same for another cluster. Of a video whose home is not here there is no answer.
   * @throws StoreUnavailableError; LiveError FORBIDDEN where PEERS does not name it */
  async syncOfPeer(name: string, { requests, viewers }: PeerSync): Promise<RoomAnswer[]> {
    const member = this.#away.member(name)
    const { here } = this.#split(requests)
    this.#peerViewers.saw(member.id, here.map(({ videoId }) => videoId), viewers)
    return here.length > 0 ? this.here.sync(member, here, true) : []
  }

  /** @throws StoreUnavailableError; LiveError RATE_LIMITED, HOME_UNAVAILABLE */
  replay(request: ReplayRequest, wanted?: () => boolean): Promise<RoomAnswer> {
    return this.#for(request.videoId).replay(request, wanted)
  }

  /** @throws StoreUnavailableError; LiveError RATE_LIMITED, HOME_UNAVAILABLE */
  history(videoId: VideoId, query: HistoryQuery, wanted?: () => boolean): Promise<HistoryPage> {
    return this.#for(videoId).history(videoId, query, wanted)
  }

  batch(batch: Batch): void {
    const comments = this.#split(batch.comments)
    const hints = this.#split(batch.hints)
    this.#away.take({ comments: comments.there, hints: hints.there })
    for (const entry of comments.there) this.here.eraseFromPipes(entry)
    this.here.batch({ comments: comments.here, hints: hints.here })
  }

  /** What another cluster pushes of the videos whose home it is. @throws LiveError FORBIDDEN where PEERS does not name it */
  pushed(name: string, batch: Batch): void {
    this.#away.pushed(name, batch)
  }

  /** Which cluster is the video's home, as we have it. @param withPeers also as each other cluster has it @throws StoreUnavailableError */
  async homeOf(videoId: VideoId, withPeers: boolean): Promise<VideoHomes> {
    const head = (await this.#store.lastIds([videoId])).get(videoId)
    if (head === undefined) throw new StoreUnavailableError('the video cannot be read')
    return { ...this.#away.homeOf(videoId, head), ...(withPeers ? { peers: await this.#away.homeElsewhere(videoId) } : {}) }
  }

  close(): void {
    this.here.close()
    this.#away.close()
  }

  #isAway(videoId: VideoId): boolean {
    return this.#away.lineOf(videoId) !== undefined
  }

  #for(videoId: VideoId): Away | Dispatcher {
    return this.#isAway(videoId) ? this.#away : this.here
  }

  /** What is about away videos, and about those whose home is here. */
  #split<T extends { readonly videoId: VideoId }>(items: readonly T[]): { readonly there: T[]; readonly here: T[] } {
    const there: T[] = []
    const here: T[] = []
    for (const item of items) (this.#isAway(item.videoId) ? there : here).push(item)
    return { there, here }
  }

  #unlessStoreIsAway(error: unknown): undefined {
    if (this.#isRefused()) throw error
    return unlessUnavailable(error)
  }

  /** The names of clusters, or DEFAULT_HOME, may have changed since our store took entries of an away video. */
  async #lookForMisplaced(videoId: VideoId): Promise<void> {
    const { homes, onMisplaced } = this.#peers
    if (!onMisplaced) return
    const heads = await this.#store.lastIds([videoId]).catch(unlessUnavailable)
    if ((heads?.get(videoId) ?? 0) > 0) onMisplaced(videoId, homes.of(videoId))
  }
}
