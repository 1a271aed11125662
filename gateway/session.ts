import type { VideoId } from '../protocol/comment.js'
import type { EndReason } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'
import type { MaxRate } from '../protocol/limits.js'
import type { EdgeNode } from '../protocol/nodes.js'
import { retryMs } from '../protocol/sse.js'
import type { View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import { textBytes, type Encoded, type ViewerEncoding } from '../runtime/fan-out/encoded.js'
import { expectedReplay } from '../runtime/limits/replays.js'
import type { Shares } from '../runtime/limits/shares.js'
import type { Arrival } from './admission.js'
import type { Member, Source } from './member.js'
import { FULL_MS, type Pending, type PlacedViewer } from './pending.js'
import type { Placement } from './placement.js'
import type { Ending, Sink, Stay } from './sink.js'
import { Trial, type Seat } from './trial.js'
import type { StreamRequest } from './viewer.js'

/** A viewer that was on an edge for this long was well off there: the next failure is the first again. */
const GOOD_MS = 3_000
/** Before the second try, doubled for each one after. */
const RETRY_MS = 50
const MAX_RETRY_MS = 2_000

/** Why a viewer was placed again. */
export type Replacement = 'lost' | 'silent' | 'drain' | 'full' | 'slow' | 'unreachable' | 'stale' | 'level'

/** Totals since the start. */
export class SessionCounts {
  placements = 0
  /** Viewers that had to be brought up to date again by the edge they were on, because they had taken too little for too long. */
  rejoins = 0
  readonly replacements: Record<Replacement, number> = { lost: 0, silent: 0, drain: 0, full: 0, slow: 0, unreachable: 0, stale: 0, level: 0 }
  readonly endings: Record<Ending, number> = { left: 0, answered: 0, slow: 0, no_capacity: 0, stopping: 0, expired: 0, join_rate: 0 }
  writes = 0
  bytes = 0
}

/** What a Session needs of all of them. */
export interface SessionHost {
  readonly options: { readonly clock: Clock; readonly random: () => number; readonly view: Pick<View, 'holdingsOf'>; readonly pending: Pending }
  readonly counts: SessionCounts
  /** What clients are sent before they are live. */
  readonly replays: Shares
  find(session: Session): Placement
  /** Has the edge bring it its events. */
  join(node: EdgeNode, member: Member): void
  /** In line to be placed. */
  enqueue(arrival: Arrival): void
  dequeue(arrival: Arrival): void
  quiet(session: Session, quiet: boolean): void
  waiting(session: Session, waiting: boolean): void
  blocked(session: Session, blocked: boolean): void
  gone(session: Session, why: Ending): void
}

/** Where a viewer is on its way. */
type State = Away | Placed | Gone

/** On no edge: in line, waiting for an edge to come, or for its next try. */
interface Away {
  readonly kind: 'away'
  /** Calls the next try off. */
  readonly cancelRetry?: () => void
}

interface Placed {
  readonly kind: 'placed'
  readonly edgeId: string
  readonly placed: PlacedViewer
  /** When its first byte came. */
  readonly answeredAt: number | undefined
}

interface Gone {
  readonly kind: 'gone'
}

const AWAY: Away = { kind: 'away' }
const GONE: Gone = { kind: 'gone' }

/** One viewer on its way through the edges; of several videos on one connection, one of them. */
export class Session implements Member, Arrival, Stay {
  readonly videoId: VideoId
  readonly encoding: ViewerEncoding
  readonly maxRate: MaxRate | undefined
  readonly recent: number
  cursor: Cursor | undefined
  epoch = 0
  next = 0
  source: Source | undefined
  isReady = false
  readonly linksOnly = false
  /** The keys by which it takes turns, and the last of which pays for its replay. */
  readonly client: readonly string[]
  /** It has been sent to an edge: from now on it does not wait behind newcomers. */
  admitted = false
  /** Its viewer has been given something: from now on it waits rather than being sent away. */
  isServed = false
  readonly #host: SessionHost
  readonly #sink: Sink
  #state: State = AWAY
  /** What it is sent is what it missed. */
  #catchesUp = true
  /** Of its replay, what is charged to its client and not sent yet. */
  #charged = 0
  #attempts = 0
  #blockedAt: number | undefined
  /** Another edge, while its own is silent. */
  #trial: Trial | undefined
  /** Edge that said `full` → until when it is not asked again for this viewer, whatever it announces. */
  #full: Map<string, number> | undefined

  constructor(host: SessionHost, { videoId, after, recent = 0, maxRate }: StreamRequest, sink: Sink, client: readonly string[]) {
    this.#host = host
    this.videoId = videoId
    this.cursor = after
    this.recent = recent
    this.encoding = sink.encoding
    this.maxRate = maxRate
    // Those who ask for a replay take turns apart from the others of their client, who need not wait for its bytes.
    this.client = this.#expectedReplay === 0 ? client : [...client, `${client.at(-1)} replays`]
    this.#sink = sink
  }

  /** The edge that it is on, or on its way to. */
  get edgeId(): string | undefined {
    return this.#state.kind === 'placed' ? this.#state.edgeId : undefined
  }

  get blocked(): boolean {
    return this.#blockedAt !== undefined
  }

  /** A client must not begin many replays before the first is counted. */
  get #expectedReplay(): number {
    return expectedReplay({ after: this.cursor, recent: this.recent }, this.#host.options.clock.wall())
  }

  /** What this viewer cannot use: what nobody here can, what told it that it is full, and the edge that it is on. */
  avoids(backedOff: (edge: EdgeNode) => boolean): (edge: EdgeNode) => boolean {
    const full = this.#full
    const own = this.#state.kind === 'placed' ? this.#state.edgeId : undefined
    if (!full && own === undefined) return backedOff
    const now = this.#now()
    return edge => backedOff(edge) || edge.id === own || (full?.get(edge.id) ?? -Infinity) > now
  }

  /** Sends it to an edge. @returns whether there is one; else it waits for it, or its stream has ended */
  place(): boolean {
    if (this.#state.kind !== 'away' || this.#state.cancelRetry) return false
    if (this.blocked) return false // what comes now would be lost: placed when drained
    const found = this.#host.find(this)
    if (typeof found === 'object') this.#attach(found)
    else if (!this.isServed && (found === 'full' || this.#full)) this.end('no_capacity')
    else this.#host.waiting(this, true)
    return (this.#state as State).kind === 'placed'
  }

  turnAway(): void {
    this.end('join_rate')
  }

  /** The viewer's connection takes nothing more for now. Back-pressure both ways: what the viewer does not take is not kept for it. */
  block(): void {
    if (this.#state.kind === 'gone') return
    this.#setBlocked(this.#now())
    this.source?.blocked?.(this)
  }

  /** The viewer's connection took some of what it was given, but does not take more yet. */
  progressed(): void {
    if (this.blocked) this.#setBlocked(this.#now())
  }

  /** The viewer's connection takes data again. */
  drained(): void {
    if (this.#state.kind === 'gone' || !this.blocked) return
    this.#setBlocked(undefined)
    if (this.source) this.source.drained(this)
    else if (this.#state.kind === 'away' && !this.#state.cancelRetry) this.#host.enqueue(this)
  }

  /** The viewer left, or has what it asked for. */
  left(why: 'left' | 'answered' = 'left'): void {
    if (this.#state.kind !== 'gone') this.#finish(why)
  }

  /** Ends the viewer's stream, and tells it when to come back; a slow one's is cut. */
  end(why: Exclude<Ending, 'left' | 'answered'>): void {
    if (this.#state.kind === 'gone') return
    this.#finish(why)
    if (why === 'slow' && this.blocked) this.#sink.close()
    else this.#sink.end(why, retryMs(this.#host.options.random))
  }

  /** Between events always: only whole ones are ever written. */
  heartbeat(): void {
    if (!this.blocked && !this.#sink.heartbeat()) this.block()
  }

  blockedForMs(now: number): number {
    return this.#blockedAt === undefined ? 0 : now - this.#blockedAt
  }

  answered(): void {
    if (this.#state.kind !== 'placed' || this.#state.answeredAt !== undefined) return
    const answeredAt = this.#now()
    this.#state.placed.arrived(answeredAt)
    this.#state = { ...this.#state, answeredAt }
  }

  pass(events: Encoded): boolean {
    const { counts } = this.#host
    counts.writes++
    counts.bytes += events.bytes.length
    this.isServed = true
    if (this.#catchesUp) this.#replayed(textBytes(events))
    if (!this.#sink.write(events)) this.block()
    return !this.blocked && this.#state.kind === 'placed'
  }

  ready(): void {
    this.isReady = true
    this.#catchesUp = false
    this.#charge(-this.#charged)
    if (this.#state.kind === 'placed') this.#host.quiet(this, false)
  }

  fellBehind(): void {
    this.#host.counts.rejoins++
    this.#catchesUp = true
    this.#host.quiet(this, true)
  }

  lost(): void {
    this.#placeAgain(this.#state.kind === 'placed' && this.#state.answeredAt === undefined ? 'unreachable' : 'lost')
  }

  /** `slow` says that we took nothing for long: the viewer that we wait for is ours to judge, and may read, slowly. */
  handedBack(reason: EndReason): void {
    if (reason === 'full' && this.#state.kind === 'placed') this.#refusedBy(this.#state.edgeId, this.#state.placed)
    this.#placeAgain(reason)
  }

  leave(why: 'silent' | 'stale' | 'level'): void {
    this.#placeAgain(why)
  }

  tryElsewhere(): void {
    if (this.#state.kind !== 'placed' || this.#trial || !this.isReady || this.blocked) return
    const host = this.#host
    const { pending } = host.options
    this.#trial = new Trial({
      viewer: this,
      find: () => {
        const found = host.find(this)
        return typeof found === 'object' ? found : undefined
      },
      place: node => pending.place(node, this.videoId, this.#now()),
      join: (node, trial) => host.join(node, trial),
      refused: (edgeId, placed) => this.#refusedBy(edgeId, placed),
      now: () => this.#now(),
      moves: (trial, seat) => this.#move(trial, seat),
      over: trial => {
        host.dequeue(trial)
        this.#trial = undefined
      },
    })
    host.enqueue(this.#trial)
  }

  /** Takes the place that was tried out. */
  #move(trial: Trial, { edgeId, placed, answeredAt, group, missed }: Seat): void {
    const { counts } = this.#host
    this.#trial = undefined
    counts.placements++
    counts.replacements.silent++
    this.#leaveEdge({ kind: 'placed', edgeId, placed, answeredAt })
    group.replace!(trial, this)
    if (missed) this.pass(missed)
  }

  #attach(node: EdgeNode): void {
    const { pending } = this.#host.options
    this.#host.counts.placements++
    if (!this.admitted) this.#charge(this.#expectedReplay)
    this.admitted = true
    this.#host.waiting(this, false)
    this.#state = { kind: 'placed', edgeId: node.id, placed: pending.place(node, this.videoId, this.#now()), answeredAt: undefined }
    this.#host.join(node, this)
  }

  /** Nor are others sent there for a while. */
  #refusedBy(edgeId: string, placed: PlacedViewer): void {
    const now = this.#now()
    ;(this.#full ??= new Map()).set(edgeId, now + FULL_MS)
    placed.refused(this.#host.options.view.holdingsOf(edgeId).has(this.videoId), now)
  }

  #placeAgain(why: Replacement): void {
    if (this.#state.kind !== 'placed') return
    const { clock, random } = this.#host.options
    const { answeredAt } = this.#state
    this.#host.counts.replacements[why]++
    this.#leaveEdge(AWAY)
    this.#host.quiet(this, true)
    // An edge that hands over in order, or one that it had been well off on, is followed at once.
    const atOnce = why === 'drain' || why === 'full' || why === 'silent' || why === 'stale' || why === 'level'
    if (atOnce || (answeredAt !== undefined && this.#now() - answeredAt >= GOOD_MS)) this.#attempts = 0
    if (this.#attempts++ === 0) return this.#host.enqueue(this)
    const limit = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** (this.#attempts - 2))
    const cancelRetry = clock.after(limit * (0.5 + random() / 2), () => {
      this.#state = AWAY
      this.#host.enqueue(this)
    })
    this.#state = { kind: 'away', cancelRetry }
  }

  #leaveEdge(next: State): void {
    this.#trial?.end()
    if (this.#state.kind === 'placed') this.#state.placed.left()
    this.#state = next
    const { source } = this
    this.source = undefined
    source?.leave(this)
  }

  #finish(why: Ending): void {
    if (this.#state.kind === 'away') this.#state.cancelRetry?.()
    this.#charge(-this.#charged)
    this.#leaveEdge(GONE)
    this.#host.gone(this, why)
    this.#sink.over?.()
  }

  #replayed(bytes: number): void {
    this.#charge(Math.max(0, bytes - this.#charged))
    this.#charged -= bytes
  }

  /** @param bytes less than 0: they will not be sent */
  #charge(bytes: number): void {
    if (bytes === 0) return
    this.#charged += bytes
    this.#host.replays.charge(this.client.at(-1)!, bytes)
  }

  #setBlocked(at: number | undefined): void {
    this.#blockedAt = at
    this.#host.blocked(this, at !== undefined)
  }

  #now(): number {
    return this.#host.options.clock.now()
  }
}
