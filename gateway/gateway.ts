import type { VideoId } from '../protocol/comment.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import type { Homes } from '../registry/homes.js'
import { ownersOf } from '../registry/ownership.js'
import { peersIn, type Change, type View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import type { GzipPolicy } from '../runtime/fan-out/encoded.js'
import { Pauses } from '../runtime/pauses.js'
import type { Caller } from '../runtime/peers/client.js'
import { Failover, type Ping } from '../runtime/peers/failover.js'
import { pingWith } from '../runtime/peers/ping.js'
import type { Traces } from '../runtime/traces/traces.js'
import { Acts } from './acts.js'
import { HeldComments } from './held-comments.js'
import type { ConnectLink } from './link.js'
import { Links } from './links.js'
import { Pending } from './pending.js'
import { Poster } from './post-comment.js'
import type { Connect } from './relayed.js'
import { Sessions } from './sessions.js'
import { Upstreams } from './upstreams.js'

/** The view may change hundreds of times a second; those that wait for an edge are looked at this often. */
const WAITING_MS = 250

export interface GatewayOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly view: View
  readonly client: Caller
  /** Which cluster is a video's home, where there are several. */
  readonly homes?: Homes | undefined
  /** Opens a link to an edge. */
  readonly connectLink: ConnectLink
  /** Opens one viewer's stream from an edge that has no links. */
  readonly connect: Connect
  /** Of flushes that are kept for viewers that lag; 32 MB without. */
  readonly keptBytes?: number
  readonly gzip: GzipPolicy
  readonly videoShare: number
  /** By so many viewers an edge may differ from its fair share before videos are moved; 20 without. */
  readonly toleratedViewers?: number
  /** Newcomers a second that are placed on edges. */
  readonly joinRate: number
  /** Where comments are traced. */
  readonly traces?: Traces | undefined
  /** Hook: called ten times a second, with how late that was, ms. */
  readonly onTick?: ((lateMs: number) => void) | undefined
}

/** A gateway's parts, put together. */
export class Gateway {
  readonly view: View
  readonly client: Caller
  readonly homes: Homes | undefined
  readonly clock: Clock
  readonly traces: Traces | undefined
  /** 0 ≤ x < 1 */
  readonly random: () => number
  readonly upstreams: Upstreams
  readonly links: Links
  readonly sessions: Sessions
  /** Which dispatcher to call. */
  readonly failover: Failover
  readonly poster: Poster
  readonly acts: Acts
  readonly held: HeldComments
  /** How long what is read now may have waited for this process to run. */
  readonly pauses: Pauses
  /** A video's dispatchers, the owner first. */
  readonly owners = (videoId: VideoId): readonly DispatcherNode[] => ownersOf(this.view, videoId)
  readonly #pending = new Pending()
  #placingSoon = false

  constructor({ clock, random, view, client, homes, connectLink, connect, keptBytes, gzip, videoShare, toleratedViewers, joinRate, traces, onTick }: GatewayOptions) {
    this.view = view
    this.client = client
    this.homes = homes
    this.clock = clock
    this.traces = traces
    this.random = random
    const ping = pingWith(client, (peer, pong) => this.upstreams.pong(peer, pong))
    // By the link where there is one: it is the link that must not be silent.
    const pingEdge: Ping = (peer, timeoutMs) => this.links.ping(peer, timeoutMs) ?? ping(peer, timeoutMs)
    this.upstreams = new Upstreams({ clock, random, view, ping: pingEdge, onUsable: () => this.sessions.placeWaiting() })
    this.links = new Links({ clock, upstreams: this.upstreams, connectLink, connect, keptBytes, gzip, traces })
    this.sessions = new Sessions({ clock, random, view, pending: this.#pending, upstreams: this.upstreams, links: this.links, videoShare, toleratedViewers, joinRate })
    this.failover = new Failover({
      clock,
      random,
      ping,
      ...peersIn(view, id => view.dispatcher(id)),
    })
    this.poster = new Poster(this)
    this.acts = new Acts(this)
    this.held = new HeldComments(this)
    this.pauses = new Pauses(clock, onTick)
  }

  /** The view has changed. */
  viewChanged(change: Change): void {
    this.#pending.seen(change, this.clock.now())
    if (change.kind === 'dispatcher' || this.#placingSoon || this.sessions.waitingCount === 0) return
    this.#placingSoon = true
    this.clock.after(WAITING_MS, () => {
      this.#placingSoon = false
      this.sessions.placeWaiting()
    })
  }

  close(): void {
    this.sessions.close()
    this.links.close()
    this.upstreams.close()
    this.failover.close()
    this.pauses.close()
  }
}
