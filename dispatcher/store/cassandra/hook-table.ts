import type { VideoId } from '../../../protocol/comment.js'
import type { HeldId } from '../../../protocol/held.js'
import type { CommentId, Cursor } from '../../../protocol/id.js'
import { inParallel } from '../../../runtime/in-parallel.js'
import type { Held, Taken, Unsent, UnsentVideos } from '../store.js'
import { CallError } from './call-error.js'
import type { Cql, Row, Statement } from './cql.js'
import { hookSlotOf, isOver, nextSlot, parsePlace, placeIn } from './hook-slot.js'
import type { Limits } from './limits.js'

export interface HookTableDeps {
  readonly cql: Cql
  readonly keyspace: string
  readonly limits: Limits
  /** The newest id of each video; rejects with CallError. */
  readonly lastIds: (videoIds: readonly VideoId[]) => Promise<ReadonlyMap<VideoId, Cursor>>
  /** What is held; rejects with CallError. */
  readonly held: (videoId: VideoId, id: HeldId) => Promise<Held | undefined>
}

/** What of a held comment is to be sent: that it waits, or what was decided. */
type HeldState = 'held' | 'decided'

export interface HeldMark {
  readonly id: HeldId
  readonly state: HeldState
}

/** Videos of one call. */
const VIDEOS = 200
/** Videos that are known to be marked; beyond that, they are marked once more. */
const MAX_KNOWN = 50_000
/** By then nobody holds or decides any more what a mark was made for. */
const ORPHAN_MS = 60 * 60 * 1000

/** What a web hook is to be sent. A comment and its mark are in different partitions, so that the mark comes first: where nothing
 * comes of it, it is found to mean nothing. A video is marked once in a slot of time, and its mark goes when the slot is over and the
 * hook has taken all that there is. */
export class HookTable {
  readonly #deps: HookTableDeps
  readonly #videos: string
  readonly #marks: string
  readonly #held: string
  /** Marked in this slot. */
  #slot = 0
  readonly #marked = new Set<VideoId>()

  constructor(deps: HookTableDeps) {
    this.#deps = deps
    this.#videos = `${deps.keyspace}.hook_videos`
    this.#marks = `${deps.keyspace}.hook_marks`
    this.#held = `${deps.keyspace}.hook_held`
  }

  /** To be called where a snapshot may have taken the place of what was known. */
  forget(): void {
    this.#marked.clear()
  }

