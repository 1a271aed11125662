import { StoreUnavailableError, type AtOnce, type Found, type Held, type Outcome, type Range, type Store, type Stored, type StoredState, type Taken, type Timed, type Unsent, type UnsentVideos } from '../../dispatcher/store/store.js'
import type { Comment, VideoId } from '../../protocol/comment.js'
import type { HeldComment, HeldId } from '../../protocol/held.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import { MemoryStore } from '../dispatcher/memory-store.js'
import type { Process } from './process.js'
import type { World } from './world.js'

export interface DiskFaults {
  /** No call gets through. */
  away: boolean
  /** Times as long as usual. */
  slow: number
  /** Share of commits that land after their caller gave up. */
  late: number
  /** Share of commits that land and whose answer is lost. */
  lost: number
}

/** `serial`: one atomic commit of a whole batch at a time, as SQLite. `per-video`: each video's part is a
 * conditional batch of its own, as Cassandra has it: parts land apart, and one that loses a race is tried again. */
export type DiskKind = 'serial' | 'per-video'

const UNKNOWN_MS = 1_000
const LOCKED_MS = 1_000

/** An entry of some video, since virtual ms `at`. */
export interface Landed {
  readonly id: CommentId
  readonly at: number
  readonly draft: Timed
}

/** The comments of a whole cluster, behind a store for each dispatcher. */
export class Disk {
  readonly faults: DiskFaults = { away: false, slow: 1, late: 0, lost: 0 }
  /** Its deadlines are judged by the stores, at 0. */
  readonly model = new MemoryStore(() => 0)
  readonly kind: DiskKind
  readonly world: World
  /** Told who stored something new. */
  onStored: (by: string, videoId: VideoId) => void = () => {}
  /** Told of each new entry. */
  onLanded: (landed: Landed) => void = () => {}
  #freeAt = 0
  /** Holds the one lock of a serial disk while it is frozen. */
  #holder: Process | undefined

  constructor(world: World, kind: DiskKind) {
    this.world = world
    this.kind = kind
  }

  /** It has been frozen in the middle of a commit. */
  lock(process: Process): void {
    if (this.kind === 'serial') this.#holder ??= process
  }

  unlock(process: Process): void {
    if (this.#holder === process) this.#holder = undefined
  }

  isLocked(by: Process): boolean {
    return this.#holder !== undefined && this.#holder !== by
  }

  store(process: Process): Store {
    return new DiskStore(this, process)
  }

  /** When a commit that is asked for now lands: one after the other where the disk is serial. */
  landsIn(): number {
    const { world, faults, kind } = this
    const takesMs = world.random.between(0.5, 4) * faults.slow
    if (kind === 'per-video') return takesMs
    this.#freeAt = Math.max(world.now, this.#freeAt) + takesMs
    return this.#freeAt - world.now
  }

  async commit(by: string, drafts: readonly Timed[], nowMs: number): Promise<Outcome[]> {
    const outcomes = await this.model.append(drafts, nowMs)
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.kind !== 'created') continue
      const { videoId, id } = outcome.comment
      this.onLanded({ id, at: this.world.now, draft: drafts[i]! })
      this.world.mix(id)
      this.onStored(by, videoId)
      this.world.tell?.(`${by} stored ${videoId} ${outcome.prev} → ${id} ${JSON.stringify(outcome.act ?? outcome.comment.content)}`)
    }
    return outcomes
  }
}

class DiskStore implements Store {
  readonly generation = undefined
  readonly atOnce: AtOnce | undefined
  readonly #disk: Disk
  readonly #process: Process

  constructor(disk: Disk, process: Process) {
    this.#disk = disk
    this.#process = process
    this.atOnce = disk.kind === 'per-video' ? { appends: 8, reads: 4 } : undefined
  }

  append(drafts: readonly Timed[], nowMs: number): Promise<Outcome[]> {
    const { kind } = this.#disk
    if (kind === 'serial') return this.#part(drafts, nowMs)
    const parts = new Map<VideoId, number[]>()
    drafts.forEach(({ videoId }, i) => parts.set(videoId, [...(parts.get(videoId) ?? []), i]))
    const outcomes: Outcome[] = []
    const work = Array.from(parts.values(), async indexes => {
      const part = await this.#part(indexes.map(i => drafts[i]!), nowMs)
      indexes.forEach((index, i) => (outcomes[index] = part[i]!))
    })
    return Promise.all(work).then(() => outcomes)
  }

  madeBy(draft: Timed): Promise<Comment | undefined> {
    return this.#read(() => this.#disk.model.madeBy(draft))
  }

