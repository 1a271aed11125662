import { Buffer } from 'node:buffer'
import { createHash } from 'node:crypto'
import { checkVideoId, isVideoId, type VideoId } from './comment.js'
import { LiveError } from './errors.js'
import { MAX_CURSOR, parseCursor, type Cursor } from './id.js'
import { HEARTBEAT } from './sse.js'

/** One stream of several videos: the events of each, which say whose they are, and an id that says where the viewer stands in all of
 * them. PROTOCOL.md describes both. */

/** On one stream. */
export const MAX_VIDEOS = 50

/** Of a video's SHA-256 in base64url, so many characters stand for it in an id: 36 bits. */
const TAG_CHARACTERS = 6
const PLACE = /^([A-Za-z0-9_-]{6})([0-9a-z]{1,11})$/
/** An id begins with it: no other id does, nor does a word such as `undefined`. */
const MARK = '~'
/** No id is longer: 18 characters for each video. */
const MAX_ID_CHARACTERS = MAX_VIDEOS * 18

/** A video and where its part of the stream is to begin. */
export interface Begun {
  readonly videoId: VideoId
  readonly after: Cursor | undefined
}

/** Where a viewer stands in each video, by the video's tag. */
export type TaggedPlaces = ReadonlyMap<string, Cursor>

/** Reads `a,b:CURSOR,c`. @param most videos that may be named
 * @throws LiveError BAD_VIDEOS, BAD_VIDEO_ID, BAD_CURSOR */
export function parseVideos(text: string, most: number): Begun[] {
  const parts = text === '' ? [] : text.split(',')
  if (parts.length < 1 || parts.length > most) throw new LiveError('BAD_VIDEOS', `videos must name 1 to ${most} videos, with a comma between two`)
  const seen = new Set<VideoId>()
  return parts.map(part => {
    const [videoId = '', cursor, ...rest] = part.split(':')
    if (!isVideoId(videoId)) throw new LiveError('BAD_VIDEO_ID', 'each of videos must be 1 to 64 of A-Z a-z 0-9 _ -')
    if (seen.has(videoId)) throw new LiveError('BAD_VIDEOS', `videos must name each video once, and has ${videoId} twice`)
    seen.add(videoId)
    const after = cursor === undefined ? undefined : parseCursor(cursor)
    if (rest.length > 0 || (cursor !== undefined && after === undefined)) throw new LiveError('BAD_CURSOR', `the cursor of ${videoId} in videos must be a whole number from 0 to 2^53 - 1`)
    return { videoId, after }
  })
}

/** The tags of videos that are watched together.
 * @throws LiveError BAD_VIDEOS where two have the same, as one list of 50 in fifty million has */
export function tagsOf(videos: readonly VideoId[]): string[] {
  const known = new Map<string, VideoId>()
  return videos.map(videoId => {
    const tag = createHash('sha256').update(checkVideoId(videoId)).digest('base64url').slice(0, TAG_CHARACTERS)
    const other = known.get(tag)
    if (other !== undefined) throw new LiveError('BAD_VIDEOS', `videos must not have both ${other} and ${videoId}: ids of events cannot tell them apart`)
    known.set(tag, videoId)
    return tag
  })
}

/** Reads an id of such a stream; undefined for anything else. */
export function parsePlaces(text: string): TaggedPlaces | undefined {
  if (!text.startsWith(MARK) || text.length > MAX_ID_CHARACTERS) return undefined
  const places = new Map<string, Cursor>()
  for (const part of text.slice(MARK.length).split('.')) {
    const [, tag, digits] = PLACE.exec(part) ?? []
    const cursor = parseInt(digits ?? '', 36)
    if (tag === undefined || places.has(tag) || !(cursor <= MAX_CURSOR)) return undefined
    places.set(tag, cursor)
  }
  return places
}

/** Where a viewer stands in each of its videos; in one that it has no place in yet it begins as if it came anew. */
export class Places {
  readonly #tags: readonly string[]
  readonly #parts: string[]

  constructor(videos: readonly Begun[]) {
    this.#tags = tagsOf(videos.map(({ videoId }) => videoId))
    this.#parts = videos.map(({ after }, i) => (after === undefined ? '' : this.#part(i, after)))
  }

