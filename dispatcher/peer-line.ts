import type { MemberNode } from '../protocol/nodes.js'
import { PEER_HEADER } from '../protocol/wire.js'
import type { HomeRule } from '../registry/homes.js'
import type { PeerCluster } from '../registry/peer-clusters.js'
import type { Clock } from '../runtime/clock.js'
import type { Call, Caller } from '../runtime/peers/client.js'
import { Failover } from '../runtime/peers/failover.js'
import { errorIn } from '../runtime/peers/home-error.js'
import { PEER_ROUTES } from '../runtime/peers/internal-server.js'
import { PeerError, type PeerFailure } from '../runtime/peers/peer-error.js'

export interface PeerLineDeps {
  /** Our own cluster's name. */
  readonly self: string
  readonly cluster: PeerCluster
  /** Of all clusters, as we know it. */
  readonly rule: HomeRule
  /** Calls with PEER_TOKEN. */
  readonly client: Caller
  readonly clock: Clock
  /** 0 ≤ x < 1 */
  readonly random: () => number
  /** Optional hook: the other cluster has begun or ceased to answer. @param failure why it has not answered */
  readonly onChange?: ((name: string, failure: PeerFailure | undefined) => void) | undefined
  /** Optional hook: it has another name than PEERS gives it, or another rule of homes. */
  readonly onDiffering?: ((name: string, theirs: string) => void) | undefined
}

/** Without a call for so long, the other cluster is asked for a sign of life. */
const QUIET_MS = 2_000
const PING_MS = 1_000
const PING = `${PEER_ROUTES}ping`
/** The rules of homes are compared this often. */
const COMPARE_MS = 30_000
/** In place of 503: a call that the other cluster cannot do is answered all the same. */
const CANNOT = 424
/** Answers of a cluster that is there and takes our calls. */
const TAKEN: ReadonlySet<number | undefined> = new Set([400, 404, CANNOT, 429])

/** The line to another cluster: to the gateways that PEERS gives it, of which any will do. */
export class PeerLine {
  readonly name: string
  /** The other cluster as one that syncs: it is pushed to as an edge is. No node's id has a colon. */
  readonly member: MemberNode
  readonly #deps: PeerLineDeps
  readonly #gateways: readonly MemberNode[]
  readonly #failover: Failover
  #answeredAt: number
  /** When the rules of homes were last compared, monotonic ms. */
  #comparedAt = -Infinity
  /** Undefined until the first outcome. */
  #failed: boolean | undefined
  #cancelTick: () => void

  constructor(deps: PeerLineDeps) {
    this.#deps = deps
    const { cluster: { name, urls }, clock, random } = deps
    this.name = name
    this.member = { id: `${PEER}${name}`, instance: name, internalUrl: urls[0]! }
    this.#gateways = urls.map(url => ({ id: url, instance: name, internalUrl: url }))
    this.#answeredAt = clock.now()
    this.#failover = new Failover({ clock, random, ping: ({ internalUrl }, timeoutMs) => this.#ping(internalUrl, timeoutMs), known: () => true, onRefused: () => {} })
    this.#cancelTick = clock.tick(QUIET_MS, this.#tick)
  }

  /** Whether the last call was answered. */
  get up(): boolean {
    return this.#failed === false
  }

  /** For how long the other cluster has not answered, ms. */
  get silentMs(): number {
    return this.#deps.clock.now() - this.#answeredAt
  }

  /** Whether a call is worth its time: not all gateways have just failed. */
  get isUsable(): boolean {
    return this.#gateways.some(gateway => !this.#failover.isBackedOff(gateway))
  }

  /** @param route under PEER_ROUTES @throws PeerError, whose `sent` says whether the other cluster may have done it */
  async call(route: string, call: Omit<Call, 'path' | 'to'>): Promise<Buffer> {
    return (await this.change(route, call)).answer
  }

  /** The same of what changes something. `mayBeDone`: another gateway was sent it before, and has not said what became of it; what this
   * answer refuses may be done all the same. */
  async change(route: string, { timeoutMs, headers, ...call }: Omit<Call, 'path' | 'to'>): Promise<{ readonly answer: Buffer; readonly mayBeDone: boolean }> {
    const { client, clock, self } = this.#deps
    /** Tries that may have done it, or may yet. */
    let unknown = 0
    const attempt = async ({ internalUrl }: MemberNode, tryMs: number): Promise<Buffer> => {
      unknown++
      try {
        const answer = await client.call(internalUrl, { ...call, path: PEER_ROUTES + route, headers: { ...headers, [PEER_HEADER]: self }, timeoutMs: tryMs })
        unknown--
        return answer
      } catch (error) {
        const answered = asAnswer(error)
        if (answered instanceof PeerError && (!answered.sent || (answered.status ?? 500) < 500)) unknown--
        throw answered
      }
    }
    try {
      const answer = await this.#failover.ask(this.#gateways, attempt, { deadline: clock.now() + timeoutMs, tryMs: timeoutMs })
      this.#outcome(undefined)
      return { answer, mayBeDone: unknown > 0 }
    } catch (cause) {
      if (!(cause instanceof PeerError)) throw cause
      const { failure, status, body } = cause
      this.#outcome(TAKEN.has(status) ? undefined : failure)
      throw new PeerError(failure, `cluster ${this.name}: ${cause.message}`, { cause, sent: unknown > 0, ...(status === undefined ? {} : { status }), ...(body ? { body } : {}) })
    }
  }

  close(): void {
    this.#cancelTick()
    this.#failover.close()
  }

  #outcome(failure: PeerFailure | undefined): void {
    const failed = failure !== undefined
    if (!failed) this.#answeredAt = this.#deps.clock.now()
    if (failed === this.#failed) return
    this.#failed = failed
    this.#deps.onChange?.(this.name, failure)
  }

  readonly #tick = (): void => {
    this.#cancelTick = this.#deps.clock.tick(QUIET_MS, this.#tick)
    if (this.silentMs >= QUIET_MS || !this.up || this.#deps.clock.now() - this.#comparedAt >= COMPARE_MS) void this.call('ping', { method: 'GET', timeoutMs: PING_MS }).then(answer => this.#compare(answer), () => {})
  }

  async #ping(url: string, timeoutMs: number): Promise<PeerFailure | undefined> {
    try {
      await this.#deps.client.call(url, { method: 'GET', path: PING, headers: { [PEER_HEADER]: this.#deps.self }, timeoutMs })
      return undefined
    } catch (error) {
      return error instanceof PeerError ? error.failure : 'lost'
    }
  }

  /** Two clusters that do not agree may both take themselves for one video's home. */
  #compare(answer: Buffer): void {
    const { cluster: { name }, rule, clock, onDiffering } = this.#deps
    this.#comparedAt = clock.now()
    const ours = JSON.stringify({ cluster: name, ...rule })
    const theirs = answer.toString()
    if (theirs !== ours) onDiffering?.(name, theirs)
  }
}

/** What the other cluster says it cannot do now was not done, and its line stands: nobody backs off from it. */
function asAnswer(error: unknown): unknown {
  if (!(error instanceof PeerError) || error.status !== 503 || !errorIn(error)) return error
  return new PeerError('status', error.message, { cause: error, status: CANNOT, ...(error.body ? { body: error.body } : {}) })
}

const PEER = 'peer:'

/** Whether a batch is for another cluster, and not for a node of ours. */
export function isPeer({ id }: MemberNode): boolean {
  return id.startsWith(PEER)
}