  /** To be called before something of the video is stored. @param nowMs wall clock, Unix ms @throws CallError: nothing may be stored */
  async mark(videoId: VideoId, nowMs = Date.now()): Promise<void> {
    const slot = hookSlotOf(nowMs)
    if (slot !== this.#slot || this.#marked.size >= MAX_KNOWN) this.#marked.clear()
    this.#slot = slot
    if (this.#marked.has(videoId)) return
    await this.#begin(videoId)
    await this.#write({ cql: `INSERT INTO ${this.#marks} (slot, video_id) VALUES (?, ?)`, params: [slot, videoId] })
    if (slot === this.#slot) this.#marked.add(videoId)
  }

  /** To be called before a comment is held, or decided about. @throws CallError: it may be neither */
  async markHeld(videoId: VideoId, id: HeldId, state: HeldState, nowMs = Date.now()): Promise<void> {
    await this.mark(videoId, nowMs)
    await this.#write({ cql: `INSERT INTO ${this.#held} (video_id, id, state, marked_at) VALUES (?, ?, ?, ?)`, params: [videoId, id, state, nowMs] })
  }

  /** @throws CallError */
  async unsent(videoId: VideoId, limit: number): Promise<Unsent> {
    const [row, marks] = await Promise.all([this.#read({ cql: `SELECT after, taken FROM ${this.#videos} WHERE video_id = ?`, params: [videoId] }), this.#heldMarks(videoId, limit)])
    const held = await Promise.all([...new Set(marks.map(({ id }) => id))].map(id => this.#deps.held(videoId, id)))
    return { after: row[0] && takenIn(row[0]), held: held.filter(each => each !== undefined).filter(each => isNews(each, marks)) }
  }

  /** Marks of slots that are over, and that mean nothing any more, go. @throws CallError */
  async unsentVideos(after: string | undefined, isOurs: (videoId: VideoId) => boolean, nowMs = Date.now()): Promise<UnsentVideos> {
    const from = parsePlace(after)
    const slots = (await this.#read({ cql: `SELECT DISTINCT slot FROM ${this.#marks}`, params: [] })).map(({ slot }) => Number(slot))
    const slot = nextSlot(slots, from.slot)
    if (slot === undefined) return { videoIds: [], after: undefined }
    const rows = await this.#read({ cql: `SELECT video_id FROM ${this.#marks} WHERE slot = ? AND video_id > ? LIMIT ?`, params: [slot, slot === from.slot ? from.videoId : '', VIDEOS] })
    const marked = rows.map(({ video_id }) => video_id as VideoId)
    const ours = marked.filter(isOurs)
    const lastIds = await this.#deps.lastIds(ours)
    const found = new Set<VideoId>()
    await inParallel(ours, async videoId => {
      const lastId = lastIds.get(videoId)
      if (lastId === undefined || (await this.#has(videoId, lastId, nowMs))) found.add(videoId)
      else if (isOver(slot, nowMs)) await this.#write({ cql: `DELETE FROM ${this.#marks} WHERE slot = ? AND video_id = ?`, params: [slot, videoId] })
    })
    const next = marked.length < VIDEOS ? placeIn(slot + 1, '') : placeIn(slot, marked.at(-1)!)
    return { videoIds: ours.filter(videoId => found.has(videoId)), after: next }
  }

  /** The newest of several writes is the one with the highest id, which is its time. @throws CallError */
  async noteTaken({ entries, held }: Taken): Promise<void> {
    const lastIds = await this.#deps.lastIds([...entries.keys()])
    // An id that the video has not is of another generation of the store.
    const known = [...entries].filter(([videoId, id]) => id <= (lastIds.get(videoId) ?? 0))
    if (lastIds.size < entries.size) throw new CallError('no answer in time', false)
    await inParallel(known, ([videoId, id]) => this.#write({ cql: `UPDATE ${this.#videos} USING TIMESTAMP ? SET taken = ? WHERE video_id = ?`, params: [id, id, videoId] }))
    await inParallel(held, async ({ videoId, id, decided }) => {
      await this.#forget(videoId, id, 'held')
      if (decided) await this.#forget(videoId, id, 'decided')
    })
  }

  /** The first mark of a video says where the hook begins: at its newest id, unless another dispatcher has just said so. Whoever
   * stores something has marked it before, and so stores it above that. @throws CallError */
  async #begin(videoId: VideoId): Promise<void> {
    const { cql, limits } = this.#deps
    const [known] = await this.#read({ cql: `SELECT after FROM ${this.#videos} WHERE video_id = ?`, params: [videoId] })
    if (typeof known?.['after'] === 'number') return
    const lastId = (await this.#deps.lastIds([videoId])).get(videoId)
    if (lastId === undefined) throw new CallError('no answer in time', false)
    await cql.writeIf([{ cql: `INSERT INTO ${this.#videos} (video_id, after) VALUES (?, ?) IF NOT EXISTS`, params: [videoId, lastId] }], limits.statementMs)
  }

  /** Whether it has something to be sent. A mark of nothing may be of what is just being held. @throws CallError */
  async #has(videoId: VideoId, lastId: CommentId, nowMs: number): Promise<boolean> {
    const { after, held } = await this.unsent(videoId, 1)
    if (lastId > (after ?? lastId) || held.length > 0) return true
    const marks = await this.#heldMarks(videoId, VIDEOS)
    const orphans = marks.filter(({ at }) => nowMs - at > ORPHAN_MS)
    for (const { id, state } of orphans) await this.#forget(videoId, id, state)
    return marks.length > orphans.length
  }

  async #heldMarks(videoId: VideoId, limit: number): Promise<(HeldMark & { at: number })[]> {
    const rows = await this.#read({ cql: `SELECT id, state, marked_at FROM ${this.#held} WHERE video_id = ? LIMIT ?`, params: [videoId, limit] })
    return rows.map(({ id, state, marked_at }) => ({ id: id as HeldId, state: state as HeldState, at: Number(marked_at) }))
  }

  #forget(videoId: VideoId, id: HeldId, state: HeldState): Promise<void> {
    return this.#write({ cql: `DELETE FROM ${this.#held} WHERE video_id = ? AND id = ? AND state = ?`, params: [videoId, id, state] })
  }

  #read(statement: Statement): Promise<readonly Row[]> {
    return this.#deps.cql.read(statement, this.#deps.limits.statementMs)
  }

  #write(statement: Statement): Promise<void> {
    return this.#deps.cql.write(statement, this.#deps.limits.statementMs)
  }
}

export function takenIn({ after, taken }: Row): Cursor | undefined {
  if (typeof after !== 'number') return undefined
  return Math.max(after, typeof taken === 'number' ? taken : 0)
}

/** A comment that waits is news while its mark says so; one that is decided, whichever mark there is. */
export function isNews({ id, decided }: Held, marks: readonly HeldMark[]): boolean {
  return decided !== undefined || marks.some(mark => mark.id === id && mark.state === 'held')
}
