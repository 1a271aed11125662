import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { SqliteDatabase } from '../../../dispatcher/store/sqlite-database.js'
import { NewerSchemaError } from '../../../dispatcher/store/sqlite-schema.js'
import { SqliteStore } from '../../../dispatcher/store/sqlite.js'
import type { Outcome, Range, Stored } from '../../../dispatcher/store/store.js'
import type { Draft } from '../../../protocol/comment.js'
import { MAX_CURSOR } from '../../../protocol/id.js'
import { memoryFolder } from '../../support/folder.js'
import { Random } from '../../support/random.js'
import { DAMAGES, flipped, killed, laidOut, PAGE_BYTES, type Files } from './damaged-file.js'

const LATER = Date.UTC(2026, 6, 1)
export const ALL: Range = { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 1_000 }

/** What a damaged store did. */
export interface Seen {
  /** What it must never do. */
  readonly wrong: readonly string[]
  /** Comments that were read as they had been stored. */
  readonly right: number
  /** Comments that were read otherwise than they had been stored, in words or id: SQLite has no checksums in its pages. */
  readonly altered: number
  /** Calls that were answered with an error. */
  readonly failed: number
}

/** A store's calls, whichever way. */
interface Calls {
  page(videoId: string, range: Range): Stored[] | Promise<Stored[]>
  append(drafts: readonly Draft[], nowMs: number): Outcome[] | Promise<Outcome[]>
  close(): void | Promise<void>
}

/** Damages the database or its log and uses the store as a dispatcher does. Whatever it answers, it must not be what no
 * store may say: ids that do not ascend or come twice, a chain that leads back, a new id that is not above all that
 * were stored and read; and every error must be one that becomes STORE_UNAVAILABLE, never one that ends the process.
 * @param asStore through the store's threads, which takes longer */
export async function tryDamage(files: Files, folder: string, seed: number, asStore: boolean): Promise<Seen> {
  const random = new Random(seed)
  const damage = DAMAGES[seed % DAMAGES.length]!
  const where = random.pick(['database', 'log', 'database without a log'])
  const database = where === 'log' ? files.database : damage.apply(files.database, random)
  const log = where === 'log' ? damage.apply(files.log, random) : where === 'database' ? files.log : Buffer.alloc(0)
  const path = laidOut(folder, { database, log })

  const wrong: string[] = []
  const say = (what: string) => wrong.push(`seed ${seed}, ${damage.name} in the ${where}${asStore ? ', through its threads' : ''}: ${what}`)
  let [right, altered, failed] = [0, 0, 0]
  const attempt = async <T>(call: () => T | Promise<T>): Promise<T | undefined> => {
    try {
      return await call()
    } catch (error) {
      failed++
      if (!(asStore ? isUnavailable(error) : isTold(error))) say(`an error that ends the process: ${String((error as Error).stack)}`)
      return undefined
    }
  }
  const store = await attempt<Calls>(() => open(path, asStore))
  if (!store) return { wrong, right, altered, failed }

  const newest = new Map<string, number>()
  const look = async () => {
    for (const [videoId, stored] of files.stored) {
      const known = new Map(stored.map(each => [each.comment.id, each]))
      for (const newestFirst of [false, true]) {
        const page = (await attempt(() => store.page(videoId, { ...ALL, newestFirst }))) ?? []
        const ascending = newestFirst ? page.toReversed() : page
        for (const [i, { comment, prev }] of ascending.entries()) {
          if (comment.id <= (ascending[i - 1]?.comment.id ?? 0)) say(`${videoId} goes from ${ascending[i - 1]?.comment.id} to ${comment.id}`)
          if (prev >= comment.id) say(`${videoId}: ${comment.id} follows ${prev}`)
          if (comment.videoId !== videoId || !Number.isFinite(comment.createdAt)) say(`no comment of ${videoId}: ${JSON.stringify(comment)}`)
          if (JSON.stringify(known.get(comment.id)) === JSON.stringify({ comment, prev })) right++
          else if (comment.authorId !== 'new') altered++
          if (known.has(comment.id)) newest.set(videoId, Math.max(newest.get(videoId) ?? 0, comment.id))
        }
      }
    }
  }
  await look()
  const drafts = [...files.stored.keys()].map((videoId): Draft => ({ videoId, authorId: 'new', content: 'new', key: 'new' }))
  for (const [i, outcome] of ((await attempt(() => store.append(drafts, LATER))) ?? []).entries()) {
    if (outcome.kind === 'created' && outcome.comment.id <= (newest.get(drafts[i]!.videoId) ?? 0)) say(`the next id, ${outcome.comment.id}, is not above ${newest.get(drafts[i]!.videoId)}, which was read`)
    if (outcome.kind === 'failed') failed++
  }
  await look()
  await attempt(() => store.append(files.drafts.slice(0, 50), LATER))
  await attempt(() => store.close())
  return { wrong, right, altered, failed }
}

