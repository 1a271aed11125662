import type { Buffer } from 'node:buffer'
import { FrameError } from '../protocol/frame.js'
import type { EdgeNode } from '../protocol/nodes.js'
import { HEARTBEAT, retryLine } from '../protocol/sse.js'
import type { Clock } from '../runtime/clock.js'
import type { Shares } from '../runtime/limits/shares.js'
import type { PeerFailure } from '../runtime/peers/peer-error.js'
import type { Arrival } from './admission.js'
import type { Pending, PlacedViewer } from './pending.js'
import type { Placement } from './placement.js'
import type { Upstreams, Upstream, Relay } from './upstreams.js'
import { RelayedViewer, type Passage, type StreamRequest } from './viewer.js'

/** A stream that lived this long was a good one: the next failure is the first again. */
const GOOD_MS = 3_000
/** Before the second try, doubled for each one after. */
const RETRY_MS = 50
const MAX_RETRY_MS = 2_000
/** An edge that said it was full is not asked again for the same viewer before this. */
const FULL_MS = 2_000

/** The viewer's connection. Text is packed as the stream's encoding wants it; bytes are passed on as they are.
 */
export interface Sink {
  /** @returns false when it was the last that the connection takes for now, until `drained` */
  write(bytes: Buffer | string): boolean
  end(last: string): void
  close(): void
  /** The viewer's stay is over, whoever ended it. */
  over?(): void
}

/** One stream from an edge. */
export interface EdgeStream {
  abort(): void
  pause(): void
  resume(): void
}

export interface EdgeStreamHandlers {
  data(chunk: Buffer): void
  /** It is over, whether answered or not. `refused` and `timeout` are said of the connect alone, `unproven` of an edge that
   * was asked nothing; all else that went wrong, an end without a last frame too, is `lost`, `status`, `wire` or `local`. */
  lost(failure: PeerFailure): void
}

/** Opens a stream. Tells the handlers nothing before it has returned, and nothing after `abort`. */
export type Connect = (edge: EdgeNode, request: StreamRequest, handlers: EdgeStreamHandlers) => EdgeStream

/** Why a viewer was placed again. */
export type Replacement = 'lost' | 'silent' | 'drain' | 'full' | 'slow' | 'unreachable' | 'stale'
/** Why a viewer's stream ended. */
export type Ending = 'left' | 'slow' | 'no_capacity' | 'stopping' | 'expired' | 'join_rate'

/** Totals since the start. */
export class SessionCounts {
  placements = 0
  readonly replacements: Record<Replacement, number> = { lost: 0, silent: 0, drain: 0, full: 0, slow: 0, unreachable: 0, stale: 0 }
  readonly endings: Record<Ending, number> = { left: 0, slow: 0, no_capacity: 0, stopping: 0, expired: 0, join_rate: 0 }
  frames = 0
  bytes = 0
}

/** What a Session needs of all of them. */
export interface SessionHost {
  readonly options: { readonly clock: Clock; readonly random: () => number; readonly pending: Pending; readonly upstreams: Upstreams; readonly connect: Connect }
  readonly counts: SessionCounts
  /** What clients are sent before they are live. */
  readonly replays: Shares
  find(session: Session): Placement
  enqueue(session: Session): void
  quiet(session: Session, quiet: boolean): void
  waiting(session: Session, waiting: boolean): void
  blocked(session: Session, blocked: boolean): void
  gone(session: Session): void
}

/** A viewer's stay on one edge. */
interface Stay {
  readonly upstream: Upstream
  readonly placed: PlacedViewer
  readonly stream: EdgeStream
  /** When its first byte came. */
  answeredAt: number | undefined
}

/** One viewer on its way through the edges. */
export class Session implements Relay, Arrival {
  readonly #host: SessionHost
  readonly #viewer: RelayedViewer
  readonly #sink: Sink
  /** The keys by which it takes turns, and the last of which pays for its replay. */
  readonly client: readonly string[]
  #stay: Stay | undefined
  /** It has been sent to an edge: from now on it does not wait behind newcomers. */
  admitted = false
  #gone = false
  /** It has been given something: from now on it waits rather than being sent away. */
  #served = false
  /** Of its replay, what is charged to its client and not sent yet. */
  #charged = 0
  #attempts = 0
  #blockedAt: number | undefined
  #cancelRetry: (() => void) | undefined
  /** Edge that said `full` → until when it is not asked again. */
  #full: Map<string, number> | undefined

  constructor(host: SessionHost, request: StreamRequest, sink: Sink, client: readonly string[]) {
    this.#host = host
    this.#viewer = new RelayedViewer(request)
    // Those who ask for a replay take turns apart from the others of their client, who need not wait for its bytes.
    this.client = this.#expectedReplay === 0 ? client : [...client, `${client.at(-1)} replays`]
    this.#sink = sink
  }

  get videoId(): string {
    return this.#viewer.videoId
  }

