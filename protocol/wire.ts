import type { Buffer } from 'node:buffer'
import { isVideoId, type VideoId } from './comment.js'
import { parseState, printState, type VideoState } from './entry.js'
import { LiveError } from './errors.js'
import { parseCursor, type CommentId, type Cursor } from './id.js'

/** Dispatchers and edges exchange lines of text: one item per line, fields separated by one space, a comment's JSON
 * last. A comment is encoded once, where it is stored; from then on its JSON is copied.
 *
 *   C <videoId> <prev> <id> <json>          an entry, mostly a comment, and the id stored just before it
 *   H <videoId> <id>                        a hint: this video has at least this id
 *   S <videoId> <last|-> <want|->           a sync request: I have all up to last, I know of want
 *   V <videoId> <viewers>                   after the S lines of another cluster's sync: its viewers of the video
 *   P <videoId> <after> <until> <limit>     a replay request: the newest `limit` in (after, until]
 *   R <videoId> <head> <others> <from> <end|more>   opens the answer to an S or a P; its C lines follow
 *   T <videoId> <json>                      after the R line of an S: the video's state, for whoever reads entries
 *
 * Ids are decimal. A line of any other form is a WireError: the whole message is refused. */
export const WIRE_VERSION = 1
export const WIRE_HEADER = 'x-live-wire'
/** The instance that a call is meant for. */
export const TO_HEADER = 'x-live-to'
/** The cluster that a call between clusters comes from, by its name in PEERS. */
export const PEER_HEADER = 'x-live-peer'
/** With a nonce, `GET /healthz` is answered with a proof: see runtime/peers/proof.ts. */
export const NONCE_HEADER = 'x-live-nonce'
export const PROOF_HEADER = 'x-live-proof'

/** A stored entry, mostly a comment, as it travels: its place in the chain and its line of JSON. */
export interface WireComment {
  readonly videoId: VideoId
  /** The id stored just before it in its video, 0 for the first. It comes from the store alone (rule 1). */
  readonly prev: Cursor
  readonly id: CommentId
  /** `toEventJson` of a comment; entry.ts has the other entries. */
  readonly json: string
}

/** "This video has at least id N": sent for a dropped comment, a failed batch or a repeated key. */
export interface Hint {
  readonly videoId: VideoId
  readonly id: CommentId
}

export interface Batch {
  readonly comments: WireComment[]
  readonly hints: Hint[]
}

/** One room's line of a sync (rule 7). */
export interface SyncRequest {
  readonly videoId: VideoId
  /** The room's newest id; undefined if the room is opening and only wants the head. */
  readonly last: Cursor | undefined
  /** The highest id the edge knows of, if that is above `last`. */
  readonly want: CommentId | undefined
}

/** A sync of another cluster. */
export interface PeerSync {
  readonly requests: readonly SyncRequest[]
  /** The caller's viewers of these videos, where it has some. */
  readonly viewers: ReadonlyMap<VideoId, number>
}

/** Asks for the newest `limit` comments with after < id ≤ until, which a viewer missed (rule 8). */
export interface ReplayRequest {
  readonly videoId: VideoId
  readonly after: Cursor
  readonly until: CommentId
  readonly limit: number
}

/** The answer to one SyncRequest or ReplayRequest. */
export interface RoomAnswer {
  readonly videoId: VideoId
  /** The video's newest id as the dispatcher knows it, 0 in an empty video. */
  readonly head: Cursor
  /** Viewers of the video on all other edges. */
  readonly others: number
  /** Only the store can say that an id does not exist (rules 6, 9). */
  readonly from: 'store' | 'memory'
  /** The range has comments that were not sent: above the last one for a sync, below the first for a replay. */
  readonly more: boolean
  /** The video's settings and pinned comment, at `head` or later; undefined where they are not known or not asked for. */
  readonly state?: VideoState | undefined
  /** Ascending. */
  readonly comments: WireComment[]
}

export class WireError extends Error {
  override readonly name = 'WireError'
}

/** What a caller has sent. @throws LiveError BAD_REQUEST when the lines cannot be read */
export function readable<T>(parse: (bytes: Buffer) => T, bytes: Buffer): T {
  try {
    return parse(bytes)
  } catch (error) {
    if (error instanceof WireError) throw new LiveError('BAD_REQUEST', error.message, { cause: error })
    throw error
  }
}

export function printComment(comment: WireComment): string {
  return `C ${comment.videoId} ${comment.prev} ${comment.id} ${comment.json}\n`
}

export function printHint(hint: Hint): string {
  return `H ${hint.videoId} ${hint.id}\n`
}

export function printSync(requests: readonly SyncRequest[]): string {
  return requests.map(({ videoId, last, want }) => `S ${videoId} ${last ?? '-'} ${want ?? '-'}\n`).join('')
}

export function printPeerSync({ requests, viewers }: PeerSync): string {
  return printSync(requests) + Array.from(viewers, ([videoId, count]) => `V ${videoId} ${count}\n`).join('')
}

export function printReplay({ videoId, after, until, limit }: ReplayRequest): string {
  return `P ${videoId} ${after} ${until} ${limit}\n`
}

export function printAnswers(answers: readonly RoomAnswer[]): string {
  let text = ''
  for (const { videoId, head, others, from, more, state, comments } of answers) {
    text += `R ${videoId} ${head} ${others} ${from} ${more ? 'more' : 'end'}\n`
    if (state) text += `T ${videoId} ${printState(state)}\n`
    for (const comment of comments) text += printComment(comment)
  }
  return text
}

