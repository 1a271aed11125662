import { HEARTBEAT_MS, SLOW_MS } from '../protocol/limits.js'
import type { EdgeNode } from '../protocol/nodes.js'
import type { View } from '../registry/view.js'
import { Expiries } from '../runtime/auth/expiries.js'
import type { Clock } from '../runtime/clock.js'
import { Admission } from './admission.js'
import type { Edges } from './edges.js'
import { Join, JoinCounts, type Connect, type JoinHost, type Sink } from './join.js'
import type { Pending } from './pending.js'
import { place } from './placement.js'
import type { StreamRequest } from './viewer.js'

const TICK_MS = 1_000

export interface JoinsOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly view: View
  readonly pending: Pending
  readonly edges: Edges
  readonly connect: Connect
  readonly videoShare: number
  /** Newcomers a second that are placed. */
  readonly joinRate: number
}

/** All viewers of this gateway: each is placed on an edge, and placed again when that edge dies, falls silent or
 * hands it back, resuming after the last id that was passed on. The viewer's own connection stays. */
export class Joins {
  readonly counts = new JoinCounts()
  readonly #options: JoinsOptions
  readonly #joins = new Set<Join>()
  /** Those that no edge has sent anything yet, or no longer: we keep their line alive. */
  readonly #quiet = new Set<Join>()
  readonly #waiting = new Set<Join>()
  readonly #blocked = new Set<Join>()
  readonly #expiries = new Expiries<Join>()
  readonly #admission: Admission
  #heartbeatAt: number
  readonly #host: JoinHost
  #cancel: () => void

  constructor(options: JoinsOptions) {
    this.#options = options
    const { view, pending, edges, videoShare, clock, joinRate } = options
    this.#admission = new Admission({ clock, rate: joinRate })
    const setAside = (edge: EdgeNode) => edges.isSetAside(edge)
    this.#host = {
      options,
      counts: this.counts,
      find: join => place(view, join.videoId, pending, { videoShare, setAside: join.avoids(setAside) }),
      enqueue: join => this.#admission.add(join),
      quiet: (join, quiet) => toggle(this.#quiet, join, quiet),
      waiting: (join, waiting) => toggle(this.#waiting, join, waiting),
      blocked: (join, blocked) => toggle(this.#blocked, join, blocked),
      gone: join => {
        for (const set of [this.#joins, this.#quiet, this.#waiting, this.#blocked, this.#admission, this.#expiries]) set.delete(join)
      },
    }
    this.#heartbeatAt = clock.now() + HEARTBEAT_MS
    this.#cancel = clock.after(TICK_MS, this.#tick)
  }

  /** Viewers with an open stream. */
  get size(): number {
    return this.#joins.size
  }

  /** Viewers that wait for an edge. */
  get waitingCount(): number {
    return this.#waiting.size
  }

  /** Newcomers in line to be placed. */
  get inLine(): number {
    return this.#admission.waiting
  }

  /** Whether a newcomer may get in line. */
  get takesNewcomers(): boolean {
    return this.#admission.hasRoom
  }

  /** A viewer whose preamble has been written. Tell it `progressed`, `drained` and `left`.
   * @param endsAt when its stream must end, Unix ms */
  open(request: StreamRequest, sink: Sink, endsAt?: number): Join {
    const join = new Join(this.#host, request, sink)
    this.#joins.add(join)
    if (endsAt !== undefined) this.#expiries.add(join, endsAt)
    this.#quiet.add(join)
    this.#admission.add(join)
    return join
  }

  /** Places those that wait: an edge may have come. */
  placeWaiting(): void {
    for (const join of this.#waiting) this.#admission.add(join)
  }

  /** Ends every stream, spread over `windowMs`, each with its own `retry:`. */
  async endAll(windowMs: number): Promise<void> {
    const { clock } = this.#options
    const stepMs = 50
    const perStep = Math.ceil(this.#joins.size / Math.max(1, Math.floor(windowMs / stepMs)))
    while (this.#joins.size > 0) {
      let ended = 0
      for (const join of this.#joins) {
        if (ended++ === perStep) break
        join.end('stopping')
      }
      if (this.#joins.size > 0) await new Promise<void>(resolve => clock.after(stepMs, resolve))
    }
  }

  close(): void {
    this.#cancel()
    this.#admission.close()
    for (const join of this.#joins) join.end('stopping')
  }

  readonly #tick = (): void => {
    const { clock, pending } = this.#options
    this.#cancel = clock.after(TICK_MS, this.#tick)
    const now = clock.now()
    pending.expire(now)
    this.placeWaiting()
    for (const join of this.#blocked) if (join.blockedForMs(now) >= SLOW_MS) join.end('slow')
    for (const join of this.#expiries.due(clock.wall())) join.end('expired')
    if (now < this.#heartbeatAt) return
    this.#heartbeatAt = now + HEARTBEAT_MS
    for (const join of this.#quiet) join.heartbeat()
  }
}

function toggle(set: Set<Join>, join: Join, member: boolean): void {
  if (member) set.add(join)
  else set.delete(join)
}
