import type { VideoId } from '../protocol/comment.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import { WIRE_VERSION } from '../protocol/wire.js'
import { byRendezvous, firstByRendezvous } from './rendezvous.js'
import type { View } from './view.js'

/** Which dispatcher owns a video. For speed, not for right: the store referees, so a wrong belief costs a hop
 * or a read, never a comment. */
export function ownerOf(view: View, videoId: VideoId): DispatcherNode | undefined {
  return firstByRendezvous(videoId, candidates(view))
}

/** The owner, then who is next when it cannot be reached. */
export function ownersOf(view: View, videoId: VideoId): readonly DispatcherNode[] {
  const working = view.dispatchers()
  let known = orders.get(working)
  if (!known) orders.set(working, (known = new Map<VideoId, readonly DispatcherNode[]>()))
  let order = known.get(videoId)
  if (!order) {
    if (known.size === MAX_ORDERS) known.clear()
    known.set(videoId, (order = byRendezvous(videoId, candidates(view))))
  }
  return order
}

/** By the view's list and video: every post asks, and a hundred dispatchers take as long to be put in order as all else about a post. */
const orders = new WeakMap<readonly DispatcherNode[], Map<VideoId, readonly DispatcherNode[]>>()
const MAX_ORDERS = 1_000

/** The dispatchers that can own a video: those that take work and speak our wire version. Another version cannot be
 * asked, so that through a rolling upgrade each version has owners of its own. */
export function candidates(view: View): readonly DispatcherNode[] {
  const working = view.dispatchers()
  return working.every(speaksOurs) ? working : working.filter(speaksOurs)
}

/** Whether dispatchers of another wire version are there: they store comments without telling us. */
export function othersStore(view: View): boolean {
  for (const dispatcher of view.allDispatchers()) if (!speaksOurs(dispatcher)) return true
  return false
}

function speaksOurs({ wire }: DispatcherNode): boolean {
  return wire === WIRE_VERSION
}
