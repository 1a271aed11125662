import { createHash } from 'node:crypto'
import type { Buffer } from 'node:buffer'
import { actFields } from '../../protocol/entry.js'
import type { Timed } from './store.js'

const BYTES = 16

/** What a key remembers of its draft: enough to know the same again, and no content. */
export function keyHash({ videoId, authorId, key, content, act }: Timed): Buffer {
  const said = act ? actFields(act) : content
  return createHash('sha256').update(JSON.stringify([videoId, authorId, key, said])).digest().subarray(0, BYTES)
}
