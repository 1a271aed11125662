import type { VideoId } from '../protocol/comment.js'
import { HEARTBEAT_MS, SLOW_MS } from '../protocol/limits.js'
import type { EdgeNode } from '../protocol/nodes.js'
import { retryMs } from '../protocol/sse.js'
import type { View } from '../registry/view.js'
import { Expiries } from '../runtime/auth/expiries.js'
import type { Keys } from '../runtime/auth/keys.js'
import { sleep, type Clock } from '../runtime/clock.js'
import { replayShares } from '../runtime/limits/replays.js'
import { Admission } from './admission.js'
import { level, LEVEL_EVERY_MS, MOVE_AFTER_MS, TOLERATED_VIEWERS, type Move, type Moves } from './levelling.js'
import type { Links } from './links.js'
import type { Pending } from './pending.js'
import { place } from './placement.js'
import { Session, SessionCounts, type SessionHost } from './session.js'
import { Several } from './several.js'
import { SharedEvents } from './shared-events.js'
import type { Sink, Stay, Viewing } from './sink.js'
import type { Upstreams } from './upstreams.js'
import type { StreamRequest, StreamRequests } from './viewer.js'

const TICK_MS = 1_000
/** A client that nobody tells from others. */
const ANYONE = ['']

export interface SessionsOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly view: View
  readonly pending: Pending
  readonly upstreams: Upstreams
  readonly links: Pick<Links, 'join'>
  readonly videoShare: number
  /** By so many viewers an edge may differ from its fair share before videos are moved; 20 without. */
  readonly toleratedViewers?: number | undefined
  /** Newcomers a second that are placed. */
  readonly joinRate: number
}

/** All viewers of this gateway: each is placed on an edge, and placed again when that edge dies, falls silent or
 * hands it back, resuming after the last id that was passed on. The viewer's own connection stays. */
export class Sessions {
  readonly counts = new SessionCounts()
  readonly #options: SessionsOptions
  readonly #sessions = new Set<Session>()
  /** Sessions beyond one for each viewer: one who watches several videos has as many. */
  #surplus = 0
  readonly #shared = new SharedEvents()
  /** Those that no edge has sent anything yet, or no longer: we keep their line alive. */
  readonly #quiet = new Set<Session>()
  readonly #waiting = new Set<Session>()
  readonly #blocked = new Set<Session>()
  readonly #expiries = new Expiries<Session>()
  readonly #admission: Admission
  #heartbeatAt: number
  #levelledAt: number
  /** What is to be moved, and when. */
  #plan: { readonly moves: Moves; readonly at: number } | undefined
  /** Videos that are being moved to another edge. */
  #moves: Moves = new Map()
  /** Viewers that are being moved, where only some of a video's viewers on an edge are. */
  #moved = new WeakMap<Session, EdgeNode>()
  readonly #host: SessionHost
  #cancel: () => void

