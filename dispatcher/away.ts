import type { ActRequest, ActResult } from '../protocol/acts.js'
import type { VideoId } from '../protocol/comment.js'
import type { VideoState } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import type { DecisionRequest, DecisionResult, HeldComment, HeldId } from '../protocol/held.js'
import { parseVideoHome, type VideoHome } from '../protocol/homes.js'
import type { Cursor } from '../protocol/id.js'
import type { MemberNode } from '../protocol/nodes.js'
import type { PostResult, TimedDraft } from '../protocol/posts.js'
import type { Batch, ReplayRequest, RoomAnswer, SyncRequest } from '../protocol/wire.js'
import type { Homes } from '../registry/homes.js'
import type { Clock } from '../runtime/clock.js'
import type { Caller } from '../runtime/peers/client.js'
import { AwayVideos, type AwayVideosDeps } from './away-videos.js'
import type { HistoryPage, HistoryQuery } from './history.js'
import { actAtHome, authorAtHome, decideAtHome, heldAtHome, homeUnavailable, postAtHome, readAtHome, stateAtHome } from './home-calls.js'
import { knownPage } from './known-page.js'
import type { DispatcherMetrics } from './metrics.js'
import { PeerLine, type PeerLineDeps } from './peer-line.js'
import type { Place } from './store/store.js'

/** Where there are several clusters. */
export interface PeersDeps extends Pick<PeerLineDeps, 'onChange' | 'onDiffering'> {
  /** Optional hook: our own store has entries of a video whose home is that cluster. Nobody sees them. */
  readonly onMisplaced?: ((videoId: VideoId, home: string) => void) | undefined
  readonly homes: Homes
  /** Calls other clusters, with PEER_TOKEN. */
  readonly client: Caller
}

export interface AwayDeps extends PeersDeps, Omit<AwayVideosDeps, 'lineOf'> {
  readonly clock: Clock
  readonly random: () => number
  readonly metrics: DispatcherMetrics
}

const BATCH_TIMEOUT_MS = 2_000
const REPORT_MS = 1_500

/** The other clusters: what a dispatcher does about away videos, those whose home is another cluster, and how it pushes to clusters that
 * have viewers of ours. */
export class Away {
  readonly #homes: Homes
  readonly #lines: ReadonlyMap<string, PeerLine>
  readonly #videos: AwayVideos

