import type { DispatcherNode } from '../protocol/nodes.js'
import { WIRE_VERSION } from '../protocol/wire.js'
import type { Entry } from '../registry/entry.js'
import type { NodeIdentity } from '../registry/start.js'
import type { Change } from '../registry/view.js'
import { sleep } from '../runtime/clock.js'
import type { Router } from '../runtime/http/server.js'
import type { Caller } from '../runtime/peers/client.js'
import { pingWith } from '../runtime/peers/ping.js'
import { Dispatcher, type DispatcherDeps } from './dispatcher.js'
import { routeDispatcher } from './server.js'

/** How long the others have to learn that it drains; they go on sending meanwhile, and it goes on storing. */
const LEARN_MS = 500
const DRAIN_MS = 3_000
const ANSWERS_LEAVE_MS = 50

export interface DispatcherPartDeps extends Omit<DispatcherDeps, 'self' | 'send' | 'ping'> {
  readonly identity: NodeIdentity
  /** Whether the view has been read at all. */
  readonly viewLoaded: () => boolean
  readonly client: Caller
  readonly announceNode: (node: DispatcherNode) => Entry<DispatcherNode>
}

/** A dispatcher without its sockets, its file and its process: main.ts gives it real ones, test/simulate virtual ones. */
export class DispatcherPart {
  readonly dispatcher: Dispatcher
  readonly #deps: DispatcherPartDeps
  #announced: { readonly node: DispatcherNode; readonly entry: Entry<DispatcherNode> } | undefined

  constructor(deps: DispatcherPartDeps) {
    this.#deps = deps
    const { identity, client } = deps
    this.dispatcher = new Dispatcher({
      ...deps,
      self: identity.id,
      send: (target, path, body, timeoutMs, headers = {}) => client.call(target.internalUrl, { to: target.instance, path, body, timeoutMs, headers }),
      ping: pingWith(client),
    })
  }

  /** Mounts what gateways, edges and other dispatchers ask of it. Posts and syncs may come before the registry has been
   * read: the store referees. */
  route(router: Router): void {
    routeDispatcher(router, this.dispatcher)
  }

  viewChanged(change: Change): void {
    if (change.kind === 'dispatcher') this.dispatcher.viewChanged()
  }

  /** Enters the registry. */
  announce(internalUrl: string): void {
    const { identity, clock, announceNode } = this.#deps
    const node: DispatcherNode = { ...identity, internalUrl, state: 'up', startedAt: clock.wall(), wire: WIRE_VERSION }
    this.#announced = { node, entry: announceNode(node) }
  }

  /** Why it is not ready, or undefined when it is. */
  notReady(): string | undefined {
    if (!this.#deps.viewLoaded()) return 'the registry has not been read yet'
    return this.#announced?.entry.up ? undefined : 'not announced in the registry'
  }

  /** Says that it drains, takes what still comes while the others learn, finishes, and leaves the registry. */
  async stop(): Promise<void> {
    const { clock } = this.#deps
    if (this.#announced?.entry.up) {
      const { node, entry } = this.#announced
      entry.set({ ...node, state: 'draining' })
      await sleep(clock, LEARN_MS)
    }
    await this.dispatcher.drain(DRAIN_MS)
    await this.#announced?.entry.close()
    await sleep(clock, ANSWERS_LEAVE_MS)
    this.dispatcher.close()
  }
}
