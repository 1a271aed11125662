/** Limits and intervals that two processes must agree on. A limit of one process alone is defined there. */

/** The most comments that are replayed to a viewer; a `gap` names the ones before them (rule 8). */
export const MAX_REPLAY = 1_000

/** The largest `recent` that a viewer may ask for, comments. */
export const MAX_RECENT = 200

/** The most comments a second that a viewer may ask for. There are few classes, so that the bytes of each are shared by many. */
export const MAX_RATES = [5, 10, 20] as const
export type MaxRate = (typeof MAX_RATES)[number]

/** Comments in a page of history: without `pageSize`, and at most. */
export const DEFAULT_PAGE_SIZE = 50
export const MAX_PAGE_SIZE = 200

/** The edge or gateway that holds a viewer sends it a heartbeat after this long without anything else. */
export const HEARTBEAT_MS = 10_000

/** A viewer whose socket has taken nothing for this long is closed (rule 10). The HTTP server would close it after 8 to 12 s. */
export const SLOW_MS = 6_000

/** An edge that no dispatcher has answered for this long is stale: its viewers may be missing comments. */
export const STALE_MS = 3_000

/** A connection on which a viewer has heard nothing for this long is dead: three heartbeats are missing. The client, which
 * imports nothing of ours, repeats it. */
export const SILENCE_MS = 35_000

/** How long somebody waits for a post, an act or a decision that does not say so, as those of a gateway of an older version. */
export const DEFAULT_LEFT_MS = 2_000

/** The largest batch of comments or posts that is sent. */
export const BATCH_BYTES = 512 * 1024

/** The largest body of an internal call that is accepted: a batch, posts or a sync. */
export const MAX_CALL_BYTES = 4 * 1024 * 1024

/** The largest body of a call with a single act, decision or erasure that is accepted. */
export const MAX_ACT_BYTES = 16 * 1024

/** The largest body of a call for a replay that is accepted. */
export const MAX_REPLAY_BYTES = 1024

/** Rooms in one sync. */
export const MAX_SYNC_ROOMS = 1_000
