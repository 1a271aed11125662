import { Buffer } from 'node:buffer'
import { randomUUID } from 'node:crypto'
import type { VideoId } from '../../protocol/comment.js'
import type { HeldId } from '../../protocol/held.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import { MAX_BUCKET_BYTES, newestId, type Bucket } from '../../dispatcher/store/cassandra/bucket.js'
import { CallError } from '../../dispatcher/store/cassandra/call-error.js'
import { readBucket, type ChainDeps } from '../../dispatcher/store/cassandra/chain.js'
import type { Cql, Statement, Value as Bound } from '../../dispatcher/store/cassandra/cql.js'
import { parts } from '../../dispatcher/store/cassandra/parts.js'
import { KEY_TTL_S } from '../../dispatcher/store/cassandra/schema.js'
import { placeOf, Statements } from '../../dispatcher/store/cassandra/statements.js'
import type { Held } from '../../dispatcher/store/store.js'
import { again, CALL_MS } from './again.js'
import { CassandraBeside } from './cassandra-beside.js'
import { OtherRowsError, PAGE, UnknownColumnError, type CopiedStore, type HookPlace, type Key, type Row, type Value, type VideoState } from './copied-store.js'
import { filled } from './sqlite-rows.js'

export interface CassandraRowsOptions {
  readonly cql: Cql & { close(): Promise<void> }
  readonly keyspace: string
  /** Of the store. */
  readonly id: string
  readonly name: string
  /** Where a bucket is cut; for tests. */
  readonly maxBucketBytes?: number
}

/** Columns that say where a row is, and those of keys. */
const PLACE = ['prev', 'made', 'attempt', 'said']
/** What a row and its key take beside their texts, about. */
const ROW_BYTES = 220
/** An id of a row that is a key. */
const KEYS = 0

/** A store in Cassandra, as it is copied. It is written as dispatchers write it, by conditional writes, so that none that should
 * run all the same does harm. Its buckets are cut by their size alone: rows that are written within minutes are read from few
 * files, whatever time they are of, and each sealed bucket costs posts a read for a day. */
export class CassandraRows implements CopiedStore {
  readonly id: string
  readonly name: string
  readonly columns: ReadonlySet<string>
  readonly #options: CassandraRowsOptions
  readonly #comments: string
  readonly #chain: ChainDeps
  /** Former tables do not remember what was said under a key, nor acts. */
  readonly #keepsSaid: boolean
  readonly #keepsActs: boolean
  readonly #beside: CassandraBeside

  /** @param columns of the comments, by kind @param tables of the keyspace */
  private constructor(options: CassandraRowsOptions, columns: { readonly regular: readonly string[]; readonly fixed: readonly string[] }, tables: readonly string[]) {
    this.#options = options
    this.id = options.id
    this.name = options.name
    this.columns = new Set(columns.regular.filter(column => !PLACE.includes(column)))
    this.#keepsSaid = columns.regular.includes('said')
    this.#keepsActs = columns.fixed.includes('acts')
    this.#comments = `${options.keyspace}.comments`
    this.#beside = new CassandraBeside({ ...options, tables, lastId: videoId => this.lastId(videoId) })
    this.#chain = { cql: options.cql, statements: new Statements(options.keyspace) }
  }

  /** @throws CallError */
  static async open(options: CassandraRowsOptions): Promise<CassandraRows> {
    const rows = await options.cql.read({ cql: "SELECT column_name, kind FROM system_schema.columns WHERE keyspace_name = ? AND table_name = 'comments'", params: [options.keyspace] }, CALL_MS)
    const columns = (wanted: string) => rows.filter(({ kind }) => kind === wanted).map(({ column_name }) => String(column_name))
    const tables = await options.cql.read({ cql: 'SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?', params: [options.keyspace] }, CALL_MS)
    return new CassandraRows(options, { regular: columns('regular'), fixed: columns('static') }, tables.map(({ table_name }) => String(table_name)))
  }

