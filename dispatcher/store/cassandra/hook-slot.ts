import type { VideoId } from '../../../protocol/comment.js'

/** Marks of videos are kept by slots of time, so that those of a day ago are found without a look at every video there is. */
const SLOT_MS = 10 * 60 * 1000
/** What was marked in a slot is stored by then, or never will be: clocks of dispatchers differ by less than a minute, and an attempt of
 * unknown outcome is fenced within ten. */
const SETTLED_MS = 15 * 60 * 1000

/** @param nowMs wall clock, Unix ms */
export function hookSlotOf(nowMs: number): number {
  return Math.floor(nowMs / SLOT_MS)
}

/** Whether nothing that was marked in it can still be stored. */
export function isOver(slot: number, nowMs: number): boolean {
  return nowMs >= (slot + 1) * SLOT_MS + SETTLED_MS
}

/** The first at or after `from`. */
export function nextSlot(slots: readonly number[], from: number): number | undefined {
  const later = slots.filter(slot => slot >= from)
  return later.length === 0 ? undefined : Math.min(...later)
}

/** Behind this video of the slot, as a search remembers it. */
export function placeIn(slot: number, videoId: VideoId): string {
  return `${slot} ${videoId}`
}

/** @param place undefined: before the first */
export function parsePlace(place: string | undefined): { readonly slot: number; readonly videoId: VideoId } {
  const [slot = '0', videoId = ''] = (place ?? '').split(' ')
  return { slot: Number(slot), videoId }
}
