import type { VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { cursorAt, MAX_CURSOR, parseCursor } from '../protocol/id.js'
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from '../protocol/limits.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import type { Clock } from '../runtime/clock.js'
import type { Reply } from '../runtime/http/reply.js'
import type { Caller } from '../runtime/peers/client.js'
import type { Failover } from '../runtime/peers/failover.js'
import { homeError } from '../runtime/peers/home-error.js'
import { PeerError } from '../runtime/peers/peer-error.js'

const TRY_MS = 2_000
const OVERALL_MS = 6_000

export interface HistoryOptions {
  readonly client: Caller
  /** A video's dispatchers, the owner first. */
  readonly owners: (videoId: VideoId) => readonly DispatcherNode[]
  readonly failover: Failover
  readonly clock: Clock
}

/** A page of a video's comments, from its owner, who has the recent ones in memory, or from whoever is next: any
 * dispatcher can read the store.
 * @throws LiveError BAD_CURSOR, BAD_AT, BAD_DIRECTION, BAD_PAGE_SIZE, UNAVAILABLE, HOME_UNAVAILABLE */
export async function history({ client, owners, failover, clock }: HistoryOptions, videoId: VideoId, query: URLSearchParams): Promise<Reply> {
  const path = `/internal/history/${videoId}?${pageQuery(query)}`
  let error: Reply | undefined
  try {
    return await failover.ask(
      owners(videoId),
      async (node, timeoutMs) => {
        try {
          return page(200, await client.call(node.internalUrl, { method: 'GET', path, timeoutMs }))
        } catch (failure) {
          if (!(failure instanceof PeerError) || failure.failure !== 'status') throw failure
          // It has as many reads in line as it takes. Another one reads the same store.
          const atHome = homeError(failure)
          if (atHome) throw atHome
          if (failure.status === 429) throw new LiveError('OVERLOADED', 'too many reads are waiting: try again in a moment', { headers: { 'retry-after': '1' } })
          error = page(failure.status!, failure.body!)
          if (failure.status! < 500) return error
          throw failure
        }
      },
      { deadline: clock.now() + OVERALL_MS, tryMs: TRY_MS, hedged: true },
    )
  } catch (failure) {
    if (!(failure instanceof PeerError)) throw failure
    if (error) return error
    throw new LiveError('UNAVAILABLE', 'no dispatcher is available', { cause: failure })
  }
}

function page(status: number, body: Uint8Array): Reply {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }, body }
}

function pageQuery(query: URLSearchParams): string {
  const direction = query.get('direction') ?? 'before'
  const cursor = query.has('at') ? cursorOfTime(query, direction) : query.get('cursor')
  const pageSize = query.get('pageSize') ?? String(DEFAULT_PAGE_SIZE)
  if (cursor !== null && parseCursor(cursor) === undefined) throw new LiveError('BAD_CURSOR', 'cursor must be a whole number from 0 to 2^53 - 1')
  if (direction !== 'before' && direction !== 'after') throw new LiveError('BAD_DIRECTION', 'direction must be before or after')
  if (!/^[0-9]{1,3}$/.test(pageSize) || Number(pageSize) < 1 || Number(pageSize) > MAX_PAGE_SIZE) throw new LiveError('BAD_PAGE_SIZE', `pageSize must be 1 to ${MAX_PAGE_SIZE}`)
  return `${cursor === null ? '' : `cursor=${cursor}&`}direction=${direction}&pageSize=${pageSize}`
}

/** A time as a cursor, since ids ascend with time: `after` begins with the first comment of that ms, `before` with the last
 * one before it. */
function cursorOfTime(query: URLSearchParams, direction: string): string {
  const at = query.get('at')!
  if (!/^[0-9]{1,16}$/.test(at) || Number(at) > Number.MAX_SAFE_INTEGER) throw new LiveError('BAD_AT', 'at must be a time in Unix milliseconds, a whole number')
  if (query.has('cursor')) throw new LiveError('BAD_AT', 'at and cursor exclude each other')
  const cursor = cursorAt(Number(at))
  return String(direction === 'before' ? Math.min(cursor + 1, MAX_CURSOR) : cursor)
}
