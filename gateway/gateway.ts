import type { EdgeNode } from '../protocol/nodes.js'
import type { Change, View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import { failureOf, type InternalClient } from '../runtime/peers/client.js'
import { PeerError, type PeerFailure } from '../runtime/peers/peer-error.js'
import { Dispatchers } from './dispatchers.js'
import { Pending } from './pending.js'
import { Poster } from './post-comment.js'
import type { Connect } from './session.js'
import { Sessions } from './sessions.js'
import { Upstreams } from './upstreams.js'

const ASK_TIMEOUT_MS = 3_000
/** The view may change hundreds of times a second; those that wait for an edge are looked at this often. */
const WAITING_MS = 250

export interface GatewayOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly view: View
  readonly client: InternalClient
  readonly connect: Connect
  readonly videoShare: number
  /** Newcomers a second that are placed on edges. */
  readonly joinRate: number
}

/** A gateway's parts, put together. */
export class Gateway {
  readonly view: View
  readonly client: InternalClient
  readonly clock: Clock
  readonly upstreams: Upstreams
  readonly sessions: Sessions
  readonly dispatchers: Dispatchers
  readonly poster: Poster
  readonly #pending = new Pending()
  #placingSoon = false

  constructor({ clock, random, view, client, connect, videoShare, joinRate }: GatewayOptions) {
    this.view = view
    this.client = client
    this.clock = clock
    this.upstreams = new Upstreams({ clock, random, view, ask: edge => ask(client, edge), onUsable: () => this.sessions.placeWaiting() })
    this.sessions = new Sessions({ clock, random, view, pending: this.#pending, upstreams: this.upstreams, connect, videoShare, joinRate })
    this.dispatchers = new Dispatchers(view, clock)
    this.poster = new Poster({ client, dispatchers: this.dispatchers, clock })
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
    this.upstreams.close()
  }
}

/** Any answer of this instance is a sign of life; one of another instance says that this one is no more. */
async function ask(client: InternalClient, edge: EdgeNode): Promise<PeerFailure | undefined> {
  try {
    const answer = await client.call(edge.internalUrl, { method: 'GET', path: '/internal/ping', timeoutMs: ASK_TIMEOUT_MS })
    const { instance } = JSON.parse(answer.toString()) as { instance?: unknown }
    return instance === edge.instance ? undefined : 'lost'
  } catch (error) {
    if (!(error instanceof PeerError)) return error instanceof SyntaxError ? undefined : failureOf(error)
    return error.failure === 'status' || error.failure === 'wire' ? undefined : error.failure
  }
}