  constructor(options: SessionsOptions) {
    this.#options = options
    const { view, pending, upstreams, links, videoShare, clock, joinRate } = options
    const replays = replayShares(clock)
    this.#admission = new Admission({ clock, rate: joinRate, waits: key => replays.waitMs(key) > 0 })
    const backedOff = (edge: EdgeNode) => upstreams.isBackedOff(edge)
    this.#host = {
      options,
      counts: this.counts,
      replays,
      find: session => {
        const movedTo = this.#moved.get(session) ?? this.#whole(session.videoId)?.to
        const found = place(view, session.videoId, pending, { videoShare, movedTo, backedOff: session.avoids(edge => backedOff(edge) || upstreams.isStale(edge)) })
        // Where all are stale, one is as good as another.
        return found === 'none' ? place(view, session.videoId, pending, { videoShare, backedOff: session.avoids(backedOff) }) : found
      },
      join: (node, member) => links.join(node, member),
      enqueue: arrival => this.#admission.add(arrival),
      dequeue: arrival => this.#admission.delete(arrival),
      quiet: (session, quiet) => toggle(this.#quiet, session, quiet),
      waiting: (session, waiting) => toggle(this.#waiting, session, waiting),
      blocked: (session, blocked) => toggle(this.#blocked, session, blocked),
      gone: (session, why) => {
        this.counts.endings[why]++
        this.#forget(session)
      },
    }
    this.#heartbeatAt = clock.now() + HEARTBEAT_MS
    this.#levelledAt = this.#turnOfLevelling
    this.#cancel = clock.tick(TICK_MS, this.#tick)
  }

  /** Viewers with an open stream. */
  get size(): number {
    return this.#sessions.size - this.#surplus
  }

  /** What they watch: one who watches several videos counts for each. */
  get places(): number {
    return this.#sessions.size
  }

  /** Viewers that wait for an edge. */
  get waitingCount(): number {
    return this.#waiting.size
  }

  /** Newcomers in line to be placed. */
  get inLine(): number {
    return this.#admission.waiting
  }

  /** How long a client that is turned away should wait. */
  retryMs(): number {
    return retryMs(this.#options.random)
  }

  /** Whether a newcomer of this client may get in line: if need be, in the place of another client's.
   * @param videos how many it watches, each of which is placed by itself */
  takesNewcomer(client: readonly string[], videos = 1): boolean {
    return this.#admission.hasRoom(client, videos)
  }

  /** A viewer whose connection is open. Tell it `progressed`, `drained` and `left`. */
  open(request: StreamRequest, sink: Sink, viewing?: Viewing): Session
  open(requests: StreamRequests, sink: Sink, viewing?: Viewing): Stay
  open(requests: StreamRequests, sink: Sink, viewing: Viewing = {}): Stay {
    if (!('videoId' in requests)) return this.#openSeveral(requests, sink, viewing)
    const session = new Session(this.#host, requests, sink, viewing.client ?? ANYONE)
    this.#begin([session], viewing)
    return session
  }

  #openSeveral(requests: readonly StreamRequest[], sink: Sink, viewing: Viewing): Several {
    const several = new Several({
      host: { ...this.#host, gone: session => this.#forget(session) },
      shared: this.#shared,
      requests,
      sink,
      client: viewing.client ?? ANYONE,
      over: why => {
        this.counts.endings[why]++
        this.#surplus -= requests.length - 1
      },
    })
    this.#surplus += requests.length - 1
    this.#begin(several.sessions, viewing)
    return several
  }

  /** All of them before the first is placed, which may end them all. @param sessions of one viewer */
  #begin(sessions: readonly Session[], { endsAt, key }: Viewing): void {
    const [first] = sessions
    for (const session of sessions) this.#sessions.add(session)
    if (endsAt !== undefined) this.#expiries.add(first!, endsAt, key)
    this.#quiet.add(first!)
    for (const session of sessions) if (this.#sessions.has(session)) this.#admission.add(session)
  }

  #forget(session: Session): void {
    for (const set of [this.#sessions, this.#quiet, this.#waiting, this.#blocked, this.#admission, this.#expiries]) set.delete(session)
  }

  /** Ends the streams whose key is none of these, within seconds. */
  keysChanged(keys: Keys): void {
    const { clock, random } = this.#options
    this.#expiries.keep(keys, clock.wall(), random)
  }

  /** Places those that wait: an edge may have come. */
  placeWaiting(): void {
    for (const session of this.#waiting) this.#admission.add(session)
  }

  /** Ends every stream, spread over `windowMs`, each with its own `retry:`, for as long as that is `wanted`. */
  async endAll(windowMs: number, wanted: () => boolean = () => true): Promise<void> {
    const { clock } = this.#options
    const stepMs = 50
    const perStep = Math.ceil(this.size / Math.max(1, Math.floor(windowMs / stepMs)))
    while (this.#sessions.size > 0 && wanted()) {
      let ended = 0
      for (const session of this.#sessions) {
        if (ended++ === perStep) break
        session.end('stopping')
      }
      if (this.#sessions.size > 0) await sleep(clock, stepMs)
    }
  }

  close(): void {
    this.#cancel()
    this.#admission.close()
    for (const session of this.#sessions) session.end('stopping')
  }

  readonly #tick = (): void => {
    const { clock, pending } = this.#options
    this.#cancel = clock.tick(TICK_MS, this.#tick)
    const now = clock.now()
    pending.expire(now)
    this.placeWaiting()
    this.#endSlow(now)
    this.#endExpired()
    if (this.#levelledAt !== this.#turnOfLevelling) this.#level(now)
    if (this.#plan && now >= this.#plan.at) this.#move(this.#plan.moves)
    if (now >= this.#heartbeatAt) this.#heartbeats(now)
  }

  #endSlow(now: number): void {
    for (const session of this.#blocked) if (session.blockedForMs(now) >= SLOW_MS) session.end('slow')
  }

  #endExpired(): void {
    for (const session of this.#expiries.due(this.#options.clock.wall())) session.end('expired')
  }

  #heartbeats(now: number): void {
    this.#heartbeatAt = now + HEARTBEAT_MS
    for (const session of this.#quiet) session.heartbeat()
  }

  get #turnOfLevelling(): number {
    return Math.floor(this.#options.clock.wall() / LEVEL_EVERY_MS)
  }

  /** Decides which videos are to go to edges that have fewer viewers than their share. They are moved a little later, when every
   * gateway has decided by the same view: their ticks and clocks differ. */
  #level(now: number): void {
    const { view, upstreams, clock, videoShare, toleratedViewers = TOLERATED_VIEWERS } = this.#options
    this.#levelledAt = this.#turnOfLevelling
    const moves = level(view, { videoShare, toleratedViewers, exact: clock.wall() < view.rebalanceUntil, backedOff: edge => upstreams.isBackedOff(edge) || upstreams.isStale(edge) })
    this.#plan = { moves, at: now + MOVE_AFTER_MS }
  }

  /** A video's newcomers go where it is being moved to until the next time, when the view shows it there. */
  #move(moves: Moves): void {
    const { random } = this.#options
    this.#plan = undefined
    this.#moves = moves
    this.#moved = new WeakMap()
    if (moves.size === 0) return
    for (const session of this.#sessions) {
      // Every gateway moves the same share of its own viewers.
      let left = random()
      for (const { from, to, share } of moves.get(session.videoId) ?? []) {
        if (session.edgeId !== from.id || (left -= share) >= 0) continue
        if (share < 1) this.#moved.set(session, to)
        session.leave('level')
        break
      }
    }
  }

  /** The move of all the video's viewers on an edge. */
  #whole(videoId: VideoId): Move | undefined {
    const moves = this.#moves.get(videoId)
    return moves?.[0]?.share === 1 ? moves[0] : undefined
  }
}

function toggle(set: Set<Session>, session: Session, member: boolean): void {
  if (member) set.add(session)
  else set.delete(session)
}
