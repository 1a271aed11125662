import type { VideoId } from '../../protocol/comment.js'
import type { HeldId } from '../../protocol/held.js'
import type { Cursor } from '../../protocol/id.js'
import type { Cql, Row, Statement, Value } from '../../dispatcher/store/cassandra/cql.js'
import { heldOf } from '../../dispatcher/store/cassandra/held-table.js'
import { hookSlotOf } from '../../dispatcher/store/cassandra/hook-slot.js'
import { isNews, takenIn, type HeldMark } from '../../dispatcher/store/cassandra/hook-table.js'
import { HOOKED_DECISION_TTL_S, KEY_TTL_S } from '../../dispatcher/store/cassandra/schema.js'
import { HELD_COLUMNS, Statements } from '../../dispatcher/store/cassandra/statements.js'
import type { Held } from '../../dispatcher/store/store.js'
import { again, CALL_MS } from './again.js'
import { PAGE, UnknownColumnError, type HookPlace } from './copied-store.js'

export interface CassandraBesideOptions {
  readonly cql: Cql
  readonly keyspace: string
  readonly name: string
  /** Those that are there. */
  readonly tables: readonly string[]
  readonly lastId: (videoId: VideoId) => Promise<Cursor>
}

const HOOK_TABLES = ['hook_videos', 'hook_marks', 'hook_held']

/** What a store in Cassandra keeps beside the comments, as it is copied: those that are held, and where a web hook is. */
export class CassandraBeside {
  readonly #options: CassandraBesideOptions
  readonly #statements: Statements
  /** Former stores have neither. */
  readonly #keepsHeld: boolean
  readonly #keepsHooks: boolean
  /** Videos that a search of the hook's finds. */
  #marked: Promise<Set<VideoId>> | undefined

  constructor(options: CassandraBesideOptions) {
    this.#options = options
    this.#statements = new Statements(options.keyspace)
    this.#keepsHeld = options.tables.includes('held')
    this.#keepsHooks = HOOK_TABLES.every(table => options.tables.includes(table))
  }

  /** Videos of which something is held. */
  async heldVideos(): Promise<VideoId[]> {
    return this.#keepsHeld ? this.#videosIn('held') : []
  }

