import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { VideoId } from '../../protocol/comment.js'
import { codeOf, CommitError, isDamage, NewerSchemaError, SqliteDatabase } from './sqlite-database.js'
import type { Outcome, Timed } from './store.js'
import { threadsNow, type LastIds, type Operation, type WorkerFailure, type WorkerReply, type WorkerRequest, type WorkerSettings } from './worker-call.js'

/** One connection to the file, in a thread of its own: a commit, or another process's lock, stops neither the
 * event loop nor, as reads have a thread too, a page. */

/** SQLite waits this long by itself, blocking this thread; from then on it is a timer that tries again. */
const BUSY_MS = 20
const RETRY_MS = 2
// What is wrong with the disk, the file, what is in it or its rights: damage can make SQLite say anything.
const TROUBLE = /^(SQLITE_[A-Z]|E[A-Z]+$|ROW_DAMAGED$)/
const BUSY = /^SQLITE_(BUSY|LOCKED|PROTOCOL)/

const { path, deadlineMs } = workerData as WorkerSettings
const port = parentPort as MessagePort
let database: SqliteDatabase | undefined

port.on('message', ({ n, operation }: WorkerRequest) => attempt(n, operation, performance.now() + deadlineMs))

function attempt(n: number, operation: Operation, deadline: number): void {
  let reply: WorkerReply
  try {
    reply = { n, result: run(operation) }
  } catch (error) {
    const code = codeOf(error instanceof CommitError ? error.cause : error)
    if (BUSY.test(code) && performance.now() < deadline) {
      setTimeout(attempt, RETRY_MS * Math.random(), n, operation, deadline)
      return
    }
    const failure = failureOf(error, code, operation)
    // A connection that has seen the disk fail is not trusted again: the next call opens a new one.
    if (!BUSY.test(code) && failure.kind !== 'damaged') closeDatabase()
    reply = { n, failure }
  }
  port.postMessage(reply)
  if (operation.kind === 'close') port.close()
}

function run(operation: Operation): unknown {
  if (operation.kind === 'close') return closeDatabase()
  database ??= new SqliteDatabase(path, BUSY_MS)
  switch (operation.kind) {
    case 'open':
      return undefined
    case 'append':
      return append(database, operation.drafts, operation.nowMs)
    case 'madeBy':
      return database.madeBy(operation.draft)
    case 'page':
      return database.page(operation.videoId, operation.range)
    case 'lastIds':
      return lastIds(database, operation.videoIds)
  }
}

/** A video whose last id cannot be read leaves the others as they are. */
function lastIds(database: SqliteDatabase, videoIds: readonly VideoId[]): LastIds {
  const ids = new Map<VideoId, number>()
  const damaged = new Map<VideoId, string>()
  for (const videoId of videoIds) {
    try {
      ids.set(videoId, database.lastId(videoId))
    } catch (error) {
      if (!isDamage(error)) throw error
      damaged.set(videoId, codeOf(error))
    }
  }
  return { ids, damaged }
}

/** What nobody waits for any more makes no comment: this process, or the disk, may have stood still since it was asked for. */
function append(database: SqliteDatabase, drafts: readonly Timed[], nowMs: number): Outcome[] {
  const now = threadsNow()
  const outcomes: Outcome[] = drafts.map(() => ({ kind: 'expired' }))
  const inTime = [...drafts.keys()].filter(i => drafts[i]!.deadline === undefined || drafts[i]!.deadline > now)
  if (inTime.length === 0) return outcomes
  database.append(inTime.map(i => drafts[i]!), nowMs).forEach((outcome, i) => (outcomes[inTime[i]!] = outcome))
  return outcomes
}

function closeDatabase(): void {
  const open = database
  database = undefined
  try {
    open?.close()
  } catch {
    // The disk that failed may fail the last checkpoint too; the next to open the file makes up for it.
  }
}

function failureOf(error: unknown, code: string, { kind }: Operation): WorkerFailure {
  // Only a start may end over it: a file that is replaced later is trouble like any other.
  if (error instanceof NewerSchemaError) return { kind: kind === 'open' ? 'fatal' : 'unavailable', reason: error.message, unknown: false }
  if ((kind === 'page' || kind === 'madeBy') && isDamage(error)) return { kind: 'damaged', reason: code, unknown: false }
  if (TROUBLE.test(code)) return { kind: 'unavailable', reason: code, unknown: error instanceof CommitError }
  return { kind: 'fatal', reason: error instanceof Error ? (error.stack ?? error.message) : String(error), unknown: false }
}
