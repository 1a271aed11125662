import { LiveError } from '../../protocol/errors.js'
import { parseCursor, type Cursor } from '../../protocol/id.js'
import { MAX_RATES, MAX_RECENT, type MaxRate } from '../../protocol/limits.js'
import { MAX_VIDEOS, parsePlaces, parseVideos, tagsOf, type Begun, type TaggedPlaces } from '../../protocol/several.js'
import type { Exchange } from './exchange.js'

/** What a viewer asks of a stream, on a gateway's or an edge's public port. */
export interface StreamAsked {
  /** The cursor to resume from. */
  readonly after: Cursor | undefined
  /** How many of the newest comments to begin with. */
  readonly recent: number | undefined
  readonly gzip: boolean
}

/** @throws LiveError BAD_CURSOR, BAD_RECENT */
export function streamAsked(exchange: Exchange): StreamAsked {
  return { after: resumesFrom(exchange, ONE), recent: recentOf(exchange), gzip: acceptsGzip(exchange.headers('accept-encoding')) }
}

/** What a viewer asks of a stream of several videos: of each, what it would ask of a stream of its own. The id that it resumes from
 * beats a cursor in `videos`, which EventSource repeats as well.
 * @throws LiveError BAD_VIDEOS, BAD_VIDEO_ID, BAD_CURSOR, BAD_RECENT */
export function severalAsked(exchange: Exchange): (Begun & Pick<StreamAsked, 'recent'>)[] {
  const videos = parseVideos(exchange.query.get('videos') ?? '', MAX_VIDEOS)
  const tags = tagsOf(videos.map(({ videoId }) => videoId))
  const places = resumesFrom(exchange, SEVERAL)
  if (places && !tags.some(tag => places.has(tag))) throw new LiveError('BAD_CURSOR', 'the id to resume from must be of a stream with at least one of these videos')
  const recent = recentOf(exchange)
  return videos.map(({ videoId, after }, i) => ({ videoId, after: places?.get(tags[i]!) ?? after, recent }))
}

/** At most how many comments a second the viewer wants to be shown of each video; undefined: all.
 * @throws LiveError BAD_MAX_RATE */
export function maxRateAsked({ query }: Exchange): MaxRate | undefined {
  if (!query.has('maxRate')) return undefined
  const rate = MAX_RATES.find(each => String(each) === query.get('maxRate'))
  if (rate === undefined) throw new LiveError('BAD_MAX_RATE', `maxRate must be ${MAX_RATES.slice(0, -1).join(', ')} or ${MAX_RATES.at(-1)}, comments per second`)
  return rate
}

/** What a client asks of a long-poll: an answer as soon as there is something after its cursor, and in any case after a while. */
export interface PollAsked extends Omit<StreamAsked, 'gzip'> {
  readonly waitMs: number
}

const MAX_WAIT_S = 60

export function wantsPoll({ query }: Exchange): boolean {
  return query.has('wait')
}

/** @throws LiveError BAD_WAIT, BAD_CURSOR, BAD_RECENT */
export function pollAsked(exchange: Exchange): PollAsked {
  const { query } = exchange
  const wait = query.get('wait') ?? ''
  if (!/^[0-9]{1,2}$/.test(wait) || Number(wait) < 1 || Number(wait) > MAX_WAIT_S) throw new LiveError('BAD_WAIT', `wait must be a whole number from 1 to ${MAX_WAIT_S}, seconds`)
  const cursor = query.get('cursor') ?? ''
  const after = cursor === '' ? resumesFrom(exchange, ONE) : parseCursor(cursor)
  if (cursor !== '' && after === undefined) throw badCursor('cursor', ONE.rule)
  return { waitMs: Number(wait) * 1000, after, recent: recentOf(exchange) }
}

/** Whether a stream is wanted and not JSON (RFC 9110, section 12.5.1): `text/event-stream` is named, and JSON is not preferred
 * to it. */
