import type { VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { parseCursor } from '../protocol/id.js'
import { DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE } from '../protocol/limits.js'
import type { Clock } from '../runtime/clock.js'
import type { Reply } from '../runtime/http/reply.js'
import type { InternalClient } from '../runtime/peers/client.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import type { Dispatchers } from './dispatchers.js'

const TRY_MS = 2_000
const OVERALL_MS = 6_000

export interface HistoryOptions {
  readonly client: InternalClient
  readonly dispatchers: Dispatchers
  readonly clock: Clock
}

/** A page of a video's comments, from its owner, who has the recent ones in memory, or from whoever is next: any
 * dispatcher can read the store.
 * @throws LiveError BAD_CURSOR, BAD_DIRECTION, BAD_PAGE_SIZE, UNAVAILABLE */
export function history(options: HistoryOptions, videoId: VideoId, query: URLSearchParams): Promise<Reply> {
  const path = `/internal/history/${videoId}?${pageQuery(query)}`
  return read(options, videoId, path)
}

async function read({ client, dispatchers, clock }: HistoryOptions, videoId: VideoId, path: string): Promise<Reply> {
  const deadline = clock.now() + OVERALL_MS
  let last: Reply | undefined
  for (const node of dispatchers.order(videoId)) {
    if (clock.now() >= deadline) break
    try {
      const body = await client.call(node.internalUrl, { method: 'GET', path, timeoutMs: TRY_MS })
      dispatchers.answered(node)
      return page(200, body)
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      dispatchers.failed(node, error.failure)
      if (error.failure !== 'status') continue
      last = page(error.status!, error.body!)
      if (error.status! < 500) return last
    }
  }
  if (last) return last
  throw new LiveError('UNAVAILABLE', 'no dispatcher can be reached')
}

function page(status: number, body: Uint8Array): Reply {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' }, body }
}

function pageQuery(query: URLSearchParams): string {
  const cursor = query.get('cursor')
  const direction = query.get('direction') ?? 'before'
  const pageSize = query.get('pageSize') ?? String(DEFAULT_PAGE_SIZE)
  if (cursor !== null && parseCursor(cursor) === undefined) throw new LiveError('BAD_CURSOR', 'cursor must be a whole number from 0 to 2^53 - 1')
  if (direction !== 'before' && direction !== 'after') throw new LiveError('BAD_DIRECTION', 'direction must be before or after')
  if (!/^[0-9]{1,3}$/.test(pageSize) || Number(pageSize) < 1 || Number(pageSize) > MAX_PAGE_SIZE) throw new LiveError('BAD_PAGE_SIZE', `pageSize must be 1 to ${MAX_PAGE_SIZE}`)
  return `${cursor === null ? '' : `cursor=${cursor}&`}direction=${direction}&pageSize=${pageSize}`
}
