import { Buffer } from 'node:buffer'
import type { CommentId } from '../protocol/id.js'
import { deletedEvent } from '../protocol/sse.js'

/** An event's data is JSON, without line breaks of its own: no comment's content can look like the lines that are looked for here. */
const DELETED = Buffer.from('event: deleted\nid: ')
const TARGET = /^[0-9]{1,16}\ndata: {"target":"([0-9]{1,16})"}/
/** What TARGET reads at most, bytes. */
const TARGET_BYTES = 64

/** The comments that these events say are deleted. @param events whole ones, as text */
export function deletedIn(events: Buffer): CommentId[] {
  const deleted: CommentId[] = []
  for (let at = events.indexOf(DELETED); at >= 0; at = events.indexOf(DELETED, at)) {
    at += DELETED.length
    const target = TARGET.exec(events.toString('latin1', at, at + TARGET_BYTES))?.[1]
    if (target !== undefined) deleted.push(Number(target))
  }
  return deleted
}

/** The events with a tombstone for each of these comments, and with nothing pinned where one of them was.
 * @param events whole ones, as text @returns the same buffer where none of the comments is in it */
export function withoutComments(events: Buffer, deleted: readonly CommentId[]): Buffer {
  let left = events
  for (const id of deleted) {
    left = replaced(left, `id: ${id}\ndata: {"id":"${id}",`, deletedEvent(id, id).trimEnd())
    left = replaced(left, `{"comment":{"id":"${id}",`, '{"comment":null}')
  }
  return left
}

/** @param begin how each text begins that is replaced, up to its event's end */
function replaced(events: Buffer, begin: string, instead: string): Buffer {
  let left = events
  for (let start = left.indexOf(begin); start >= 0; start = left.indexOf(begin, start)) {
    const end = left.indexOf('\n\n', start)
    left = Buffer.concat([left.subarray(0, start), Buffer.from(instead), left.subarray(end < 0 ? left.length : end)])
    start += instead.length
  }
  return left
}