  /** By the first bucket of each, in the order of Cassandra's tokens. */
  async videos(): Promise<readonly VideoId[]> {
    const videos: VideoId[] = []
    const select = `SELECT DISTINCT video_id, bucket FROM ${this.#comments}`
    let last: Bound[] | undefined
    for (;;) {
      const rows = await this.#read(last ? { cql: `${select} WHERE token(video_id, bucket) > token(?, ?) LIMIT ${PAGE}`, params: last } : { cql: `${select} LIMIT ${PAGE}`, params: [] })
      videos.push(...rows.filter(({ bucket }) => bucket === 0).map(({ video_id }) => String(video_id)))
      if (rows.length < PAGE) return [...new Set([...videos, ...(await this.#beside.heldVideos())])]
      const { video_id, bucket } = rows.at(-1) as { video_id: string; bucket: number }
      last = [video_id, bucket]
    }
  }

  count(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  async lastId(videoId: VideoId): Promise<Cursor> {
    return newestId(await this.#lastBucket(videoId))
  }

  async *rows(videoId: VideoId, after: Cursor, until: Cursor): AsyncIterable<readonly Row[]> {
    let last = after
    const unerased = (await this.#acts(videoId))?.unerased ?? {}
    for (const bucket of (await this.#buckets(videoId)).toReversed()) {
      for (;;) {
        const found = await this.#read({
          cql: `SELECT id, prev, ${[...this.columns].join(', ')} FROM ${this.#comments} WHERE video_id = ? AND bucket = ? AND id > ? AND id <= ? ORDER BY id ASC LIMIT ${PAGE}`,
          params: [videoId, bucket, last, until],
        })
        if (found.length === 0) break
        yield found.map(row => erased({ id: row['id'] as number, prev: row['prev'] as number, columns: filled(row, this.columns) }, unerased))
        last = found.at(-1)!['id'] as number
        if (found.length < PAGE) break
      }
    }
  }

  async keys(videoId: VideoId): Promise<ReadonlyMap<CommentId, Key>> {
    const keys = new Map<CommentId, Key>()
    for (const bucket of await this.#buckets(videoId)) {
      for (let after = ''; ; ) {
        const found = await this.#read({ cql: `SELECT key, made${this.#keepsSaid ? ', said' : ''} FROM ${this.#comments} WHERE video_id = ? AND bucket = ? AND id = ${KEYS} AND key > ? LIMIT ${PAGE}`, params: [videoId, bucket, after] })
        for (const { key: place, made, said } of found as { key: string; made: number; said?: string | null }[]) keys.set(made, { ...keyOf(place), ...(typeof said === 'string' ? { said } : {}) })
        if (found.length < PAGE) break
        after = found.at(-1)!['key'] as string
      }
    }
    return keys
  }

  async state(videoId: VideoId): Promise<VideoState | undefined> {
    const acts = await this.#acts(videoId)
    if (!acts) return undefined
    const { settings, pinned, bans = {} } = acts
    return { ...(settings ? { settings } : {}), ...(pinned ? { pinned } : {}), bans }
  }

  async setState(videoId: VideoId, state: VideoState): Promise<void> {
    if (!this.#keepsActs) throw new UnknownColumnError(this.name, 'acts upon a video')
    await again(async () => {
      const bucket = await this.#lastBucket(videoId)
      const refused = await this.#options.cql.writeIf([this.#change(videoId, bucket, 'acts = ?, fence = ?', [JSON.stringify(state), randomUUID()])], CALL_MS)
      if (refused) throw new CallError('another writer is in the way', true)
    })
  }

  async amend(videoId: VideoId, rows: readonly Row[]): Promise<void> {
    const names = [...this.columns]
    for (const { id, columns } of rows) {
      const bucket = (await this.#buckets(videoId)).find(after => after < id)!
      const params = [...names.map(name => (columns[name] ?? null) as Bound), videoId, bucket, id]
      await again(() => this.#options.cql.write({ cql: `UPDATE ${this.#comments} SET ${names.map(name => `${name} = ?`).join(', ')} WHERE video_id = ? AND bucket = ? AND id = ? AND key = ''`, params }, CALL_MS))
    }
  }

  async append(videoId: VideoId, after: Cursor, rows: readonly Row[], keys: ReadonlyMap<CommentId, Key>): Promise<void> {
    let bucket = await this.#lastBucket(videoId)
    if (newestId(bucket) !== after) throw new OtherRowsError(videoId)
    for (const part of parts(rows, { bytesOf })) {
      bucket = await this.#openBucket(videoId, bucket)
      bucket = await this.#put(videoId, bucket, part, keys)
    }
  }

  held(videoId: VideoId): Promise<Held[]> {
    return this.#beside.held(videoId)
  }

  setHeld(videoId: VideoId, changed: readonly Held[], gone: readonly HeldId[], isHooked: boolean): Promise<void> {
    return this.#beside.setHeld(videoId, changed, gone, isHooked)
  }

  hookedVideos(): Promise<VideoId[]> {
    return this.#beside.hookedVideos()
  }

  hookPlace(videoId: VideoId): Promise<HookPlace> {
    return this.#beside.hookPlace(videoId)
  }

  setHookPlace(videoId: VideoId, place: HookPlace): Promise<void> {
    return this.#beside.setHookPlace(videoId, place)
  }

  close(): Promise<void> {
    return this.#options.cql.close()
  }

  /** Newest first. */
  async #buckets(videoId: VideoId): Promise<Cursor[]> {
    const rows = await this.#read(this.#chain.statements.buckets(videoId))
    return [...rows.map(({ bucket }) => bucket as Cursor), 0]
  }

  async #lastBucket(videoId: VideoId): Promise<Bucket> {
    const [newest] = await this.#buckets(videoId)
    return again(() => readBucket(this.#chain, videoId, newest!, CALL_MS))
  }

  /** The bucket, or the one after it if it is sealed or has to be. */
  async #openBucket(videoId: VideoId, bucket: Bucket): Promise<Bucket> {
    const { cql, maxBucketBytes = MAX_BUCKET_BYTES } = this.#options
    let sealed = bucket
    if (bucket.next === undefined) {
      if (bucket.head === undefined || bucket.bytes < maxBucketBytes) return bucket
      await again(() => cql.writeIf([this.#chain.statements.seal({ videoId, bucket })], CALL_MS))
      sealed = await again(() => readBucket(this.#chain, videoId, bucket.after, CALL_MS))
      if (sealed.next !== bucket.head) throw new OtherRowsError(videoId)
    }
    const next = sealed.next!
    await again(() => cql.write(this.#chain.statements.noteBucket(videoId, next), CALL_MS))
    return again(() => readBucket(this.#chain, videoId, next, CALL_MS))
  }

  /** In one conditional write, made again until it is certain that it was done. */
  async #put(videoId: VideoId, before: Bucket, rows: readonly Row[], keys: ReadonlyMap<CommentId, Key>): Promise<Bucket> {
    const { cql } = this.#options
    const [first, last] = [rows[0]!, rows.at(-1)!]
    const after: Bucket = { ...before, head: last.id, first: before.first ?? first.id, bytes: before.bytes + rows.reduce((sum, row) => sum + bytesOf(row), 0) }
    const attempt = randomUUID()
    const inserts = rows.flatMap(row => [this.#insert(videoId, before.after, row), ...this.#insertKey(videoId, before.after, row.id, keys.get(row.id), attempt)])
    let fence = before.fence
    return again(async () => {
      const refused = await cql.writeIf([this.#change(videoId, { ...before, fence }, 'head = ?, first = ?, bytes = ?', [last.id, after.first!, after.bytes]), ...inserts], CALL_MS)
      if (!refused) return { ...after, fence }
      const now = await readBucket(this.#chain, videoId, before.after, CALL_MS)
      if (now.head === after.head) return now // an attempt whose answer was lost
      if (now.head !== before.head || now.next !== undefined) throw new OtherRowsError(videoId)
      fence = now.fence
      throw new CallError('another writer is in the way', true)
    })
  }

  #insert(videoId: VideoId, bucket: Cursor, { id, prev, columns }: Row): Statement {
    const names = Object.keys(columns)
    return {
      cql: `INSERT INTO ${this.#comments} (video_id, bucket, id, key, prev${names.map(name => `, ${name}`).join('')}) VALUES (?, ?, ?, '', ?${', ?'.repeat(names.length)})`,
      params: [videoId, bucket, id, prev, ...names.map(name => columns[name] as Bound)],
    }
  }

  #insertKey(videoId: VideoId, bucket: Cursor, id: CommentId, key: Key | undefined, attempt: string): Statement[] {
    if (!key) return []
    const said = this.#keepsSaid && key.said !== undefined ? [key.said] : []
    return [
      {
        cql: `INSERT INTO ${this.#comments} (video_id, bucket, id, key, made, attempt${', said'.repeat(said.length)}) VALUES (?, ?, ${KEYS}, ?, ?, ?${', ?'.repeat(said.length)}) IF NOT EXISTS USING TTL ${KEY_TTL_S}`,
        params: [videoId, bucket, placeOf(key), id, attempt, ...said],
      },
    ]
  }

  #change(videoId: VideoId, bucket: Bucket, assignments: string, values: readonly Bound[]): Statement {
    return {
      cql: `UPDATE ${this.#comments} SET ${assignments} WHERE video_id = ? AND bucket = ? IF head = ? AND next = ? AND fence = ?`,
      params: [...values, videoId, bucket.after, bucket.head ?? null, bucket.next ?? null, bucket.fence ?? null],
    }
  }

  /** Those of the newest bucket that says what the acts up to its head have come to. */
  async #acts(videoId: VideoId): Promise<Acts | undefined> {
    if (!this.#keepsActs) return undefined
    for (const bucket of await this.#buckets(videoId)) {
      const [row] = await this.#read({ cql: `SELECT acts FROM ${this.#comments} WHERE video_id = ? AND bucket = ? LIMIT 1`, params: [videoId, bucket] })
      if (typeof row?.['acts'] === 'string') return JSON.parse(row['acts']) as Acts
    }
    return undefined
  }

  #read(statement: Statement): Promise<readonly Readonly<Record<string, unknown>>[]> {
    return again(() => this.#options.cql.read(statement, CALL_MS))
  }
}

/** What a bucket's column `acts` holds. */
interface Acts extends Partial<VideoState> {
  /** Deleted comments whose content is still there, with the acts that deleted them. */
  readonly unerased?: Readonly<Record<string, number>>
}

/** As it is shown to viewers. */
function erased(row: Row, unerased: Readonly<Record<string, number>>): Row {
  const by = unerased[String(row.id)]
  if (by === undefined) return row
  const { author_name: _, author_role: __, ...columns } = row.columns
  return { ...row, columns: { ...columns, author_id: '', content: '', entry: JSON.stringify({ deletedBy: String(by) }) } }
}

/** A key has no spaces. */
function keyOf(place: string): Key {
  const at = place.indexOf(' ')
  return { key: place.slice(0, at), authorId: place.slice(at + 1) }
}

function bytesOf({ columns }: Row): number {
  return Object.values(columns).reduce<number>((sum, value) => sum + sizeOf(value), ROW_BYTES)
}

function sizeOf(value: Value): number {
  return typeof value === 'number' ? 8 : Buffer.byteLength(value)
}
