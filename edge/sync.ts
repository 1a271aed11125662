import type { VideoId } from '../protocol/comment.js'
import { MAX_SYNC_ROOMS } from '../protocol/limits.js'
import type { DispatcherNode, MemberNode } from '../protocol/nodes.js'
import { parseAnswers, printReplay, printSync, WireError, type ReplayRequest, type RoomAnswer, type SyncRequest } from '../protocol/wire.js'
import type { Clock } from '../runtime/clock.js'
import type { Failover } from '../runtime/peers/failover.js'
import { homeError } from '../runtime/peers/home-error.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import type { EdgeMetrics } from './metrics.js'
import type { Room } from './room.js'

const SYNC_TIMEOUT_MS = 1_000
const REPLAY_TIMEOUT_MS = 2_000
/** Over all dispatchers. */
const REPLAY_MS = 6_000
/** Between two tries for a room whose wanted comment the answer did not have, or that nobody answered. */
const PAUSE_MS = 100

/** One call to a dispatcher's internal port. @throws PeerError */
export type Send = (node: MemberNode, path: string, body: string, timeoutMs: number) => Promise<Buffer>

export interface SyncDeps {
  readonly clock: Clock
  /** A video's dispatchers, the owner first: any can answer. */
  readonly owners: (videoId: VideoId) => readonly DispatcherNode[]
  readonly failover: Failover
  /** A dispatcher has answered. */
  readonly answered: () => void
  readonly send: Send
  readonly metrics: EdgeMetrics
  /** What was asked could not be read: the peer's fault, to be logged. */
  readonly onPeerError: (node: MemberNode, error: unknown) => void
}

/** Pulls what pushing missed (rule 7): many rooms in one question, one question at a time for each room. */
export class Syncs {
  readonly #deps: SyncDeps
  /** Rooms to ask for at the next turn. */
  readonly #due = new Set<Room>()
  readonly #asking = new Set<Room>()
  /** Rooms that came to need another sync while one was under way. */
  readonly #again = new Set<Room>()
  /** Rooms in the pause between two tries. */
  readonly #resting = new Set<Room>()
  #scheduled = false

  constructor(deps: SyncDeps) {
    this.#deps = deps
  }

  needs(room: Room): void {
    if (this.#asking.has(room)) this.#again.add(room)
    else {
      this.#due.add(room)
      this.#schedule()
    }
  }

  forget(room: Room): void {
    this.#due.delete(room)
    this.#again.delete(room)
  }

  /** What a viewer missed, from the first dispatcher that answers. @throws PeerError of the last one asked */
  replay(request: ReplayRequest): Promise<RoomAnswer> {
    const { owners, failover, answered, clock, send, metrics } = this.#deps
    const attempt = async (node: MemberNode, timeoutMs: number): Promise<RoomAnswer> => {
      try {
        const [answer] = parseAnswers(await send(node, '/internal/replay', printReplay(request), timeoutMs))
        if (answer?.videoId !== request.videoId) throw new WireError('the answer is for another video')
        metrics.replays.inc()
        answered()
        return answer
      } catch (error) {
        const atHome = homeError(error)
        // It has answered: a status below 500 is no reason to back off.
        if (atHome) throw new PeerError('status', atHome.message, { cause: error, status: 424 })
        this.#noteFailure(node, error)
        throw asPeerError(error)
      }
    }
    return failover.ask(owners(request.videoId), attempt, { deadline: clock.now() + REPLAY_MS, tryMs: REPLAY_TIMEOUT_MS, hedged: true })
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    this.#deps.clock.soon(() => {
      this.#scheduled = false
      this.#askAll()
    })
  }

  #askAll(): void {
    const byNode = new Map<DispatcherNode, Room[]>()
    for (const room of this.#due) {
      if (room.viewers.size === 0) continue
      const node = this.#first(room.videoId)
      if (!node) this.#later(room)
      else if (byNode.has(node)) byNode.get(node)!.push(room)
      else byNode.set(node, [room])
    }
    this.#due.clear()
    for (const [node, rooms] of byNode) {
      for (let i = 0; i < rooms.length; i += MAX_SYNC_ROOMS) void this.#ask(node, rooms.slice(i, i + MAX_SYNC_ROOMS))
    }
  }

  async #ask(node: DispatcherNode, rooms: Room[]): Promise<void> {
    const { failover, answered, send, metrics } = this.#deps
    const asked = new Map<string, { room: Room; request: SyncRequest }>()
    for (const room of rooms) {
      this.#asking.add(room)
      asked.set(room.videoId, { room, request: room.syncRequest() })
    }
    metrics.syncs.inc()
    let answers: RoomAnswer[] | undefined
    try {
      const body = printSync(Array.from(asked.values(), ({ request }) => request))
      answers = parseAnswers(await send(node, '/internal/sync', body, SYNC_TIMEOUT_MS))
      failover.answered(node)
      answered()
    } catch (error) {
      this.#noteFailure(node, error)
      failover.failed(node, asPeerError(error))
    }
    if (answers) this.#answered(asked, answers)
    else {
      // The next in hash order is asked at once; where all have just failed, after a pause.
      for (const room of rooms) {
        if (this.#hasNext(room.videoId, node)) this.#again.add(room)
        else this.#later(room)
      }
    }
    for (const room of rooms) {
      this.#asking.delete(room)
      if (this.#again.delete(room)) this.needs(room)
    }
  }

  #answered(asked: Map<string, { room: Room; request: SyncRequest }>, answers: readonly RoomAnswer[]): void {
    const left = new Map(asked)
    for (const answer of answers) {
      const part = left.get(answer.videoId)
      if (!part) continue
      left.delete(answer.videoId)
      const { room, request } = part
      const before = room.chain.last
      room.synced(request, answer)
      // More of it, or still short of what is wanted: at once if this brought something, else after a pause.
      if (answer.more && room.chain.last > before) this.#again.add(room)
      else if (answer.more || room.chain.behind) this.#later(room)
    }
    // What did not fit into the answer; one that holds nothing at all is no reason to ask on at once.
    for (const { room } of left.values()) {
      if (left.size < asked.size) this.#again.add(room)
      else this.#later(room)
    }
  }

  /** One timer a room, however often it is wanted: tries must not multiply while nobody answers. */
  #later(room: Room): void {
    if (this.#resting.has(room)) return
    this.#resting.add(room)
    this.#deps.clock.after(PAUSE_MS, () => {
      this.#resting.delete(room)
      if (room.viewers.size > 0 && (room.chain.behind || !room.chain.open)) this.needs(room)
    })
  }

  /** Whom to ask about a video now. */
  #first(videoId: VideoId): DispatcherNode | undefined {
    const { owners, failover } = this.#deps
    return failover.order(owners(videoId))[0]
  }

  /** Whether the one to ask now is another than `failed`, and has not just failed too. */
  #hasNext(videoId: VideoId, failed: DispatcherNode): boolean {
    const next = this.#first(videoId)
    return next !== undefined && next.instance !== failed.instance && !this.#deps.failover.isBackedOff(next)
  }

  #noteFailure(node: MemberNode, error: unknown): void {
    this.#deps.metrics.syncFailures.inc()
    this.#deps.onPeerError(node, error)
  }
}

/** An answer that cannot be read is the peer's fault, like none. */
function asPeerError(error: unknown): unknown {
  return error instanceof WireError ? new PeerError('status', error.message, { cause: error }) : error
}
