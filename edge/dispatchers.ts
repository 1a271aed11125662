import type { VideoId } from '../protocol/comment.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import { ownersOf } from '../registry/ownership.js'
import type { View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'
import { PeerError } from '../runtime/peers/peer-error.js'

const ASIDE_MS = 500
const ASIDE_MAX_MS = 4_000

/** Whom to ask about a video: its owner, and while that does not answer the next in hash order. Any can answer. */
export class Dispatchers {
  readonly #view: View
  readonly #clock: Clock
  /** By instance: a restarted dispatcher is not set aside for its former self. */
  readonly #aside = new Map<string, { until: number; pauseMs: number }>()

  constructor(view: View, clock: Clock) {
    this.#view = view
    this.#clock = clock
  }

  /** In the order to ask: those set aside come last. */
  inOrder(videoId: VideoId): DispatcherNode[] {
    const owners = ownersOf(this.#view, videoId)
    const aside = (node: DispatcherNode) => this.#isAside(node)
    return [...owners.filter(node => !aside(node)), ...owners.filter(aside)]
  }

  first(videoId: VideoId): DispatcherNode | undefined {
    return this.inOrder(videoId)[0]
  }

  answered(node: DispatcherNode): void {
    this.#aside.delete(node.instance)
  }

  failed(node: DispatcherNode, error: unknown): void {
    if (error instanceof PeerError && error.failure === 'local') return
    if (error instanceof PeerError && error.failure === 'refused') this.#view.refused(node.id, node.instance)
    const pauseMs = Math.min(ASIDE_MAX_MS, (this.#aside.get(node.instance)?.pauseMs ?? ASIDE_MS / 2) * 2)
    this.#aside.set(node.instance, { until: this.#clock.now() + pauseMs, pauseMs })
    if (this.#aside.size > 1000) this.#aside.delete(this.#aside.keys().next().value!)
  }

  /** Whether the one to ask now is another than `failed`, and has not just failed too. */
  hasNext(videoId: VideoId, failed: DispatcherNode): boolean {
    const next = this.first(videoId)
    return next !== undefined && next.instance !== failed.instance && !this.#isAside(next)
  }

  #isAside({ instance }: DispatcherNode): boolean {
    return (this.#aside.get(instance)?.until ?? -1) > this.#clock.now()
  }
}
