import type { DispatcherNode } from '../protocol/nodes.js'
import { WIRE_VERSION } from '../protocol/wire.js'
import type { Entry } from '../registry/entry.js'
import type { NodeIdentity } from '../registry/start.js'
import type { Change } from '../registry/view.js'
import { sleep } from '../runtime/clock.js'
import type { Router } from '../runtime/http/server.js'
import type { Caller } from '../runtime/peers/client.js'
import { pingWith } from '../runtime/peers/ping.js'
import type { PeersDeps } from './away.js'
import { ByHome } from './by-home.js'
import { Dispatcher, type DispatcherDeps } from './dispatcher.js'
import { routeDispatcher } from './server.js'
import type { Standing } from './standing.js'

/** How long the others have to learn that it drains; they go on sending meanwhile, and it goes on storing. */
const LEARN_MS = 500
const DRAIN_MS = 3_000
const HOOK_ENDS_MS = 1_500
const ANSWERS_LEAVE_MS = 50

export interface DispatcherPartDeps extends Omit<DispatcherDeps, 'self' | 'send' | 'ping' | 'standing'> {
  /** Whether it may answer and store; without, always. */
  readonly standing?: Standing
  /** Where there are several clusters; without, every video's home is here. */
  readonly peers?: PeersDeps | undefined
  readonly identity: NodeIdentity
  /** Whether the view has been read at all. */
  readonly viewLoaded: () => boolean
  readonly client: Caller
  readonly announceNode: (node: DispatcherNode) => Entry<DispatcherNode>
}

/** A dispatcher without its sockets, its file and its process: main.ts gives it real ones, test/simulate virtual ones. */
export class DispatcherPart {
  readonly dispatcher: Dispatcher
  readonly #byHome: ByHome | undefined
  readonly #deps: DispatcherPartDeps
  #announced: { node: DispatcherNode; readonly entry: Entry<DispatcherNode> } | undefined
  #stopping = false

  constructor(deps: DispatcherPartDeps) {
    this.#deps = deps
    const { identity, client, standing, peers } = deps
    if (standing) standing.onChange = () => this.#tell()
    const all: DispatcherDeps = {
      ...deps,
      self: identity.id,
      send: (target, path, body, timeoutMs, headers = {}) => client.call(target.internalUrl, { to: target.instance, path, body, timeoutMs, headers }),
      ping: pingWith(client),
    }
    this.#byHome = peers && new ByHome({ ...all, peers })
    this.dispatcher = this.#byHome?.here ?? new Dispatcher(all)
  }

  /** Mounts what gateways, edges and other dispatchers ask of it. Posts and syncs may come before the registry has been
   * read: the store referees. */
  route(router: Router): void {
    routeDispatcher(router, this.dispatcher, this.#byHome)
  }

  viewChanged(change: Change): void {
    if (change.kind !== 'dispatcher') return
    this.dispatcher.viewChanged()
    void this.#deps.standing?.look()
  }

  /** Enters the registry. */
  announce(internalUrl: string): void {
    const { identity, clock, announceNode, standing } = this.#deps
    const node: DispatcherNode = { ...identity, internalUrl, state: 'up', startedAt: clock.wall(), wire: WIRE_VERSION, entries: true, ...standing?.announced }
    this.#announced = { node, entry: announceNode(node) }
  }

  /** Why it is not ready, or undefined when it is. */
  notReady(): string | undefined {
    const { viewLoaded, standing } = this.#deps
    if (!viewLoaded()) return 'the registry has not been read yet'
    if (standing?.unfit !== undefined) return standing.unfit
    return this.#announced?.entry.up ? undefined : 'not announced in the registry'
  }

  /** Says that it drains, takes what still comes while the others learn, finishes, and leaves the registry. */
  async stop(): Promise<void> {
    const { clock } = this.#deps
    this.#stopping = true
    if (this.#announced?.entry.up) {
      const { node, entry } = this.#announced
      entry.set({ ...node, state: 'draining' })
      await sleep(clock, LEARN_MS)
    }
    await this.dispatcher.drain(DRAIN_MS)
    await this.dispatcher.endHook(HOOK_ENDS_MS)
    await this.#announced?.entry.close()
    await sleep(clock, ANSWERS_LEAVE_MS)
    const part = this.#byHome ?? this.dispatcher
    part.close()
  }

  /** Announces what has changed. */
  #tell(): void {
    if (!this.#announced || this.#stopping) return
    const { node: before, entry } = this.#announced
    const { store: _, fit: __, ...rest } = before
    const node: DispatcherNode = { ...rest, ...this.#deps.standing?.announced }
    if (JSON.stringify(node) === JSON.stringify(before)) return
    this.#announced.node = node
    entry.set(node)
  }
}