export function wantsStream(accept: readonly string[]): boolean {
  const ranges = weights(accept)
  const stream = ranges.get('text/event-stream') ?? 0
  const json = ranges.get('application/json') ?? ranges.get('application/*') ?? ranges.get('*/*') ?? 0
  return stream > 0 && stream >= json
}

/** RFC 9110, section 12.5.3. */
export function acceptsGzip(acceptEncoding: readonly string[]): boolean {
  const codings = weights(acceptEncoding)
  const gzip = codings.get('gzip') ?? codings.get('x-gzip') ?? 0
  return gzip > 0 && gzip >= (codings.get('identity') ?? 0)
}

/** What a stream's ids are. */
interface Ids<Place> {
  /** @returns undefined for what is none */
  readonly parse: (text: string) => Place | undefined
  /** @param places at least one */
  readonly newest: (places: readonly Place[]) => Place
  readonly rule: string
}

const ONE: Ids<Cursor> = { parse: parseCursor, newest: cursors => Math.max(...cursors), rule: 'a whole number from 0 to 2^53 - 1' }
const SEVERAL: Ids<TaggedPlaces> = { parse: parsePlaces, newest: newestOfEach, rule: 'the id of an event of a stream of several videos' }

/** EventSource repeats a stale query for ever, so the header beats it. A client that sets the header itself may send an old
 * value beside the newest, on lines of their own or in a list; one that adds to the query's end, too.
 * @throws LiveError BAD_CURSOR for a header, or a query without a header, that holds no cursor */
function resumesFrom<Place>(exchange: Exchange, ids: Ids<Place>): Place | undefined {
  const lines = exchange.headers('last-event-id')
  const asked = exchange.query.getAll('lastEventId')
  const place = newestOf(lines, ids) ?? newestOf(asked, ids)
  if (place !== undefined) return place
  // Never "from now on": what the client missed meanwhile would be lost without a word. An empty one is no better, as a value
  // with bytes beyond ASCII comes empty from the library.
  if (lines.length > 0) throw badCursor('Last-Event-ID', ids.rule)
  if (asked.some(value => value !== '')) throw badCursor('lastEventId', ids.rule)
  return undefined
}

/** @param values each may be a list */
function newestOf<Place>(values: readonly string[], { parse, newest }: Ids<Place>): Place | undefined {
  const places = values.flatMap(value => value.split(',')).map(value => parse(value.trim())).filter(place => place !== undefined)
  return places.length > 0 ? newest(places) : undefined
}

function newestOfEach(all: readonly TaggedPlaces[]): TaggedPlaces {
  const newest = new Map<string, Cursor>()
  for (const places of all) for (const [tag, cursor] of places) newest.set(tag, Math.max(cursor, newest.get(tag) ?? 0))
  return newest
}

function badCursor(name: string, rule: string): LiveError {
  return new LiveError('BAD_CURSOR', `${name} must be ${rule}`)
}

function recentOf({ query }: Exchange): number | undefined {
  const text = query.get('recent') ?? ''
  if (text === '') return undefined
  if (!/^[0-9]{1,3}$/.test(text) || Number(text) > MAX_RECENT) throw new LiveError('BAD_RECENT', `recent must be a whole number from 0 to ${MAX_RECENT}`)
  return Number(text)
}

/** The members of a list header, in lower case, each with its weight from 0 to 1. A member with a parameter that cannot be
 * read, or another than q, counts as it would without. */
function weights(lines: readonly string[]): Map<string, number> {
  const found = new Map<string, number>()
  for (const member of lines.flatMap(line => line.toLowerCase().split(','))) {
    const [name = '', ...parameters] = member.split(';').map(part => part.trim())
    if (name === '') continue
    const q = parameters.map(each => /^q\s*=\s*(0(?:\.[0-9]*)?|1(?:\.0*)?|\.[0-9]+)$/.exec(each)?.[1]).find(value => value !== undefined)
    found.set(name, Math.max(found.get(name) ?? 0, q === undefined ? 1 : Number(q)))
  }
  return found
}