  constructor(deps: AwayDeps) {
    const { homes, client, clock, random, onChange, onDiffering, metrics } = deps
    this.#homes = homes
    const lines = (this.#lines = new Map(homes.peers.map(cluster => [cluster.name, new PeerLine({ self: homes.self, cluster, rule: homes.rule, client, clock, random, onChange, onDiffering })])))
    const videos = (this.#videos = new AwayVideos({ ...deps, lineOf: videoId => this.lineOf(videoId) }))
    const each = (read: (line: PeerLine) => number) => () => Array.from(lines, ([name, line]) => [name, read(line)] as const)
    metrics.peers('up', 'Whether the other cluster answered the last call: 1 or 0.', each(line => Number(line.up)))
    metrics.peers('silence_seconds', 'For how long the other cluster has not answered.', each(line => line.silentMs / 1000))
    metrics.peers('lag_seconds', 'Age of the oldest comparison with the other cluster among its videos that edges here hold.', each(line => videos.lagMs(line) / 1000))
    metrics.bytes('away', 'Bytes of recent entries of other clusters\' videos in memory.', () => videos.bytes)
  }

  /** The line to the video's home; undefined where that is this cluster. */
  lineOf(videoId: VideoId): PeerLine | undefined {
    const home = this.#homes.elsewhere(videoId)
    return home && this.#lines.get(home.name)
  }

  /** Who is the video's home, as this cluster has it. @param head the newest id of the video in our own store, 0 for none */
  homeOf(videoId: VideoId, head: Cursor): VideoHome {
    const homes = this.#homes
    return { cluster: homes.self, clusters: homes.rule.clusters, home: homes.of(videoId), named: homes.isNamed(videoId), head: String(head) }
  }

  /** The same as each other cluster has it; null where one has no answer. */
  async homeElsewhere(videoId: VideoId): Promise<Record<string, VideoHome | null>> {
    const asked = Array.from(this.#lines, async ([name, line]) => {
      const answer = await line.call(`home/${videoId}`, { method: 'GET', timeoutMs: REPORT_MS }).then(parseVideoHome).catch(() => null)
      return [name, answer] as const
    })
    return Object.fromEntries(await Promise.all(asked))
  }

  /** The cluster of that name, as one that syncs. @throws LiveError FORBIDDEN where PEERS does not name it */
  member(name: string): MemberNode {
    return this.#line(name).member
  }

  /** Sends a batch to a cluster. @throws PeerError */
  push({ instance: name }: MemberNode, body: Buffer | string): Promise<Buffer> {
    return this.#line(name).call('batch', { body, timeoutMs: BATCH_TIMEOUT_MS })
  }

  /** Each post's result, in order. */
  async posts(posts: readonly TimedDraft[], lostMs: number): Promise<PostResult[]> {
    const byHome = new Map<PeerLine, number[]>()
    posts.forEach(({ videoId }, i) => {
      const line = this.#home(videoId)
      byHome.set(line, [...(byHome.get(line) ?? []), i])
    })
    const results: PostResult[] = []
    await Promise.all(Array.from(byHome, async ([line, indexes]) => {
      const answers = await postAtHome(line, indexes.map(i => posts[i]!), lostMs)
      indexes.forEach((index, i) => (results[index] = answers[i]!))
    }))
    return results
  }

  act(request: ActRequest, lostMs: number): Promise<ActResult> {
    return actAtHome(this.#home(request.order.videoId), request, lostMs)
  }

  decide(videoId: VideoId, id: HeldId, request: DecisionRequest, lostMs: number): Promise<DecisionResult> {
    return decideAtHome(this.#home(videoId), videoId, id, request, lostMs)
  }

  /** @throws LiveError HOME_UNAVAILABLE */
  held(videoId: VideoId): Promise<HeldComment[]> {
    return heldAtHome(this.#home(videoId), videoId)
  }

  /** @throws LiveError COMMENT_NOT_FOUND, HOME_UNAVAILABLE */
  authorOf(place: Place): Promise<string> {
    return authorAtHome(this.#home(place.videoId), place)
  }

  /** By its home or, where that has no answer, as far as it is known here. @throws LiveError HOME_UNAVAILABLE */
  state(videoId: VideoId): Promise<VideoState> {
    return this.#read(videoId, line => stateAtHome(line, videoId), () => this.#videos.known(videoId)?.state)
  }

  /** Likewise. @throws LiveError HOME_UNAVAILABLE */
  history(videoId: VideoId, query: HistoryQuery): Promise<HistoryPage> {
    const { cursor, direction, pageSize } = query
    const route = `history/${videoId}?${cursor === undefined ? '' : `cursor=${cursor}&`}direction=${direction}&pageSize=${pageSize}`
    return this.#read(videoId, line => readAtHome(line, route, answer => JSON.parse(answer.toString()) as HistoryPage), () => {
      const recent = this.#videos.known(videoId)
      return recent && knownPage(recent, query)
    })
  }

  sync(edgeId: string, requests: readonly SyncRequest[]): Promise<RoomAnswer[]> {
    return this.#videos.sync(edgeId, requests)
  }

  /** @throws LiveError HOME_UNAVAILABLE */
  replay(request: ReplayRequest): Promise<RoomAnswer> {
    return this.#videos.replay(request, this.#home(request.videoId))
  }

  /** What a cluster pushes of the videos whose home it is; of others it has nothing to say. */
  pushed(name: string, { comments, hints }: Batch): void {
    const line = this.#line(name)
    const isOfPeer = ({ videoId }: { readonly videoId: VideoId }) => this.lineOf(videoId) === line
    this.#videos.pushed(comments.filter(isOfPeer), hints.filter(isOfPeer))
  }

  /** What another dispatcher of ours says of away videos. */
  take({ comments, hints }: Batch): void {
    this.#videos.take(comments, hints)
  }

  close(): void {
    this.#videos.close()
    for (const line of this.#lines.values()) line.close()
  }

  async #read<T>(videoId: VideoId, atHome: (line: PeerLine) => Promise<T>, known: () => T | undefined): Promise<T> {
    const line = this.#home(videoId)
    try {
      if (!line.isUsable) throw homeUnavailable(line)
      return await atHome(line)
    } catch (error) {
      const found = error instanceof LiveError && error.code === 'HOME_UNAVAILABLE' ? known() : undefined
      if (found === undefined) throw error
      return found
    }
  }

  #home(videoId: VideoId): PeerLine {
    const line = this.lineOf(videoId)
    if (!line) throw new Error(`this cluster is the home of ${videoId}`)
    return line
  }

  #line(name: string): PeerLine {
    const line = this.#lines.get(name)
    if (!line) throw new LiveError('FORBIDDEN', 'PEERS does not name the cluster that asks')
    return line
  }
}
