import { toEventJson } from '../registry/contract/comment.js'
import type { WireComment } from '../registry/contract/wire.js'
import type { Stored } from './store/store.js'

/** A stored comment as the parts say it to each other: its JSON is made here, once. */
export function toWire({ comment, prev }: Stored): WireComment {
  return { videoId: comment.videoId, prev, id: comment.id, json: toEventJson(comment) }
}