/** A store of which a page of one video is damaged anew at each call, by the seed. */
export function oneVideoDamage(t: Test): (seed: number) => Pick<Seen, 'wrong' | 'failed'> {
  const files = killed(t)
  const folder = join(memoryFolder(t), 'store')
  const path = laidOut(folder, files)
  new SqliteDatabase(path, 0).close()
  const database = readFileSync(path)
  return seed => tryOneVideo(files, database, folder, seed)
}

/** Damages a page that has comments of one video alone: those of all others are to be as ever, and to go on.
 * @param database without a log */
function tryOneVideo(files: Files, database: Buffer, folder: string, seed: number): Pick<Seen, 'wrong' | 'failed'> {
  const random = new Random(seed)
  const [at, damaged] = random.pick(pagesOfOne(database))
  const path = laidOut(folder, { database: flipped(database, random, random.pick([1, 4, 32, 500]), at, at + random.pick([16, 64, PAGE_BYTES])), log: Buffer.alloc(0) })
  const store = new SqliteDatabase(path, 0)
  const wrong: string[] = []
  let failed = 0
  const look = (when: string, mayFail: boolean) => {
    for (const [videoId, stored] of files.stored) {
      try {
        const page = store.page(videoId, ALL).filter(({ comment }) => comment.authorId !== 'new')
        if (videoId !== damaged && JSON.stringify(page) !== JSON.stringify(stored)) wrong.push(`seed ${seed}, ${damaged} damaged: ${videoId} is not what it was, ${when}`)
      } catch (error) {
        if (videoId === damaged) failed++
        else if (!mayFail) wrong.push(`seed ${seed}, ${damaged} damaged: ${videoId} cannot be read ${when}: ${String(error)}`)
      }
    }
  }
  look('before a post', false)
  const videoIds = [...files.stored.keys()]
  const outcomes = store.append(videoIds.map(videoId => ({ videoId, authorId: 'new', content: 'new', key: 'new' })), LATER)
  for (const [i, outcome] of outcomes.entries()) {
    const isStored = outcome.kind === 'created' && outcome.prev === files.stored.get(videoIds[i]!)!.at(-1)!.comment.id
    if (videoIds[i] !== damaged && !isStored) wrong.push(`seed ${seed}, ${damaged} damaged: a post to ${videoIds[i]} is ${JSON.stringify(outcome)}`)
  }
  // A post to a damaged page may move what is on it to the page beside it, of another video, which may be an error then.
  look('after it', true)
  store.close()
  return { wrong, failed }
}

/** Where the leaves are that hold comments of one video, and which. */
function pagesOfOne(database: Buffer): [number, string][] {
  const LEAF = 0x0a
  const pages: [number, string][] = []
  for (let at = 0; at < database.length; at += PAGE_BYTES) {
    const text = database.subarray(at, at + PAGE_BYTES).toString('latin1')
    const [videoId, ...others] = new Set(text.match(/video-\d/g))
    if (database[at] === LEAF && videoId !== undefined && others.length === 0 && !text.includes('key-')) pages.push([at, videoId])
  }
  return pages
}

async function open(path: string, asStore: boolean): Promise<Calls> {
  if (!asStore) return new SqliteDatabase(path, 0)
  const store = new SqliteStore(path)
  try {
    await store.open()
  } catch (error) {
    await store.close()
    throw error
  }
  return store
}

/** What a store's thread makes STORE_UNAVAILABLE of; a later version's file ends the start, with words for an operator. */
function isTold(error: unknown): boolean {
  if (error instanceof NewerSchemaError) return true
  const { code, cause } = error as { code?: string; cause?: { code?: string } }
  return /^(SQLITE_[A-Z]|E[A-Z]+$|ROW_DAMAGED$)/.test(code ?? cause?.code ?? '')
}

function isUnavailable(error: unknown): boolean {
  return (error as { code?: string }).code === 'STORE_UNAVAILABLE' || /has schema version/.test((error as Error).message)
}
