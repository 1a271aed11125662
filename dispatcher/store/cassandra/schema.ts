/** Of the tables. A store of a later version is refused. */
export const SCHEMA_VERSION = 1
/** How long Cassandra keeps a key, by its own clock: the 24 hours that are promised, and one more. */
export const KEY_TTL_S = 25 * 60 * 60
/** How long a decision about a held comment is kept, without the comment's content, where a web hook is to be sent it. */
export const HOOKED_DECISION_TTL_S = 30 * 24 * 60 * 60

/** One partition a bucket: a stretch of a video's comments, and all that decides about the next. The static columns are the
 * bucket's: `head` its newest id, `first` its oldest, `bytes` about its size, `next` set when it is sealed, `fence` what an attempt must know.
 * A row with an id above 0 is a comment; one with id 0 is a key, `made` the id it has made and `attempt` by which attempt. */
const COMMENTS = `(
  video_id text, bucket bigint, id bigint, key text,
  head bigint static, first bigint static, bytes bigint static, next bigint static, fence uuid static,
  prev bigint, author_id text, author_name text, content text, created_at bigint,
  made bigint, attempt uuid,
  PRIMARY KEY ((video_id, bucket), id, key)
) WITH CLUSTERING ORDER BY (id DESC, key ASC)`

/** The buckets of a video but its first, each written down before it takes a comment. */
const BUCKETS = '(video_id text, bucket bigint, PRIMARY KEY (video_id, bucket)) WITH CLUSTERING ORDER BY (bucket DESC)'

/** A partition a video: comments that wait for a moderator, and those that were decided within the last 25 hours, without content.
 * `decided` is null while one waits, then JSON: `approving` before the comment is made, `approved` with its id, or `refused`. */
const HELD = `(
  video_id text, id text, author_id text, author_name text, content text, key text, said text, held_at bigint, decided text,
  PRIMARY KEY (video_id, id)
)`

/** Where a video's web hook goes on: above `taken`, and above `after`, the newest id when the hook was first heard of. Each `taken` is
 * written with itself as its time, so that the highest stays. */
const HOOK_VIDEOS = '(video_id text PRIMARY KEY, after bigint, taken bigint)'

/** A partition a slot of ten minutes: the videos of which something was stored then that a hook is to be sent. */
const HOOK_MARKS = '(slot bigint, video_id text, PRIMARY KEY (slot, video_id))'

/** Held comments of which a hook is to be sent that they wait (`state` held), or what was decided (`decided`). */
const HOOK_HELD = '(video_id text, id text, state text, marked_at bigint, PRIMARY KEY (video_id, id, state))'

/** One row: which store this is. `probe` is written to see whether anything can be. */
const STORE = '(one int PRIMARY KEY, id text, generation text, version int, data_centre text, accepted text, probe uuid)'

export const TABLES = { comments: COMMENTS, buckets: BUCKETS, held: HELD, hook_videos: HOOK_VIDEOS, hook_marks: HOOK_MARKS, hook_held: HOOK_HELD, store: STORE } as const

/** Columns that a later version has added, each with its table. Former versions name their columns, and leave these empty: they read
 * an act and a deleted comment as a comment without author and content. `entry` is JSON: an act, or `deletedBy` with the id of
 * the act that deleted the comment; `author_role` `moderator` where a moderator wrote the comment; `said` a hash of what was said under a key; `acts` what the acts up to the bucket's head have
 * come to. The last one says that the others are there. */
const ADDED = [
  ['comments', 'entry', 'text'],
  ['comments', 'author_role', 'text'],
  ['comments', 'said', 'text'],
  ['comments', 'acts', 'text static'],
  ['store', 'has_acts', 'boolean'],
] as const

export function createKeyspace(keyspace: string, replication: ReadonlyMap<string, number>): string {
  const factors = [...replication].map(([dataCentre, factor]) => `, '${dataCentre}': ${factor}`).join('')
  return `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = {'class': 'NetworkTopologyStrategy'${factors}}`
}

export function createTables(keyspace: string): string[] {
  return Object.entries(TABLES).map(([name, columns]) => `CREATE TABLE IF NOT EXISTS ${keyspace}.${name} ${columns}`)
}

export function addColumns(keyspace: string): string[] {
  return ADDED.map(([table, column, type]) => `ALTER TABLE ${keyspace}.${table} ADD IF NOT EXISTS ${column} ${type}`)
}
