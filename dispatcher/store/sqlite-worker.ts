import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import type { Draft, VideoId } from '../../protocol/comment.js'
import { CommitError, NewerSchemaError, SqliteDatabase } from './sqlite-database.js'
import type { Range } from './store.js'

/** One connection to the file, in a thread of its own: a commit, or another process's lock, stops neither the
 * event loop nor, as reads have a thread too, a page. */

export interface WorkerSettings {
  readonly path: string
  /** How long a call tries to get past another connection's lock. */
  readonly deadlineMs: number
}

export type Operation =
  | { readonly kind: 'open' }
  | { readonly kind: 'append'; readonly drafts: readonly Draft[]; readonly nowMs: number }
  | { readonly kind: 'madeBy'; readonly draft: Draft }
  | { readonly kind: 'page'; readonly videoId: VideoId; readonly range: Range }
  | { readonly kind: 'lastIds'; readonly videoIds: readonly VideoId[] }
  | { readonly kind: 'close' }

export type WorkerRequest = { readonly n: number; readonly operation: Operation }

/** `unavailable`: the store's trouble, it may pass. `fatal`: trying again is of no use. */
export type WorkerFailure = { readonly kind: 'unavailable' | 'fatal'; readonly reason: string; readonly unknown: boolean }
export type WorkerReply = { readonly n: number } & ({ readonly result: unknown } | { readonly failure: WorkerFailure })

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
      return database.append(operation.drafts, operation.nowMs)
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
