import type { GatewayNode } from '../protocol/nodes.js'
import type { Entry } from '../registry/entry.js'
import type { Clock } from '../runtime/clock.js'

/** The count of viewers is looked at this often. */
const COUNT_MS = 1_000

export interface AnnouncementDeps {
  readonly clock: Clock
  /** Streams that are open now. */
  readonly viewers: () => number
  readonly announce: (node: GatewayNode) => Entry<GatewayNode>
}

/** What a gateway says of itself in the registry, for operators. Its state is written at once, its viewers at most once a
 * second and only where they have changed. */
export class Announcement {
  readonly #deps: AnnouncementDeps
  readonly #entry: Entry<GatewayNode>
  #node: GatewayNode
  #cancel!: () => void

  constructor(node: Omit<GatewayNode, 'viewers' | 'state'>, deps: AnnouncementDeps) {
    this.#deps = deps
    this.#node = { ...node, viewers: deps.viewers(), state: 'up' }
    this.#entry = deps.announce(this.#node)
    this.#look()
  }

  state(state: GatewayNode['state']): void {
    this.#set({ state })
  }

  /** Leaves the registry. */
  close(): Promise<void> {
    this.#cancel()
    return this.#entry.close()
  }

  readonly #look = (): void => {
    const { clock, viewers } = this.#deps
    if (viewers() !== this.#node.viewers) this.#set({})
    this.#cancel = clock.tick(COUNT_MS, this.#look)
  }

  #set(change: Partial<GatewayNode>): void {
    this.#node = { ...this.#node, ...change, viewers: this.#deps.viewers() }
    this.#entry.set(this.#node)
  }
}
