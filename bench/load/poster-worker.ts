import { Buffer } from 'node:buffer'
import { parentPort, workerData } from 'node:worker_threads'
import { Histogram } from '../measure/histogram.js'
import { author, content } from './comment-text.js'
import { PostConnection } from './post-connection.js'
import { dueAt, endsAt, wallMs, type Schedule } from './schedule.js'
import { head, videoId, type PostTarget } from './target.js'

/** A thread that posts by a schedule. See Poster. */

export interface PosterWorkerData {
  readonly targets: readonly PostTarget[]
  readonly schedule: Schedule
  readonly connections: number
  readonly eventBytes: number
  /** Not by the schedule: each connection posts again as soon as it is answered, until that time; what was posted
   * before `measuredFrom` warms up. Unix ms. */
  readonly flatOut?: { readonly measuredFrom: number; readonly until: number }
  /** Nobody reads the comments: a few thousand are made beforehand and posted in turn, so that the client costs little. */
  readonly unread?: boolean
  /** A server that is so far behind is not waited for: posts that it has not answered that long after the last was due
   * count as refused, status 0. */
  readonly patienceMs: number
  /** Post due to answered, of those after the warm-up. */
  readonly latency: SharedArrayBuffer
}

export interface Posted {
  /** 1 for each post that was answered with success, by its number. */
  readonly accepted: Uint8Array
  /** How many posts were answered with what other status; 0: the connection broke. */
  readonly refused: Readonly<Record<number, number>>
  /** Posts answered with success after the warm-up, and from when to when, Unix ms. */
  readonly measured: number
  readonly lastAt: number
}

const MAX_TICK_MS = 20
/** Before a connection is opened in place of one that broke. */
const AGAIN_MS = 50
/** A connection that has been idle for longer is not used again, as by any HTTP client: its server may be closing it, and a post
 * that meets that has no answer. */
const KEPT_MS = 4_000

/** Comments that are made beforehand, where nobody reads them; of each video equally many. */
const MADE = 5_000

const { targets, schedule, connections, eventBytes, flatOut, unread, patienceMs, latency } = workerData as PosterWorkerData
const port = parentPort!
const histogram = new Histogram(new Float64Array(latency))
/** The longest idle first. */
const idle: { readonly connection: PostConnection; readonly since: number }[] = []
const all = new Set<PostConnection>()
const refused: Record<number, number> = {}
let accepted = new Uint8Array(flatOut ? 1 << 20 : schedule.count)
let measured = 0
let lastAt = 0
let next = 0
let inFlight = 0
let opened = 0
/** Connections that were closed: one is opened again when a post needs it. */
let closed = 0

const made = unread ? Array.from({ length: Math.ceil(MADE / schedule.videos) * schedule.videos }, (_, number) => request(number)) : []
while (opened < connections) idle.push({ connection: open(), since: wallMs() })
tick()

function open(): PostConnection {
  const target = targets[opened++ % targets.length]!
  const connection = new PostConnection(target, orderly => {
    if (!all.delete(connection)) return
    const at = idle.findIndex(each => each.connection === connection)
    if (at >= 0) idle.splice(at, 1)
    if (orderly) closed++
    else setTimeout(() => closed++, AGAIN_MS)
  })
  all.add(connection)
  return connection
}

/** @returns undefined while each connection has a post under way */
function free(): PostConnection | undefined {
  const since = wallMs() - KEPT_MS
  while (idle.length > 0 && idle[0]!.since < since) {
    const { connection } = idle.shift()!
    all.delete(connection)
    connection.close()
    closed++
  }
  if (idle.length > 0 || closed === 0) return idle.pop()?.connection
  closed--
  return open()
}

/** Sends the posts that are due, as far as there are connections for them. */
function send(now: number): void {
  while (flatOut ? now >= schedule.startAt && now < flatOut.until : next < schedule.count && dueAt(schedule, next) <= now) {
    const connection = free()
    if (!connection) return
    post(connection, flatOut ? now : dueAt(schedule, next))
  }
}

function tick(): void {
  const now = wallMs()
  send(now)
  if (now > (flatOut?.until ?? endsAt(schedule)) + patienceMs) giveUp()
  if (isDone()) {
    for (const connection of all) connection.close()
    const result: Posted = { accepted: accepted.slice(0, next), refused, measured, lastAt }
    port.postMessage(result)
    return port.close()
  }
  const due = flatOut ? schedule.startAt : next < schedule.count ? dueAt(schedule, next) : Infinity
  // What is overdue waits for a connection, and has the first one that is answered.
  const waitMs = flatOut && now >= due ? MAX_TICK_MS : due - now
  setTimeout(tick, Math.min(MAX_TICK_MS, Math.max(1, waitMs)))
}

function giveUp(): void {
  if (!flatOut && next < schedule.count) {
    refused[0] = (refused[0] ?? 0) + schedule.count - next
    next = schedule.count
  }
  for (const connection of all) connection.close()
}

function isDone(): boolean {
  return inFlight === 0 && (flatOut ? wallMs() >= flatOut.until : next >= schedule.count)
}

function post(connection: PostConnection, due: number): void {
  const number = next++
  inFlight++
  connection.send(made.length > 0 ? made[number % made.length]! : request(number), status => {
    inFlight--
    const now = wallMs()
    if (status >= 200 && status < 300) accept(number, due, now)
    else refused[status] = (refused[status] ?? 0) + 1
    if (all.has(connection)) idle.push({ connection, since: now })
    send(now)
  })
}

function accept(number: number, due: number, now: number): void {
  if (number >= accepted.length) {
    const grown = new Uint8Array(accepted.length * 2)
    grown.set(accepted)
    accepted = grown
  }
  accepted[number] = 1
  lastAt = now
  if (number < schedule.warm || (flatOut && due < flatOut.measuredFrom)) return
  measured++
  histogram.record(now - due)
}

function request(number: number): Buffer {
  const { line, headers, payload, prefix, suffix, form } = targets[0]!
  const video = videoId(number % schedule.videos)
  const text = content(number, eventBytes)
  const said = payload === 'draft' ? { authorId: author(number), content: text } : { id: String(number), authorId: author(number), content: text, createdAt: Math.floor(wallMs()) }
  const json = JSON.stringify(said)
  const body = prefix.replace('{video}', video) + (form ? encodeURIComponent(json) : json) + suffix
  return Buffer.from(head(line.replace('{video}', video), { ...headers, 'content-length': String(Buffer.byteLength(body)) }) + body)
}
