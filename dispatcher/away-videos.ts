import type { VideoId } from '../protocol/comment.js'
import type { Cursor } from '../protocol/id.js'
import { MAX_REPLAY, MAX_SYNC_ROOMS } from '../protocol/limits.js'
import { READS_ENTRIES, READS_HEADER } from '../protocol/posts.js'
import { parseAnswers, printPeerSync, printReplay, WireError, type Hint, type ReplayRequest, type RoomAnswer, type SyncRequest, type WireComment } from '../protocol/wire.js'
import type { Clock } from '../runtime/clock.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { homeUnavailable } from './home-calls.js'
import type { PeerLine } from './peer-line.js'
import type { RecentComments } from './recent-comments.js'
import { RecentVideos } from './recent-videos.js'
import { after, Allowance, holds } from './sync.js'
import { SYNC_HOLDS_MS } from './synced.js'

export interface AwayVideosDeps {
  readonly clock: Clock
  /** Most bytes of entries that are kept. */
  readonly maxBytes: number
  /** The line to the video's home; undefined where that is this cluster. */
  readonly lineOf: (videoId: VideoId) => PeerLine | undefined
  /** Viewers of the video on all edges of this cluster but one. */
  readonly viewersElsewhere: (videoId: VideoId, edgeId: string | undefined) => number
  /** Sends an entry to the edges that hold its video, an act also to the other dispatchers. */
  readonly forward: (entry: WireComment) => void
  readonly forwardHint: (hint: Hint) => void
  /** Optional hook: edges here have begun to hold the video. */
  readonly onHeld?: ((videoId: VideoId) => void) | undefined
}

/** A video that edges here hold is synchronized with its home about this often, which also keeps the home pushing (rule 7). */
const TURN_MS = 1_500
/** A comparison with the home stands for this long: two turns, each of which may come late. */
const FRESH_MS = 5_000
/** One that has just been made is as good as the next turn's. */
const JUST_COMPARED_MS = 500
/** Below the time that an edge waits for a sync, which is 1 s, and for a replay. */
const SYNC_MS = 750
const REPLAY_MS = 1_500
/** Questions in one turn for what does not fit into one answer. */
const MAX_ROUNDS = 50
const ENTRIES = { [READS_HEADER]: READS_ENTRIES }

/** The videos that edges here hold and whose home is another cluster. Towards the home we do what an edge does: sync by cursor, and
 * take pushes. Towards our edges the home is the store: rules 4 and 5 hold with it in the store's place. While it cannot be reached,
 * what is known here is answered as from memory, which never says that an entry does not exist. */
export class AwayVideos {
  readonly #deps: AwayVideosDeps
  readonly #recentVideos: RecentVideos
  /** When an edge last synced each, monotonic ms. */
  readonly #held = new Map<VideoId, number>()
  /** Their viewers in other clusters, as the home last said. */
  readonly #others = new Map<VideoId, number>()
  #turning = false
  #cancelTick: () => void

  constructor(deps: AwayVideosDeps) {
    this.#deps = deps
    this.#recentVideos = new RecentVideos(deps.maxBytes)
    this.#cancelTick = deps.clock.tick(TURN_MS, this.#tick)
  }

  get bytes(): number {
    return this.#recentVideos.bytes
  }