  /** The viewer gets events of one video. @param cursors of the events, at least one
   * @returns for each of them, the id that says where the viewer stands once it has it */
  passed(video: number, cursors: readonly Cursor[]): string[] {
    const before = this.#joined(0, video)
    const after = this.#joined(video + 1, this.#parts.length)
    const parts = cursors.map(cursor => this.#part(video, cursor))
    this.#parts[video] = parts.at(-1)!
    return parts.map(part => `${MARK}${before && `${before}.`}${part}${after && `.${after}`}`)
  }

  #part(video: number, cursor: Cursor): string {
    return this.#tags[video]! + cursor.toString(36)
  }

  #joined(from: number, to: number): string {
    let text = ''
    for (let i = from; i < to; i++) if (this.#parts[i] !== '') text += text === '' ? this.#parts[i]! : `.${this.#parts[i]}`
    return text
  }
}

/** How a stream of several videos is written: as server-sent events, or as JSON messages. */
export type SeveralFormat = 'events' | 'messages'

/** One video's events for all viewers who watch it beside others. What is a viewer's own, the id, goes between two segments. */
export interface SharedEvents {
  readonly segments: readonly Buffer[]
  /** Of the event whose id goes after the segment of the same index. */
  readonly cursors: readonly Cursor[]
}

/** @param text whole events of one video, as sse.ts prints them */
export function sharedEvents(format: SeveralFormat, videoId: VideoId, text: string): SharedEvents {
  const events = [...eventsOf(videoId, text)]
  return format === 'events' ? asEvents(events) : asMessages(events)
}

/** @param ids one for each of the shared events' cursors */
export function withIds(format: SeveralFormat, { segments }: SharedEvents, ids: readonly string[]): Buffer {
  const own = ids.map(id => (format === 'events' ? `id: ${id}\n` : `"id":"${id}",`))
  const out = Buffer.allocUnsafe(segments.reduce((sum, { length }) => sum + length, 0) + own.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const [i, segment] of segments.entries()) {
    out.set(segment, at)
    at += segment.length
    if (i < own.length) at += out.write(own[i]!, at, 'latin1')
  }
  return out
}

interface Event {
  readonly name: string
  readonly cursor: Cursor | undefined
  /** JSON in one line, that names the video and the event's place in it. */
  readonly data: string
}

function* eventsOf(videoId: VideoId, text: string): Generator<Event> {
  for (const block of text.split('\n\n')) {
    let name = 'message'
    let id: string | undefined
    let data: string | undefined
    for (const line of block.split('\n')) {
      if (line.startsWith('data: ')) data = line.slice(6)
      else if (line.startsWith('id: ')) id = line.slice(4)
      else if (line.startsWith('event: ')) name = line.slice(7)
    }
    if (data !== undefined) yield { name, cursor: id === undefined ? undefined : parseCursor(id), data: named(videoId, name, id, data) }
  }
}

/** A comment has its id in its data already, and `ready` its video. */
function named(videoId: VideoId, name: string, id: string | undefined, data: string): string {
  const video = `{"videoId":"${videoId}"`
  const rest = data.startsWith(`${video},`) ? data.slice(video.length + 1) : data.slice(1)
  return `${video},${id === undefined || name === 'message' ? '' : `"id":"${id}",`}${rest}`
}

/** Of a text without events, such as an act that viewers do not see, a line that means nothing: every write has some bytes. */
function asEvents(events: readonly Event[]): SharedEvents {
  const segments: Buffer[] = []
  const cursors: Cursor[] = []
  let text = events.length === 0 ? HEARTBEAT : ''
  for (const { name, cursor, data } of events) {
    if (name !== 'message') text += `event: ${name}\n`
    if (cursor !== undefined) {
      segments.push(Buffer.from(text))
      cursors.push(cursor)
      text = ''
    }
    text += `data: ${data}\n\n`
  }
  return { segments: [...segments, Buffer.from(text)], cursors }
}

/** A message comes whole or not at all, so that one id is enough: that of the last event that has one. */
function asMessages(events: readonly Event[]): SharedEvents {
  const last = events.findLastIndex(({ cursor }) => cursor !== undefined)
  const begin = (count: number) => events.slice(0, count).map(({ name, data }) => `{"event":"${name}","data":${data}},`).join('')
  if (last < 0) return { segments: [Buffer.from(`[${begin(events.length).slice(0, -1)}]`)], cursors: [] }
  const { name, cursor, data } = events[last]!
  const rest = events.slice(last + 1).map(({ name, data }) => `,{"event":"${name}","data":${data}}`).join('')
  return { segments: [Buffer.from(`[${begin(last)}{"event":"${name}",`), Buffer.from(`"data":${data}}${rest}]`)], cursors: [cursor!] }
}
