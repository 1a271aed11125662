import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { VideoId } from '../../protocol/comment.js'
import { codeOf, isDamage } from './damage.js'
import { FileMovedError } from './open-files.js'
import { CommitError, SqliteDatabase } from './sqlite-database.js'
import { NewerSchemaError } from './sqlite-schema.js'
import { tokenOf } from './store-file.js'
import type { Outcome, Timed } from './store.js'
import { threadsNow, type Appended, type CommentOperation, type FileOperation, type OfEach, type Operation, type WorkerFailure, type WorkerReply, type WorkerRequest, type WorkerSettings } from './worker-call.js'

/** One connection to the file, in a thread of its own: a commit, or another process's lock, stops neither the
 * event loop nor, as reads have a thread too, a page. */

/** SQLite waits this long by itself, blocking this thread; from then on it is a timer that tries again. */
const BUSY_MS = 20
const RETRY_MS = 2
/** After somebody removed the log, every connection must have closed it before one of them makes another: each looks once a
 * second. */
const LET_GO_MS = 1_500
// Trouble with the disk, the file, its content or its rights: damage can make SQLite say anything.
const TROUBLE = /^(SQLITE_[A-Z]|E[A-Z]+$|ROW_DAMAGED$|(FILE|LOG)_(MISSING|MOVED)$|GENERATION_CHANGED$|NOT_ACCEPTED$)/
const BUSY = /^SQLITE_(BUSY|LOCKED|PROTOCOL)/

/** The file that is open is not the one that the call is for. */
class NotAcceptedError extends Error {
  readonly code = 'NOT_ACCEPTED'
}

const { path, deadlineMs, mayCreate, isHooked } = workerData as WorkerSettings
const port = parentPort as MessagePort
let database: SqliteDatabase | undefined
/** The token of what is open. */
let token: string | undefined
/** A file that was removed or moved while it was open: as long as we keep it open, an operator can save it. */
let lost: SqliteDatabase | undefined
let openAt = -Infinity

port.on('message', ({ n, operation, file }: WorkerRequest) => attempt(n, operation, file, performance.now() + deadlineMs))

function attempt(n: number, operation: Operation, file: string | undefined, deadline: number): void {
  let reply: WorkerReply
  try {
    reply = { n, result: run(operation, file) }
  } catch (error) {
    const cause = error instanceof CommitError ? error.cause : error
    const code = codeOf(cause)
    if (BUSY.test(code) && performance.now() < deadline) {
      setTimeout(attempt, RETRY_MS * Math.random(), n, operation, file, deadline)
      return
    }
    const failure = failureOf(error, code, operation)
    if (cause instanceof FileMovedError) letGo(cause)
    // A connection that has seen the disk fail is not trusted again: the next call opens a new one.
    else if (!BUSY.test(code) && failure.kind !== 'damaged' && !(cause instanceof NotAcceptedError)) closeDatabase()
    reply = { n, failure }
  }
  port.postMessage(reply)
  if (operation.kind === 'close') port.close()
}

function run(operation: Operation, file: string | undefined): unknown {
  if (operation.kind === 'close') {
    closeDatabase()
    return closeLost()
  }
  const open = opened(operation.kind === 'create')
  if (!isOfComments(operation)) return runFile(open, operation.kind)
  if (file !== undefined && file !== token) throw new NotAcceptedError('another file than the one that was accepted')
  const result = runComments(open, operation)
  closeLost()
  return result
}

const OF_COMMENTS: ReadonlySet<Operation['kind']> = new Set<CommentOperation['kind']>(['append', 'madeBy', 'page', 'lastIds', 'state', 'truncateLog', 'lastPostedAt', 'commentsBy', 'heldIn', 'held', 'refuseHeld', 'eraseHeld', 'unsent', 'unsentVideos', 'noteTaken'])

/** Reads whose damage is that of their video. */
const OF_ONE_VIDEO: ReadonlySet<Operation['kind']> = new Set<CommentOperation['kind']>(['page', 'madeBy', 'lastPostedAt', 'heldIn', 'held', 'unsent'])

function isOfComments(operation: Operation): operation is CommentOperation {
  return OF_COMMENTS.has(operation.kind)
}

function opened(create: boolean): SqliteDatabase {
  if (!database) {
    if (performance.now() < openAt) throw new FileMovedError('LOG_MOVED', path)
    database = new SqliteDatabase(path, BUSY_MS, mayCreate || create, isHooked)
    token = tokenOf(database.file())
  }
  return database
}

/** An answer counts only if the file is still the one that was opened. */
function runComments(database: SqliteDatabase, operation: CommentOperation): unknown {
  if (operation.kind === 'append') return append(database, operation.drafts, operation.nowMs)
  if (operation.kind === 'truncateLog') return database.truncateLog()
  if (operation.kind === 'refuseHeld') return database.refuseHeld(operation.videoId, operation.id, operation.reason, operation.nowMs)
  if (operation.kind === 'eraseHeld') return database.eraseHeld(operation.authorId)
  if (operation.kind === 'noteTaken') return database.noteTaken(operation.taken)
  const result = read(database, operation)
  database.check()
  return result
}