  /** In the order in which they were held. One whose approval has begun and was not finished waits. */
  async held(videoId: VideoId): Promise<Held[]> {
    if (!this.#keepsHeld) return []
    const rows = await this.#pages(after => ({
      cql: `SELECT ${HELD_COLUMNS} FROM ${this.#options.keyspace}.held WHERE video_id = ? AND id > ? LIMIT ${PAGE}`,
      params: [videoId, (after?.['id'] as string | undefined) ?? ''],
    }))
    return rows.map(row => heldOf(videoId, row)).sort((a, b) => a.heldAt - b.heldAt)
  }

  /** @param isHooked what was decided may still have to be sent to a web hook @throws UnknownColumnError; CallError */
  async setHeld(videoId: VideoId, changed: readonly Held[], gone: readonly HeldId[], isHooked: boolean): Promise<void> {
    if (!this.#keepsHeld) throw new UnknownColumnError(this.#options.name, 'held comments')
    for (const id of gone) await this.#writeIf(this.#statements.deleteHeld(videoId, id))
    for (const held of changed) {
      await this.#writeIf(this.#statements.deleteHeld(videoId, held.id))
      await this.#writeIf(held.decided ? this.#statements.decide(held, printDecided(held.decided), null, isHooked ? HOOKED_DECISION_TTL_S : KEY_TTL_S) : this.#statements.hold(held))
    }
  }

  async hookedVideos(): Promise<VideoId[]> {
    return this.#keepsHooks ? this.#videosIn('hook_videos') : []
  }

  async hookPlace(videoId: VideoId): Promise<HookPlace> {
    if (!this.#keepsHooks) return { after: undefined, isDue: false, held: [] }
    const [row] = await this.#read({ cql: `SELECT after, taken FROM ${this.#options.keyspace}.hook_videos WHERE video_id = ?`, params: [videoId] })
    const after = row && takenIn(row)
    const marks = await this.#heldMarks(videoId)
    const held = marks.length === 0 ? [] : (await this.held(videoId)).filter(each => marks.some(({ id }) => id === each.id) && isNews(each, marks))
    const isMarked = (await this.#marks()).has(videoId)
    return { after, isDue: isMarked && (await this.#options.lastId(videoId)) > (after ?? Infinity), held: held.map(({ id }) => id).sort() }
  }

  /** The mark by which a search finds the video comes last. @throws UnknownColumnError; CallError */
  async setHookPlace(videoId: VideoId, { after, isDue, held }: HookPlace): Promise<void> {
    if (!this.#keepsHooks) throw new UnknownColumnError(this.#options.name, 'the place of a web hook')
    const { keyspace } = this.#options
    const now = Date.now()
    if (after !== undefined) await this.#writeIf({ cql: `INSERT INTO ${keyspace}.hook_videos (video_id, after) VALUES (?, ?) IF NOT EXISTS`, params: [videoId, after] })
    if (after !== undefined && after > 0) await this.#write({ cql: `UPDATE ${keyspace}.hook_videos USING TIMESTAMP ? SET taken = ? WHERE video_id = ?`, params: [after, after, videoId] })
    for (const { id, state } of await this.#heldMarks(videoId)) {
      if (!held.includes(id)) await this.#write({ cql: `DELETE FROM ${keyspace}.hook_held WHERE video_id = ? AND id = ? AND state = ?`, params: [videoId, id, state] })
    }
    // Such a mark is of one that was decided, too.
    for (const id of held) await this.#write({ cql: `INSERT INTO ${keyspace}.hook_held (video_id, id, state, marked_at) VALUES (?, ?, 'held', ?)`, params: [videoId, id, now] })
    if (!isDue && held.length === 0) return
    await this.#write({ cql: `INSERT INTO ${keyspace}.hook_marks (slot, video_id) VALUES (?, ?)`, params: [hookSlotOf(now), videoId] })
    ;(await this.#marks()).add(videoId)
  }

  /** Read once: a copy asks for a video's place when all of its comments are copied. */
  #marks(): Promise<Set<VideoId>> {
    return (this.#marked ??= this.#readMarks())
  }

  async #readMarks(): Promise<Set<VideoId>> {
    const marked = new Set<VideoId>()
    const { keyspace } = this.#options
    for (const { slot } of await this.#read({ cql: `SELECT DISTINCT slot FROM ${keyspace}.hook_marks`, params: [] })) {
      const rows = await this.#pages(after => ({
        cql: `SELECT video_id FROM ${keyspace}.hook_marks WHERE slot = ? AND video_id > ? LIMIT ${PAGE}`,
        params: [slot as number, (after?.['video_id'] as string | undefined) ?? ''],
      }))
      for (const { video_id } of rows) marked.add(String(video_id))
    }
    return marked
  }

  async #heldMarks(videoId: VideoId): Promise<HeldMark[]> {
    const rows = await this.#pages(after => ({
      cql: `SELECT id, state FROM ${this.#options.keyspace}.hook_held WHERE video_id = ? AND (id, state) > (?, ?) LIMIT ${PAGE}`,
      params: [videoId, ...(after ? [after['id'] as string, after['state'] as string] : ['', ''])],
    }))
    return rows.map(({ id, state }) => ({ id, state }) as HeldMark)
  }

  /** The partitions of a table that has one a video, in the order of Cassandra's tokens. */
  async #videosIn(table: string): Promise<VideoId[]> {
    const select = `SELECT DISTINCT video_id FROM ${this.#options.keyspace}.${table}`
    const rows = await this.#pages(after => (after ? { cql: `${select} WHERE token(video_id) > token(?) LIMIT ${PAGE}`, params: [after['video_id'] as Value] } : { cql: `${select} LIMIT ${PAGE}`, params: [] }))
    return rows.map(({ video_id }) => String(video_id))
  }

  /** All rows, a page at a time. @param pageAfter the next PAGE after a row; undefined: the first */
  async #pages(pageAfter: (last: Row | undefined) => Statement): Promise<Row[]> {
    const rows: Row[] = []
    for (;;) {
      const page = await this.#read(pageAfter(rows.at(-1)))
      rows.push(...page)
      if (page.length < PAGE) return rows
    }
  }

  #read(statement: Statement): Promise<readonly Row[]> {
    return again(() => this.#options.cql.read(statement, CALL_MS))
  }

  #write(statement: Statement): Promise<void> {
    return again(() => this.#options.cql.write(statement, CALL_MS))
  }

  /** A refusal may come of an attempt whose answer was lost: whoever copies looks afterwards. */
  #writeIf(statement: Statement): Promise<Row | undefined> {
    return again(() => this.#options.cql.writeIf([statement], CALL_MS))
  }
}

function printDecided(decided: NonNullable<Held['decided']>): string {
  return JSON.stringify('refused' in decided ? decided : { approved: String(decided.approved) })
}
