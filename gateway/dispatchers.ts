import type { VideoId } from '../protocol/comment.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import { ownersOf } from '../registry/ownership.js'
import type { View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import type { PeerFailure } from '../runtime/peers/peer-error.js'

const BACK_OFF_MS = 1_000
const MAX_BACK_OFF_MS = 8_000

/** Which dispatcher to ask for a video. One that refused or did not answer in time is set aside for a while: it
 * is asked after the others, never not at all, since any of them may be wrong about it. */
export class Dispatchers {
  readonly #view: View
  readonly #clock: Clock
  /** By id: failures of that instance in a row, and until when it is set aside. */
  readonly #failures = new Map<string, { instance: string; count: number; until: number }>()

  constructor(view: View, clock: Clock) {
    this.#view = view
    this.#clock = clock
  }

  /** The owner first, then who is next in hash order; those set aside last. */
  order(videoId: VideoId): DispatcherNode[] {
    const owners = ownersOf(this.#view, videoId)
    const now = this.#clock.now()
    const aside = (node: DispatcherNode) => (this.#of(node)?.until ?? -Infinity) > now
    return this.#failures.size === 0 ? owners : [...owners.filter(node => !aside(node)), ...owners.filter(aside)]
  }

  answered(node: DispatcherNode): void {
    this.#failures.delete(node.id)
  }

  failed(node: DispatcherNode, failure: PeerFailure): void {
    if (failure === 'refused') this.#view.refused(node.id, node.instance)
    if (failure !== 'refused' && failure !== 'timeout') return
    const now = this.#clock.now()
    const known = this.#of(node)
    if (known && known.until > now) return // many posts fail for one reason
    const count = (known?.count ?? 0) + 1
    this.#failures.set(node.id, { instance: node.instance, count, until: now + Math.min(BACK_OFF_MS * 2 ** (count - 1), MAX_BACK_OFF_MS) })
    for (const id of this.#failures.keys()) if (!this.#view.dispatcher(id)) this.#failures.delete(id)
  }

  #of(node: DispatcherNode) {
    const known = this.#failures.get(node.id)
    return known?.instance === node.instance ? known : undefined
  }
}