/** @throws WireError */
export function parseBatch(bytes: Buffer): Batch {
  const batch: Batch = { comments: [], hints: [] }
  for (const line of linesOf(bytes)) {
    if (line.startsWith('C ')) batch.comments.push(parseComment(line))
    else if (line.startsWith('H ')) {
      const [, videoId, id] = fields(line, 3)
      batch.hints.push({ videoId: video(videoId, line), id: cursor(id, line) })
    } else throw unreadable(line)
  }
  return batch
}

/** @throws WireError */
export function parseSync(bytes: Buffer): SyncRequest[] {
  return linesOf(bytes).map(parseRequest)
}

/** @throws WireError */
export function parsePeerSync(bytes: Buffer): PeerSync {
  const requests: SyncRequest[] = []
  const viewers = new Map<VideoId, number>()
  for (const line of linesOf(bytes)) {
    if (line.startsWith('V ')) {
      const [, videoId, count] = fields(line, 3)
      viewers.set(video(videoId, line), cursor(count, line))
    } else requests.push(parseRequest(line))
  }
  return { requests, viewers }
}

function parseRequest(line: string): SyncRequest {
  const [kind, videoId, last, want] = fields(line, 4)
  if (kind !== 'S') throw unreadable(line)
  return { videoId: video(videoId, line), last: optional(last, line), want: optional(want, line) }
}

/** @throws WireError */
export function parseReplay(bytes: Buffer): ReplayRequest {
  const lines = linesOf(bytes)
  const line = lines[0]
  if (lines.length !== 1 || line === undefined) throw new WireError(`a replay is one line, not ${lines.length}`)
  const [kind, videoId, after, until, limit] = fields(line, 5)
  if (kind !== 'P') throw unreadable(line)
  return { videoId: video(videoId, line), after: cursor(after, line), until: cursor(until, line), limit: cursor(limit, line) }
}

/** @throws WireError */
export function parseAnswers(bytes: Buffer): RoomAnswer[] {
  const answers: (RoomAnswer & { state?: VideoState })[] = []
  for (const line of linesOf(bytes)) {
    if (line.startsWith('C ')) {
      const comment = parseComment(line)
      const answer = answers.at(-1)
      if (answer?.videoId !== comment.videoId || comment.id <= (answer.comments.at(-1)?.id ?? 0)) throw unreadable(line)
      answer.comments.push(comment)
      continue
    }
    if (line.startsWith('T ')) {
      const answer = answers.at(-1)
      if (!answer || answer.state || answer.comments.length > 0) throw unreadable(line)
      answer.state = parseStateLine(line, answer.videoId)
      continue
    }
    const [kind, videoId, head, others, from, end] = fields(line, 6)
    if (kind !== 'R' || (from !== 'store' && from !== 'memory') || (end !== 'end' && end !== 'more')) throw unreadable(line)
    answers.push({ videoId: video(videoId, line), head: cursor(head, line), others: cursor(others, line), from, more: end === 'more', comments: [] })
  }
  return answers
}

/** Each line is a string of its own: a slice of one long string would keep all of it in memory. */
function linesOf(bytes: Buffer): string[] {
  const lines: string[] = []
  let start = 0
  while (start < bytes.length) {
    const end = bytes.indexOf(10, start)
    if (end < 0) throw new WireError('the last line is cut short')
    lines.push(bytes.toString('utf8', start, end))
    start = end + 1
  }
  return lines
}

/** Reads a `C` line without its line feed. @throws WireError */
export function parseComment(line: string): WireComment {
  const a = line.indexOf(' ', 2)
  const b = line.indexOf(' ', a + 1)
  const c = line.indexOf(' ', b + 1)
  if (a < 0 || b < 0 || c < 0) throw unreadable(line)
  const json = line.slice(c + 1)
  if (!isObject(json)) throw unreadable(line)
  const prev = cursor(line.slice(a + 1, b), line)
  const id = cursor(line.slice(b + 1, c), line)
  if (id <= prev) throw unreadable(line) // it would lead the chain back
  return { videoId: video(line.slice(2, a), line), prev, id, json }
}

function parseStateLine(line: string, videoId: VideoId): VideoState {
  const start = `T ${videoId} `
  const state = line.startsWith(start) ? parseState(videoId, line.slice(start.length)) : undefined
  if (!state) throw unreadable(line)
  return state
}

/** Whether it is the JSON of an object without a carriage return, which would end an event's line early. History parses it. */
function isObject(json: string): boolean {
  if (!json.startsWith('{') || json.includes('\r')) return false
  try {
    JSON.parse(json)
    return true
  } catch {
    return false
  }
}

function fields(line: string, count: number): string[] {
  const parts = line.split(' ')
  if (parts.length !== count) throw unreadable(line)
  return parts
}

function video(text: string | undefined, line: string): VideoId {
  if (text === undefined || !isVideoId(text)) throw unreadable(line)
  return text
}

function cursor(text: string | undefined, line: string): Cursor {
  const value = parseCursor(text ?? '')
  if (value === undefined) throw unreadable(line)
  return value
}

function optional(text: string | undefined, line: string): Cursor | undefined {
  return text === '-' ? undefined : cursor(text, line)
}

/** Names only the line's kind and length: a comment's text must not reach a log. */
function unreadable(line: string): WireError {
  return new WireError(`unreadable line of kind ${JSON.stringify(line.slice(0, 1))}, ${line.length} characters`)
}
