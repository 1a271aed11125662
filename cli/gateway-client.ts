import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { MAX_PAGE_SIZE } from '../protocol/limits.js'
import { startCommand } from '../runtime/called-as.js'
import type { GatewayAddress } from './gateway-address.js'
import { Problem } from './output.js'

const LIMIT_MS = 5_000
const TRY_MS = 9_000 // a gateway answers a post within 8 s
const PAUSE_MS = 300

const comment = z.object({ id: z.string(), videoId: z.string().optional(), authorId: z.string(), authorName: z.string().optional(), content: z.string(), createdAt: z.number() })
/** A comment in the public API's form; the stream's comments have no video id. */
export type PublicComment = z.infer<typeof comment>

/** The answer to a post that waits for a moderator. */
const heldPost = z.object({ held: z.literal(true), idempotencyKey: z.string() })
export type HeldPost = z.infer<typeof heldPost>

/** What stands in the place of a deleted comment. */
const tombstone = z.object({ id: z.string(), deleted: z.literal(true) })
/** A later gateway's comments may say more. */
const page = z.object({ comments: z.array(z.union([tombstone, z.looseObject(comment.shape)])), nextCursor: z.string().nullable() })

/** A page of history. */
export interface Page {
  /** Without those that were deleted. */
  readonly comments: readonly PublicComment[]
  /** The id that the page ends at, of a deleted comment, too; undefined for an empty page. */
  readonly last: string | undefined
}
const failure = z.object({ error: z.object({ code: z.string(), message: z.string() }) })

/** A passing failure: the request can be sent again. */
export class GatewayAway extends Problem {}

export function parseComment(json: string): PublicComment {
  return comment.parse(JSON.parse(json))
}

/** Posts a comment under one idempotency key, so that retries do not post it twice.
 * @throws Problem if it is refused, or no gateway answers */
export async function postComment(gateway: GatewayAddress, videoId: string, body: { content: string; authorId?: string }): Promise<PublicComment | HeldPost> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() }
  const response = await insist(gateway, `/comments/${videoId}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return z.union([comment, heldPost]).parse(await response.json())
}

/** The comments in (from, to], oldest first, from history. */
export async function* between(gateway: GatewayAddress, videoId: string, from: string, to: string): AsyncGenerator<PublicComment> {
  for await (const { comments } of pagesAfter(gateway, videoId, from)) {
    for (const each of comments) {
      if (BigInt(each.id) > BigInt(to)) return
      yield each
    }
  }
}

/** The comments after a cursor, oldest first, a page of history at a time: the next one is read when it is asked for.
 * @throws Problem if the gateway refuses, or does not come back within 5 s */
export async function* pagesAfter(gateway: GatewayAddress, videoId: string, after: string): AsyncGenerator<Page> {
  for (let cursor: string | null = after; cursor !== null; ) {
    const response = await insist(gateway, `/comments/${videoId}?direction=after&pageSize=${MAX_PAGE_SIZE}&cursor=${cursor}`)
    const { comments, nextCursor }: z.infer<typeof page> = page.parse(await response.json())
    yield { comments: comments.flatMap(each => (isTombstone(each) ? [] : [each])), last: comments.at(-1)?.id }
    cursor = nextCursor
  }
}

function isTombstone(entry: z.infer<typeof page>['comments'][number]): entry is z.infer<typeof tombstone> {
  return entry['deleted'] === true
}

/** The header that says who asks. */
export function authorization({ token }: GatewayAddress): Record<string, string> {
  return token === undefined ? {} : { authorization: `Bearer ${token}` }
}

/** Retries passing failures until the answer is a success.
 * @throws Problem if the gateway refuses, or does not come back within 5 s */
async function insist(gateway: GatewayAddress, path: string, init: { method?: string; headers?: Record<string, string>; body?: string } = {}): Promise<Response> {
  const deadline = performance.now() + LIMIT_MS
  const headers = { ...init.headers, ...authorization(gateway) }
  for (;;) {
    const response = await fetch(gateway.url + path, { ...init, headers, signal: AbortSignal.timeout(TRY_MS) }).catch((error: unknown) => noGateway(gateway, error))
    if (response instanceof Response && response.ok) return response
    const problem = response instanceof Response ? await refusal(gateway, response) : response
    if (!(problem instanceof GatewayAway) || performance.now() + PAUSE_MS > deadline) throw problem
    await sleep(PAUSE_MS)
  }
}

/** The problem in an error answer; a {@link GatewayAway} if it may pass. */
export async function refusal({ url, source }: GatewayAddress, response: Response): Promise<Problem> {
  const text = await response.text().catch(() => '')
  try {
    const { error } = failure.parse(JSON.parse(text))
    const passes = response.status >= 500 || response.status === 429
    return new (passes ? GatewayAway : Problem)(error.code, `${error.code}: ${error.message}`)
  } catch (cause) {
    return new Problem('NO_GATEWAY', `${url} (${source}) answered ${response.status}, which is not a gateway's answer.\nName the gateway with --gateway URL.`, { cause })
  }
}

export function noGateway({ url, source }: GatewayAddress, cause: unknown): Problem {
  const { code = '', message } = ((cause as Error).cause ?? {}) as NodeJS.ErrnoException
  // Node's codes for a certificate, by what they are about.
  if (/CERT|ISSUER|SIGNATURE/.test(code)) return new Problem('GATEWAY_UNTRUSTED', `the certificate of the gateway at ${url} (${source}) is not trusted here: ${message}.\nName the gateway as its certificate does, with --gateway URL; NODE_EXTRA_CA_CERTS=FILE trusts a certificate of your own.`, { cause })
  return new GatewayAway('GATEWAY_AWAY', `no answer from the gateway at ${url} (${source}).\nIs the cluster running (${startCommand})? If its gateway is elsewhere, name it with --gateway URL.`, { cause })
}
