/** Limits and intervals that two processes must agree on. One that concerns a single process stands in that process. */

/** Comments that a viewer is replayed at most when it comes back; a `gap` names what lies before them (rule 8). */
export const MAX_REPLAY = 1_000

/** The largest `recent` that a viewer may ask for. */
export const MAX_RECENT = 200

/** Comments in a page of history, where `pageSize` is not given and at most. */
export const DEFAULT_PAGE_SIZE = 50
export const MAX_PAGE_SIZE = 200

/** A viewer that was sent nothing for this long is sent a heartbeat, by the edge or the gateway that holds it. */
export const HEARTBEAT_MS = 10_000

/** A viewer whose socket has taken nothing for this long is closed (rule 10); the HTTP server would do so after 8 to 12 s. */
export const SLOW_MS = 6_000

/** A sender closes a batch, of comments or of posts, once it holds this much. */
export const BATCH_BYTES = 512 * 1024

/** What a receiver accepts as the body of one internal call: a batch and the hints with it, posts, or a sync's questions. */
export const MAX_CALL_BYTES = 4 * 1024 * 1024

/** Rooms in one sync. */
export const MAX_SYNC_ROOMS = 1_000
