import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { VideoId } from '../../protocol/comment.js'
import { CommitError, NewerSchemaError, SqliteDatabase } from './sqlite-database.js'
import type { Outcome, Timed } from './store.js'
import { threadsNow, type Operation, type WorkerFailure, type WorkerReply, type WorkerRequest, type WorkerSettings } from './worker-call.js'

/** One connection to the file, in a thread of its own: a commit, or another process's lock, stops neither the
 * event loop nor, as reads have a thread too, a page. */

/** SQLite waits this long by itself, blocking this thread; from then on it is a timer that tries again. */
const BUSY_MS = 20
const RETRY_MS = 2
// What is wrong with the disk, the file or its rights, and not with our SQL.
const TROUBLE = /^(SQLITE_(BUSY|LOCKED|PROTOCOL|FULL|READONLY|IOERR|CANTOPEN|CORRUPT|NOTADB|PERM|NOMEM)|E[A-Z]+$)/
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
    const code = codeOf(error)
    if (BUSY.test(code) && performance.now() < deadline) {
      setTimeout(attempt, RETRY_MS * Math.random(), n, operation, deadline)
      return
    }
    // A connection that has seen the disk fail is not trusted again: the next call opens a new one.
    if (!BUSY.test(code)) closeDatabase()
    reply = { n, failure: failureOf(error, code) }
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
    case 'lastIds': {
      const last = new Map<VideoId, number>()
      for (const videoId of operation.videoIds) last.set(videoId, database.lastId(videoId))
      return last
    }
  }
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

/** The failure's code, also of an error that COMMIT gave. */
function codeOf(error: unknown): string {
  const { code } = (error instanceof CommitError ? error.cause : error) as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

function failureOf(error: unknown, code: string): WorkerFailure {
  if (error instanceof NewerSchemaError) return { kind: 'fatal', reason: error.message, unknown: false }
  if (TROUBLE.test(code)) return { kind: 'unavailable', reason: code, unknown: error instanceof CommitError }
  return { kind: 'fatal', reason: error instanceof Error ? (error.stack ?? error.message) : String(error), unknown: false }
}
