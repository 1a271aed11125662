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
export function ownersOf(view: View, videoId: VideoId): DispatcherNode[] {
  return byRendezvous(videoId, candidates(view))
}

/** The dispatchers that can own a video: those that take work and speak our wire version. Another version cannot be
 * asked, so that through a rolling upgrade each version has owners of its own. */
export function candidates(view: View): DispatcherNode[] {
  return [...view.dispatchers()].filter(speaksOurs)
}

/** Whether dispatchers of another wire version are there: they store comments without telling us. */
export function othersStore(view: View): boolean {
  for (const dispatcher of view.allDispatchers()) if (!speaksOurs(dispatcher)) return true
  return false
}

function speaksOurs({ wire }: DispatcherNode): boolean {
  return wire === WIRE_VERSION
}