  page(videoId: VideoId, range: Range): Promise<Stored[]> {
    return this.#read(() => this.#disk.model.page(videoId, range))
  }

  lastIds(videoIds: readonly VideoId[]): Promise<ReadonlyMap<VideoId, Cursor>> {
    return this.#read(() => this.#disk.model.lastIds(videoIds))
  }

  state(videoIds: readonly VideoId[], nowMs: number): Promise<ReadonlyMap<VideoId, StoredState>> {
    return this.#read(() => this.#disk.model.state(videoIds, nowMs))
  }

  erase(videoId: VideoId, target: CommentId): Promise<void> {
    return this.#read(() => this.#disk.model.erase(videoId, target))
  }

  lastPostedAt(videoId: VideoId, authorId: string): Promise<number | undefined> {
    return this.#read(() => this.#disk.model.lastPostedAt(videoId, authorId))
  }

  commentsBy(authorId: string, after: string | undefined): Promise<Found> {
    return this.#read(() => this.#disk.model.commentsBy(authorId, after))
  }

  heldIn(videoId: VideoId, limit: number): Promise<HeldComment[]> {
    return this.#read(() => this.#disk.model.heldIn(videoId, limit))
  }

  held(videoId: VideoId, id: HeldId): Promise<Held | undefined> {
    return this.#read(() => this.#disk.model.held(videoId, id))
  }

  refuseHeld(videoId: VideoId, id: HeldId, reason: string | undefined): Promise<Held | undefined> {
    return this.#read(() => this.#disk.model.refuseHeld(videoId, id, reason))
  }

  eraseHeld(authorId: string): Promise<number> {
    return this.#read(() => this.#disk.model.eraseHeld(authorId))
  }

  unsent(videoId: VideoId, limit: number): Promise<Unsent> {
    return this.#read(() => this.#disk.model.unsent(videoId, limit))
  }

  unsentVideos(after: string | undefined, isOurs: (videoId: VideoId) => boolean): Promise<UnsentVideos> {
    return this.#read(() => this.#disk.model.unsentVideos(after, isOurs))
  }

  noteTaken(taken: Taken): Promise<void> {
    return this.#read(() => this.#disk.model.noteTaken(taken))
  }

  async close(): Promise<void> {}

  #part(drafts: readonly Timed[], nowMs: number): Promise<Outcome[]> {
    const { world, faults, kind } = this.#disk
    const { random } = world
    return new Promise((resolve, reject) => {
      const fail = (ms: number, unknown: boolean) => this.#answer(ms, () => reject(new StoreUnavailableError('as the simulation wishes', { unknown })))
      if (faults.away) return fail(random.between(2, 300), random.chance(0.5))
      // As SQLite: it is tried again for a second, and then nothing has happened.
      if (this.#disk.isLocked(this.#process)) return fail(LOCKED_MS, false)
      const late = random.chance(faults.late)
      const lost = random.chance(faults.lost)
      if (late || lost) fail(random.between(20, UNKNOWN_MS), true)
      const retries = kind === 'per-video' && random.chance(0.1) ? random.between(1, 20) : 0
      world.after(this.#disk.landsIn() + retries + (late ? random.between(200, 6_000) : 0), () => {
        // An embedded store dies and freezes with its process; another's servers do not.
        const land = () => void this.#disk.commit(this.#process.name, drafts.map(draft => this.#judged(draft, late)), nowMs).then(outcomes => {
          if (!late && !lost) this.#answer(random.between(0.1, 1), () => resolve(outcomes))
        })
        if (kind === 'per-video') land()
        else this.#process.run(land)
      })
    })
  }

  /** A commit that lands late began in time. */
  #judged(draft: Timed, late: boolean): Timed {
    const expired = !late && draft.deadline !== undefined && draft.deadline <= this.#process.clock.now()
    return { ...draft, deadline: expired ? 0 : undefined }
  }

  #read<T>(read: () => Promise<T>): Promise<T> {
    const { world, faults } = this.#disk
    const { random } = world
    const takesMs = random.between(0.2, 2) * faults.slow
    return new Promise((resolve, reject) => {
      if (faults.away) return this.#answer(random.between(2, 300), () => reject(new StoreUnavailableError('as the simulation wishes')))
      world.after(takesMs / 2, () => void read().then(found => this.#answer(takesMs / 2, () => resolve(found))))
    })
  }

  #answer(ms: number, say: () => void): void {
    this.#disk.world.after(ms, () => this.#process.run(say))
  }
}
