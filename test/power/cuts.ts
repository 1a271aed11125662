import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import Database from 'better-sqlite3'
import type { Test } from 'tap'
import { SqliteDatabase } from '../../dispatcher/store/sqlite-database.js'
import type { Stored } from '../../dispatcher/store/store.js'
import type { VideoId } from '../../protocol/comment.js'
import { MAX_CURSOR } from '../../protocol/id.js'
import { memoryFolder } from '../support/folder.js'
import type { Random } from '../support/random.js'
import { EVERYTHING, NOTHING, some, type Disk, type Entry, type Fate } from './disk.js'
import type { Acknowledged, Recording } from './recording.js'

const ALL = { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 100_000 }

export interface Tried {
  /** Disks that were looked at. */
  readonly disks: number
  /** Those on which an acknowledged comment was missing or something was damaged, and what. */
  readonly wrong: readonly string[]
}

/** Cuts the power after so many entries of the journal each, and looks at what disks of these fates then hold. */
export function tryCuts(t: Test, recording: Recording, entries: readonly Entry[], moments: Iterable<number>, fates: readonly Fate[]): Tried {
  const folder = memoryFolder(t)
  const disk = recording.disk()
  const acknowledged: Acknowledged[] = []
  const wrong: string[] = []
  let disks = 0
  let done = 0
  for (const moment of [...new Set(moments)].sort((a, b) => a - b)) {
    for (; done < moment; done++) {
      const entry = entries[done]!
      disk.happened(entry)
      if (entry.kind === 'acknowledged') acknowledged.push(JSON.parse(entry.data.toString()) as Acknowledged)
    }
    for (const fate of fates) {
      disks++
      const found = wrongWith(laidOut(disk, fate, recording, folder), acknowledged)
      if (found.length > 0) wrong.push(`cut after ${moment} of ${entries.length} entries (${entries[moment - 1]?.kind}), kept ${fate.name}: ${found.slice(0, 3).join('; ')}`)
    }
  }
  return { disks, wrong }
}

/** The worst that a disk may do, the best, and some things between. */
export function fates(random: Random, between: number): Fate[] {
  return [NOTHING, EVERYTHING, ...Array.from({ length: between }, () => some(random))]
}

/** Moments at which something is at stake: somebody has just been told, an fsync is under way or just over, a checkpoint
 * writes the database itself; and any others. @param count of each kind */
export function moments(recording: Recording, entries: readonly Entry[], count: number, random: Random): number[] {
  const database = entries.find(({ kind, data }) => kind === 'create' && data.toString() === recording.path)?.file
  const after = (is: (entry: Entry) => boolean) => entries.flatMap((entry, i) => (is(entry) ? [i + 1] : []))
  const kinds = [
    after(({ kind }) => kind === 'acknowledged'),
    after(({ kind }) => kind === 'begin'),
    after(({ kind }) => kind === 'end'),
    after(({ kind, file }) => kind === 'write' && file === database),
    after(({ kind, file }) => kind === 'write' && file !== database),
  ]
  return kinds.flatMap(of => random.shuffled(of).slice(0, count))
}

/** Lays the files that a disk of that fate holds into a folder. @returns where the database is, if it is there */
export function laidOut(disk: Disk, fate: Fate, recording: Recording, folder: string): string {
  const path = (of: string) => join(folder, relative(recording.folder, of))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const [of, bytes] of disk.left(fate)) {
    mkdirSync(dirname(path(of)), { recursive: true })
    writeFileSync(path(of), bytes)
  }
  return path(recording.path)
}

/** What is wrong with a store that a power cut has left: each comment that was acknowledged has to be there, once, as it
 * was and in a whole chain, its key has to be known, and the next comment has to follow. It is opened as by a dispatcher. */
function wrongWith(path: string, acknowledged: readonly Acknowledged[]): string[] {
  let store: SqliteDatabase
  try {
    store = new SqliteDatabase(path, 0)
  } catch (error) {
    return [`it cannot be opened: ${String(error)}`]
  }
  try {
    const second = new Database(path)
    const check = second.pragma('integrity_check', { simple: true }) as string
    second.close()
    const videoIds = [...new Set(acknowledged.map(({ draft }) => draft.videoId))]
    const chains = videoIds.map(videoId => store.page(videoId, ALL))
    const next = store.append(videoIds.map(videoId => ({ videoId, authorId: 'ann', content: 'afterwards', key: 'afterwards' })), Date.now())
    return [
      ...(check === 'ok' ? [] : [check]),
      ...videoIds.flatMap((videoId, i) => [...wrongIn(videoId, chains[i]!, acknowledged.filter(({ draft }) => draft.videoId === videoId))]),
      ...acknowledged.filter(({ draft, comment }) => !isSame(store.madeBy(draft), comment)).map(({ comment }) => `${comment.videoId}: the key of ${comment.id} is unknown`),
      ...next.flatMap((outcome, i) => (outcome.kind === 'created' && outcome.prev === (chains[i]!.at(-1)?.comment.id ?? 0) ? [] : [`${videoIds[i]}: the next comment does not follow`])),
    ]
  } catch (error) {
    return [`it cannot be used: ${String(error)}`]
  } finally {
    store.close()
  }
}

function* wrongIn(videoId: VideoId, chain: readonly Stored[], acknowledged: readonly Acknowledged[]): Generator<string> {
  for (const [i, { comment, prev }] of chain.entries()) {
    if (prev !== (chain[i - 1]?.comment.id ?? 0)) yield `${videoId}: ${comment.id} does not follow the one before it`
  }
  const stored = new Map(chain.map(({ comment }) => [comment.id, comment]))
  for (const { comment } of acknowledged) {
    const found = stored.get(comment.id)
    if (!found) yield `${videoId}: ${comment.id} was acknowledged and is gone`
    else if (!isSame(found, comment)) yield `${videoId}: ${comment.id} is not what was acknowledged`
  }
}

function isSame(a: object | undefined, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