function read(database: SqliteDatabase, operation: Exclude<CommentOperation, { kind: 'append' | 'truncateLog' | 'refuseHeld' | 'eraseHeld' | 'noteTaken' }>): unknown {
  switch (operation.kind) {
    case 'page':
      return database.page(operation.videoId, operation.range)
    case 'madeBy':
      return database.madeBy(operation.draft)
    case 'lastIds':
      return ofEach(operation.videoIds, videoId => database.lastId(videoId))
    case 'state':
      return ofEach(operation.videoIds, videoId => database.state(videoId, operation.nowMs))
    case 'lastPostedAt':
      return database.lastPostedAt(operation.videoId, operation.authorId)
    case 'commentsBy':
      return database.commentsBy(operation.authorId, operation.after)
    case 'heldIn':
      return database.heldIn(operation.videoId, operation.limit)
    case 'held':
      return database.held(operation.videoId, operation.id)
    case 'unsent':
      return database.unsent(operation.videoId, operation.limit)
    case 'unsentVideos':
      return database.unsentVideos(operation.after)
  }
}

function runFile(database: SqliteDatabase, kind: FileOperation['kind']): unknown {
  switch (kind) {
    case 'open':
      return emptyLog(database)
    case 'create':
    case 'close':
      return undefined
    case 'look':
      return database.file()
    case 'accept':
      return database.accept()
    case 'renew':
      database.renew()
      return closeDatabase()
    case 'probe':
      return database.probe()
    case 'check':
      return database.quickCheck()
  }
}

/** The log may still hold what a process deleted just before it died. If others use the file, they empty its log in time. */
function emptyLog(database: SqliteDatabase): void {
  try {
    database.truncateLog()
  } catch {
    // Whatever keeps it from that, the next call meets it too.
  }
}

/** A video that cannot be read leaves the others as they are. */
function ofEach<T>(videoIds: readonly VideoId[], read: (videoId: VideoId) => T): OfEach<T> {
  const found = new Map<VideoId, T>()
  const damaged = new Map<VideoId, string>()
  for (const videoId of videoIds) {
    try {
      found.set(videoId, read(videoId))
    } catch (error) {
      if (!isDamage(error)) throw error
      damaged.set(videoId, codeOf(error))
    }
  }
  return { found, damaged }
}

/** Stores nothing whose deadline has passed: this process, or the disk, may have stood still since the call was made. */
function append(database: SqliteDatabase, drafts: readonly Timed[], nowMs: number): Appended {
  const now = threadsNow()
  const outcomes: Outcome[] = drafts.map(() => ({ kind: 'expired' }))
  const inTime = [...drafts.keys()].filter(i => drafts[i]!.deadline === undefined || drafts[i]!.deadline > now)
  if (inTime.length === 0) return { outcomes, stored: 0 }
  database.append(inTime.map(i => drafts[i]!), nowMs).forEach((outcome, i) => (outcomes[inTime[i]!] = outcome))
  return { outcomes, stored: database.storedByLast }
}

/** Gives up a file, or its log, that is no longer at its path. */
function letGo({ code }: FileMovedError): void {
  if (!database) return
  if (code === 'FILE_MOVED') {
    if (lost) return closeDatabase()
    lost = database
    database = undefined
    return
  }
  try {
    if (!database.rescueLog()) return // the next call tries again
  } catch {
    // Then what was only in the log is lost, unless another connection saves it.
  }
  closeDatabase()
  openAt = performance.now() + LET_GO_MS
}

function closeDatabase(): void {
  const open = database
  database = undefined
  close(open)
}

function closeLost(): void {
  const open = lost
  lost = undefined
  close(open)
}

function close(open: SqliteDatabase | undefined): void {
  try {
    open?.close()
  } catch {
    // The disk that failed may fail the last checkpoint too; the next to open the file makes up for it.
  }
}

function failureOf(error: unknown, code: string, { kind }: Operation): WorkerFailure {
  // Only a start may end over it: a file that is replaced later is trouble like any other.
  if (error instanceof NewerSchemaError) return { kind: kind === 'open' ? 'fatal' : 'unavailable', reason: error.message, unknown: false }
  if (OF_ONE_VIDEO.has(kind) && isDamage(error)) return { kind: 'damaged', reason: code, unknown: false }
  if (TROUBLE.test(code)) return { kind: 'unavailable', reason: code, unknown: error instanceof CommitError }
  return { kind: 'fatal', reason: error instanceof Error ? (error.stack ?? error.message) : String(error), unknown: false }
}
