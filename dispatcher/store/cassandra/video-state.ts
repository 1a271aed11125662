import { DEFAULT_SETTINGS, type Act, type Settings } from '../../../protocol/entry.js'
import type { CommentId } from '../../../protocol/id.js'

/** What a video's acts have come to, as its last bucket keeps it. */
export interface VideoActs {
  readonly settings: Settings
  readonly pinned: CommentId | undefined
  /** Until when an author may not post, Unix ms. */
  readonly bans: Readonly<Record<string, number>>
  /** Deleted comments of older buckets whose content is still there, with their acts. */
  readonly unerased: Readonly<Record<CommentId, CommentId>>
}

export const NO_ACTS: VideoActs = { settings: DEFAULT_SETTINGS, pinned: undefined, bans: {}, unerased: {} }

/** @param text as a bucket has it */
export function parseActs(text: string): VideoActs {
  return { ...NO_ACTS, ...(JSON.parse(text) as Partial<VideoActs>) }
}

export function printActs(acts: VideoActs): string {
  return acts === NO_ACTS ? '{}' : JSON.stringify(acts)
}

/** @param id of the act @param nowMs Unix ms: bans that have ended by then are dropped
 * @param isErased its target's content went with it */
export function actsAfter(acts: VideoActs, act: Act, id: CommentId, nowMs: number, isErased: boolean): VideoActs {
  switch (act.type) {
    case 'deleted':
      return { ...acts, pinned: acts.pinned === act.target ? undefined : acts.pinned, unerased: isErased ? acts.unerased : { ...acts.unerased, [act.target]: id } }
    case 'pinned':
      return { ...acts, pinned: act.target }
    case 'settings':
      return { ...acts, settings: act.settings }
    case 'author-banned':
      return { ...acts, bans: Object.fromEntries(Object.entries({ ...acts.bans, [act.authorId]: act.until }).filter(([, until]) => until > nowMs)) }
  }
}

export function withErased(acts: VideoActs, target: CommentId): VideoActs {
  return { ...acts, unerased: Object.fromEntries(Object.entries(acts.unerased).filter(([id]) => id !== String(target))) }
}
