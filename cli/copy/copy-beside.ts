import { isDeepStrictEqual } from 'node:util'
import type { VideoId } from '../../protocol/comment.js'
import type { Cursor } from '../../protocol/id.js'
import type { Held } from '../../dispatcher/store/store.js'
import { UnlikeError, type CopiedStore, type HookPlace } from './copied-store.js'
import { Digest } from './digest.js'

/** Copies what is held of a video, and what was decided: whatever is new, has changed or is gone since a former copy.
 * @param isHooked what was decided may still have to be sent to a web hook
 * @returns how many comments wait @throws UnknownColumnError; UnlikeError; errors of the stores */
export async function copyHeld(from: CopiedStore, to: CopiedStore, videoId: VideoId, isHooked: boolean): Promise<number> {
  const [ours, theirs] = await Promise.all([from.held(videoId), to.held(videoId)])
  const known = new Set(theirs.map(printed))
  const kept = new Set(ours.map(({ id }) => id))
  const changed = ours.filter(held => !known.has(printed(held)))
  const gone = theirs.map(({ id }) => id).filter(id => !kept.has(id))
  if (changed.length > 0 || gone.length > 0) {
    await to.setHeld(videoId, changed, gone, isHooked)
    const [read, written] = [digestOf(ours), digestOf(await to.held(videoId))]
    if (!read.equals(written)) throw new UnlikeError(`video ${videoId}: ${written.count} held comments with hash ${written.hash} are there, and ${read.count} with hash ${read.hash} were read`)
  }
  return ours.filter(({ decided }) => !decided).length
}

/** Copies how far a web hook has been sent a video, which has been copied before: the place never moves back, nor beyond what is there.
 * @throws UnknownColumnError; UnlikeError; errors of the stores */
export async function copyHookPlace(from: CopiedStore, to: CopiedStore, videoId: VideoId): Promise<void> {
  const [ours, theirs, lastId] = await Promise.all([from.hookPlace(videoId), to.hookPlace(videoId), to.lastId(videoId)])
  const place = placeAt(ours, theirs, lastId)
  if (isDeepStrictEqual(place, theirs)) return
  await to.setHookPlace(videoId, place, lastId)
  const written = await to.hookPlace(videoId)
  if (!isDeepStrictEqual(place, written)) throw new UnlikeError(`video ${videoId}: the web hook's place ${JSON.stringify(written)} is there, and ${JSON.stringify(place)} was written`)
}

function placeAt(ours: HookPlace, theirs: HookPlace, lastId: Cursor): HookPlace {
  const after = ours.after === undefined ? theirs.after : Math.max(Math.min(ours.after, lastId), theirs.after ?? 0)
  return { after, isDue: ours.isDue && after !== undefined && lastId > after, held: ours.held }
}

function digestOf(held: readonly Held[]): Digest {
  const digest = new Digest()
  for (const line of held.map(printed).sort()) digest.note(line)
  return digest
}

/** All that is copied of a held comment. */
function printed({ id, authorId, authorName, content, key, said, heldAt, decided }: Held): string {
  return JSON.stringify([id, authorId, authorName, content, key, said, heldAt, decided])
}