  /** Age of the oldest comparison with that home among the videos that are held, ms; 0 where none is. One that was never compared, or
   * has news to fetch, counts from the home's last answer. */
  lagMs(home: PeerLine): number {
    const now = this.#deps.clock.now()
    let lagMs = 0
    for (const [videoId, heldAt] of this.#held) {
      if (now - heldAt > SYNC_HOLDS_MS || this.#deps.lineOf(videoId) !== home) continue
      const comparedAt = this.#known(videoId)?.comparedAt ?? -Infinity
      lagMs = Math.max(lagMs, comparedAt === -Infinity ? home.silentMs : now - comparedAt)
    }
    return lagMs
  }

  /** What is known of a video, from its home or from memory. */
  known(videoId: VideoId): RecentComments | undefined {
    return this.#known(videoId)
  }

  /** Rooms of one edge, in no certain order. One of which nothing is known has no answer while its home cannot be reached. */
  async sync(edgeId: string, requests: readonly SyncRequest[]): Promise<RoomAnswer[]> {
    const now = this.#deps.clock.now()
    const answers: RoomAnswer[] = []
    const allowance = new Allowance()
    const fromMemory = (recent: RecentComments, request: SyncRequest) => {
      const { last = recent.head } = request
      const found = recent.reaches(last) ? after(recent, request) : []
      const comments = allowance.cut(found)
      const more = last < recent.floor || comments.length < found.length
      const { videoId, head, state } = recent
      answers.push({ videoId, head, others: this.#viewersElsewhere(videoId, edgeId), from: 'memory', more, state, comments })
    }
    const rest = new Map<PeerLine, SyncRequest[]>()
    for (const request of requests) {
      const { videoId } = request
      if (!this.#held.has(videoId)) this.#deps.onHeld?.(videoId)
      this.#held.set(videoId, now)
      const line = this.#deps.lineOf(videoId)
      const recent = this.#known(videoId)
      if (recent && holds(recent, request) && this.#isFresh(recent)) fromMemory(recent, request)
      else if (line) addTo(rest, line, request)
    }
    await Promise.all(Array.from(rest, async ([line, asked]) => {
      const found = (line.isUsable ? await this.#fromHome(line, asked).catch(unlessAway) : undefined) ?? []
      answers.push(...found.map(answer => ({ ...answer, others: this.#viewersElsewhere(answer.videoId, edgeId) })))
      const answered = new Set(found.map(({ videoId }) => videoId))
      for (const request of asked) {
        const recent = answered.has(request.videoId) ? undefined : this.#known(request.videoId)
        if (recent) fromMemory(recent, request)
      }
    }))
    return answers
  }

  /** The newest `limit` in (after, until]. @throws LiveError HOME_UNAVAILABLE where it is not known here, and the home has no answer */
  async replay(request: ReplayRequest, line: PeerLine): Promise<RoomAnswer> {
    const { videoId, after: from, until, limit } = request
    const most = Math.min(limit, MAX_REPLAY)
    const fromMemory = (): RoomAnswer | undefined => {
      const recent = this.#known(videoId)
      if (!recent || until > recent.head) return undefined
      const here = recent.between(from, until)
      if (from < recent.floor && here.length <= most) return undefined
      return { videoId, head: recent.head, others: this.#viewersElsewhere(videoId, undefined), from: 'memory', more: here.length > most, comments: here.slice(-most) }
    }
    const recent = this.#known(videoId)
    const fresh = recent && this.#isFresh(recent) ? fromMemory() : undefined
    if (fresh) return fresh
    try {
      if (!line.isUsable) throw homeUnavailable(line)
      const [answer] = parseAnswers(await line.call('replay', { body: printReplay(request), timeoutMs: REPLAY_MS }))
      if (answer?.videoId !== videoId) throw new WireError('the answer is for another video')
      return answer
    } catch (cause) {
      const known = fromMemory()
      if (known) return known
      throw homeUnavailable(line, cause)
    }
  }

  /** What the home pushes. */
  pushed(entries: readonly WireComment[], hints: readonly Hint[]): void {
    for (const entry of entries) {
      this.#recentVideos.take(entry)
      this.#deps.forward(entry)
    }
    for (const hint of hints) {
      this.#recentVideos.hint(hint, this.#deps.clock.now())
      this.#deps.forwardHint(hint)
    }
  }

  /** What another dispatcher of ours has from the home. */
  take(entries: readonly WireComment[], hints: readonly Hint[]): void {
    for (const entry of entries) this.#recentVideos.take(entry)
    for (const hint of hints) this.#recentVideos.hint(hint, this.#deps.clock.now())
  }

  close(): void {
    this.#cancelTick()
  }

  /** The home's answers, which are taken into memory. What is new to us goes to all edges that hold its video.
   * @throws PeerError; WireError */
  async #fromHome(line: PeerLine, requests: readonly SyncRequest[]): Promise<RoomAnswer[]> {
    const asOf = this.#deps.clock.now()
    const heads = new Map(requests.map(({ videoId }) => [videoId, this.#known(videoId)?.head]))
    const answers = parseAnswers(await line.call('sync', { body: printPeerSync({ requests: requests.map(request => this.#wanting(request)), viewers: this.#viewersOf(requests) }), headers: ENTRIES, timeoutMs: SYNC_MS }))
    const wanted = answers.filter(({ videoId }) => heads.has(videoId))
    for (const answer of wanted) {
      this.#others.set(answer.videoId, answer.others)
      this.#take(answer, heads.get(answer.videoId), asOf)
    }
    return wanted
  }

  /** Names what the home has hinted at: it answers that from its store (rule 4). */
  #wanting(request: SyncRequest): SyncRequest {
    const heard = this.#known(request.videoId)?.heard
    return heard !== undefined && heard > (request.want ?? 0) ? { ...request, want: heard } : request
  }

  /** @param before our head when the home was asked; undefined: the video was not known */
  #take({ videoId, head, from, more, state, comments }: RoomAnswer, before: Cursor | undefined, asOf: number): void {
    // Only its store, read to the end, can say that nothing is there: it has gone back behind us.
    if (before !== undefined && from === 'store' && !more && head < before) this.#recentVideos.forget(videoId)
    for (const entry of comments) {
      this.#recentVideos.take(entry)
      if (before !== undefined && entry.id > before) this.#deps.forward(entry)
    }
    if (more) return
    const recent = this.#recentVideos.compared(videoId, head, asOf)
    if (state) recent.learn({ ...state, head, bans: new Map(), unerased: [] })
  }

  readonly #tick = (): void => {
    const { clock } = this.#deps
    this.#cancelTick = clock.tick(TURN_MS, this.#tick)
    if (this.#turning || this.#held.size === 0) return
    this.#turning = true
    void this.#turn(clock.now()).finally(() => (this.#turning = false))
  }

  /** Synchronizes what edges hold, also with a home that did not answer the last time. */
  async #turn(now: number): Promise<void> {
    const due = new Map<PeerLine, VideoId[]>()
    for (const [videoId, heldAt] of this.#held) {
      const line = this.#deps.lineOf(videoId)
      if (!line || now - heldAt > SYNC_HOLDS_MS) {
        this.#held.delete(videoId)
        this.#others.delete(videoId)
      } else if (now - (this.#known(videoId)?.comparedAt ?? -Infinity) > JUST_COMPARED_MS) addTo(due, line, videoId)
    }
    await Promise.all(Array.from(due, ([line, videoIds]) => this.#catchUp(line, videoIds).catch(unlessAway)))
  }

  /** @throws PeerError; WireError */
  async #catchUp(line: PeerLine, videoIds: readonly VideoId[]): Promise<void> {
    let left = videoIds
    for (let round = 0; left.length > 0 && round < MAX_ROUNDS; round++) {
      const now = left.slice(0, MAX_SYNC_ROOMS)
      const before = new Map(now.map(videoId => [videoId, this.#known(videoId)?.head]))
      const answers = await this.#fromHome(line, now.map(videoId => ({ videoId, last: before.get(videoId), want: undefined })))
      const onward = answers.filter(({ videoId, more, comments }) => more && comments.length > 0 && this.#known(videoId)?.head !== before.get(videoId))
      left = [...onward.map(({ videoId }) => videoId), ...left.slice(MAX_SYNC_ROOMS)]
    }
  }

  /** Of our cluster, where there are some. */
  #viewersOf(requests: readonly SyncRequest[]): Map<VideoId, number> {
    return new Map(requests.map(({ videoId }) => [videoId, this.#deps.viewersElsewhere(videoId, undefined)] as const).filter(([, viewers]) => viewers > 0))
  }

  /** In all clusters, but for one edge. */
  #viewersElsewhere(videoId: VideoId, edgeId: string | undefined): number {
    return this.#deps.viewersElsewhere(videoId, edgeId) + (this.#others.get(videoId) ?? 0)
  }

  #known(videoId: VideoId): RecentComments | undefined {
    return this.#recentVideos.get(videoId)
  }

  #isFresh({ comparedAt }: RecentComments): boolean {
    return this.#deps.clock.now() - comparedAt <= FRESH_MS
  }
}

function addTo<T>(groups: Map<PeerLine, T[]>, line: PeerLine, item: T): void {
  const group = groups.get(line)
  if (group) group.push(item)
  else groups.set(line, [item])
}

/** A home that has no answer, or one that cannot be read. */
function unlessAway(error: unknown): undefined {
  if (!(error instanceof PeerError || error instanceof WireError)) throw error
}