  get #expectedReplay(): number {
    return this.#viewer.expectedReplay(this.#host.options.clock.wall())
  }

  /** What this viewer cannot use: what nobody here can, and what told it that it is full. */
  avoids(backedOff: (edge: EdgeNode) => boolean): (edge: EdgeNode) => boolean {
    const full = this.#full
    if (!full) return backedOff
    const now = this.#now()
    return edge => backedOff(edge) || (full.get(edge.id) ?? -Infinity) > now
  }

  /** Sends it to an edge. @returns whether there is one; else it waits for it, or its stream has ended */
  place(): boolean {
    if (this.#gone || this.#stay) return false
    if (this.#blockedAt !== undefined) return false // what comes now would be lost: placed when drained
    const found = this.#host.find(this)
    if (typeof found === 'object') this.#attach(found)
    else if (!this.#served && (found === 'full' || this.#full)) this.end('no_capacity')
    else this.#host.waiting(this, true)
    return this.#stay !== undefined
  }

  turnAway(): void {
    this.end('join_rate')
  }

  /** The viewer's connection took some of what it was given, but does not take more yet. */
  progressed(): void {
    if (this.#blockedAt !== undefined) this.#setBlocked(this.#now())
  }

  /** The viewer's connection takes data again. */
  drained(): void {
    if (this.#gone || this.#blockedAt === undefined) return
    this.#setBlocked(undefined)
    if (this.#stay) this.#stay.stream.resume()
    else if (!this.#cancelRetry) this.#host.enqueue(this)
  }

  /** The viewer left. */
  left(): void {
    if (!this.#gone) this.#finish('left')
  }

  leave(why: 'silent' | 'stale'): void {
    if (this.#stay) this.#placeAgain(why)
  }

  /** Ends the viewer's stream with a `retry:`; a slow one's is cut, it would not take that either. */
  end(why: Exclude<Ending, 'left'>): void {
    if (this.#gone) return
    this.#finish(why)
    if (why === 'slow' && this.#blockedAt !== undefined) this.#sink.close()
    else this.#sink.end(retryLine(this.#host.options.random))
  }

  /** Between events always: only whole ones are ever written. */
  heartbeat(): void {
    if (this.#blockedAt === undefined) this.#write(HEARTBEAT)
  }

  blockedForMs(now: number): number {
    return this.#blockedAt === undefined ? 0 : now - this.#blockedAt
  }

  #attach(node: EdgeNode): void {
    const { connect, pending, upstreams } = this.#host.options
    const counts = this.#host.counts
    counts.placements++
    if (!this.admitted) this.#charge(this.#expectedReplay)
    this.admitted = true
    this.#host.waiting(this, false)
    const stream = connect(node, this.#viewer.resume(), {
      data: chunk => {
        if (this.#stay === stay) this.#onData(stay, chunk)
      },
      lost: failure => {
        if (this.#stay !== stay) return
        if (stay.answeredAt === undefined) upstreams.failed(stay.upstream, failure)
        this.#placeAgain(stay.answeredAt === undefined ? 'unreachable' : 'lost')
      },
    })
    const stay: Stay = { upstream: upstreams.relay(node, this), placed: pending.place(node, this.videoId, this.#now()), stream, answeredAt: undefined }
    this.#stay = stay
  }

  #onData(stay: Stay, chunk: Buffer): void {
    const { upstreams } = this.#host.options
    if (stay.answeredAt === undefined) {
      stay.answeredAt = this.#now()
      stay.placed.arrived(stay.answeredAt)
      upstreams.connected(stay.upstream)
    } else upstreams.heard(stay.upstream)
    let passage: Passage
    try {
      passage = this.#viewer.push(chunk)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      return this.#placeAgain('lost')
    }
    const counts = this.#host.counts
    counts.frames += passage.frames
    counts.bytes += passage.bytes?.length ?? 0
    if (passage.replayed > 0) this.#replayed(passage.replayed)
    if (this.#viewer.ready) this.#charge(-this.#charged)
    if (passage.bytes) {
      this.#served = true
      this.#host.quiet(this, false)
      this.#write(passage.bytes)
    }
    if (passage.end === undefined || this.#gone) return
    // It says that we took nothing for long: the viewer that we wait for is ours to judge, and may read, slowly.
    if (passage.end === 'slow') return this.#placeAgain('slow')
    if (passage.end === 'drain') upstreams.leaving(stay.upstream)
    else (this.#full ??= new Map()).set(stay.upstream.node.id, this.#now() + FULL_MS)
    this.#placeAgain(passage.end)
  }

  /** Back-pressure both ways: what the viewer does not take, we do not read from the edge. */
  #write(bytes: Buffer | string): void {
    if (this.#sink.write(bytes) || this.#gone) return
    this.#setBlocked(this.#now())
    this.#stay?.stream.pause()
  }

  #placeAgain(why: Replacement): void {
    const { clock, random } = this.#host.options
    const { answeredAt } = this.#stay!
    this.#host.counts.replacements[why]++
    this.#leaveEdge()
    this.#host.quiet(this, true)
    // An edge that hands over in order, or a stream that had been good, is followed at once.
    const atOnce = why === 'drain' || why === 'full' || why === 'silent' || why === 'stale'
    if (atOnce || (answeredAt !== undefined && this.#now() - answeredAt >= GOOD_MS)) this.#attempts = 0
    if (this.#attempts++ === 0) return this.#host.enqueue(this)
    const limit = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** (this.#attempts - 2))
    this.#cancelRetry = clock.after(limit * (0.5 + random() / 2), () => {
      this.#cancelRetry = undefined
      this.#host.enqueue(this)
    })
  }

  #leaveEdge(): void {
    const stay = this.#stay
    if (!stay) return
    this.#stay = undefined
    stay.upstream.relays.delete(this)
    stay.placed.left()
    stay.stream.abort()
  }

  #finish(why: Ending): void {
    this.#gone = true
    this.#host.counts.endings[why]++
    this.#cancelRetry?.()
    this.#charge(-this.#charged)
    this.#leaveEdge()
    this.#host.gone(this)
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
