import type { VideoId } from '../protocol/comment.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import { candidates, othersStore } from '../registry/ownership.js'
import { firstByRendezvous } from '../registry/rendezvous.js'
import type { View } from '../registry/view.js'
import type { Clock } from '../runtime/clock.js'

/** A take-over is young for this long: whoever had the video may still be storing (rule 5). */
export const TAKE_OVER_MS = 10_000

/** The dispatchers that took work from a moment on. */
interface Membership {
  readonly since: number
  readonly nodes: readonly DispatcherNode[]
}

/** Which dispatcher owns a video by our own view, and whether we have owned it for long. It keeps the last
 * memberships and not a time for each video: ownership is a pure function of the membership. */
export class Owners {
  readonly #view: View
  readonly #clock: Clock
  readonly #self: string
  readonly #isCurrent: () => boolean
  /** Oldest first; the last is in force, the first may have ended TAKE_OVER_MS ago. */
  #memberships: Membership[]
  /** The membership of the last `refresh`. */
  #refreshed: Membership

  /** @param self our own id
   * @param isCurrent whether the view shows the registry as it is, or stands still as ZooKeeper cannot be reached */
  constructor(view: View, clock: Clock, self: string, isCurrent: () => boolean) {
    this.#view = view
    this.#clock = clock
    this.#self = self
    this.#isCurrent = isCurrent
    this.#refreshed = { since: clock.now(), nodes: [] } // a process that starts owns nothing
    this.#memberships = [this.#refreshed]
  }

  /** The owner, ourselves or another; undefined while the view holds no dispatcher. */
  ownerOf(videoId: VideoId): DispatcherNode | undefined {
    return firstByRendezvous(videoId, this.#current().nodes)
  }

  /** Whether another dispatcher is the owner. */
  otherOwner(videoId: VideoId): DispatcherNode | undefined {
    const owner = this.ownerOf(videoId)
    return owner?.id === this.#self ? undefined : owner
  }

  /** Rule 5: ours, and for at least TAKE_OVER_MS, as far as we can see; and nobody stores what we are not told of. To a
   * dispatcher that has lost ZooKeeper its videos may belong to another by now, which does not know that we exist. */
  settled(videoId: VideoId): boolean {
    this.#current()
    return this.#isCurrent() && !othersStore(this.#view) && this.#memberships.every(({ nodes }) => firstByRendezvous(videoId, nodes)?.id === this.#self)
  }

  /** Looks at the view again. @returns who has taken a video from us since the last call, where somebody may have */
  refresh(): ((videoId: VideoId) => DispatcherNode | undefined) | undefined {
    const before = this.#refreshed
    const after = (this.#refreshed = this.#current())
    if (before === after) return undefined
    const self = before.nodes.find(node => node.id === this.#self)
    if (!self) return undefined
    const known = new Set(before.nodes.map(node => node.id))
    const stays = after.nodes.some(node => node.id === this.#self)
    // While we stay, only one that came can have taken a video from us: most are settled by a comparison or two.
    const rivals = stays ? [self, ...after.nodes.filter(node => !known.has(node.id))] : after.nodes
    return videoId => {
      const winner = firstByRendezvous(videoId, rivals)
      if (winner?.id === this.#self || firstByRendezvous(videoId, before.nodes)?.id !== this.#self) return undefined
      return winner
    }
  }

  /** The membership now in force. The view may change without a word (a refused connection): it is asked each time. */
  #current(): Membership {
    const now = this.#clock.now()
    const last = this.#memberships.at(-1)!
    const nodes = candidates(this.#view)
    if (!sameNodes(last.nodes, nodes)) this.#memberships.push({ since: now, nodes })
    while (this.#memberships.length > 1 && now - this.#memberships[1]!.since >= TAKE_OVER_MS) this.#memberships.shift()
    return this.#memberships.at(-1)!
  }
}

function sameNodes(nodes: readonly DispatcherNode[], others: readonly DispatcherNode[]): boolean {
  if (nodes === others) return true
  return nodes.length === others.length && nodes.every(({ id, instance }, i) => id === others[i]!.id && instance === others[i]!.instance)
}
