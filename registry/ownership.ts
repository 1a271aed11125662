import type { VideoId } from '../protocol/comment.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import { WIRE_VERSION } from '../protocol/wire.js'
import { byRendezvous, firstByRendezvous } from './rendezvous.js'
import type { View } from './view.js'

/** Which dispatcher owns a video. For speed, not for right: the store referees, so a wrong belief costs a hop
 * or a read, never a comment. One that speaks another wire version cannot be asked: through a rolling upgrade each
 * version has owners of its own. */
export function ownerOf(view: View, videoId: VideoId): DispatcherNode | undefined {
  return firstByRendezvous(videoId, speaking(view))
}

/** The owner, then who is next when it cannot be reached. */
export function ownersOf(view: View, videoId: VideoId): DispatcherNode[] {
  return byRendezvous(videoId, speaking(view))
}

function speaking(view: View): DispatcherNode[] {
  return [...view.dispatchers()].filter(({ wire }) => wire === WIRE_VERSION)
}
