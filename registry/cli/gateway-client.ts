import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { startCommand } from '../../runtime/called-as.js'
import type { GatewayAddress } from './gateway-address.js'
import { Problem } from './output.js'

const LIMIT_MS = 5_000
const TRY_MS = 9_000 // a gateway answers a post within 8 s
const PAUSE_MS = 300

const comment = z.object({ id: z.string(), videoId: z.string().optional(), authorId: z.string(), authorName: z.string().optional(), content: z.string(), createdAt: z.number() })
/** A comment in the public API's form; the stream's comments have no video id. */
export type PublicComment = z.infer<typeof comment>

const page = z.object({ comments: z.array(comment), nextCursor: z.string().nullable() })
const failure = z.object({ error: z.object({ code: z.string(), message: z.string() }) })

/** A passing failure: the request can be sent again. */
export class GatewayAway extends Problem {}

export function parseComment(json: string): PublicComment {
  return comment.parse(JSON.parse(json))
}

/** Posts a comment under one idempotency key, so that retries do not post it twice.
 * @throws Problem if it is refused, or no gateway answers */
export async function postComment(gateway: GatewayAddress, videoId: string, body: { content: string; authorId?: string }): Promise<PublicComment> {
  const headers = { 'content-type': 'application/json', 'idempotency-key': randomUUID() }
  const response = await insist(gateway, `/comments/${videoId}`, { method: 'POST', headers, body: JSON.stringify(body) })
  return comment.parse(await response.json())
}

/** The comments in (from, to], oldest first, from history. */
export async function* between(gateway: GatewayAddress, videoId: string, from: string, to: string): AsyncGenerator<PublicComment> {
  for (let cursor: string | null = from; cursor !== null; ) {
    const response = await insist(gateway, `/comments/${videoId}?direction=after&pageSize=200&cursor=${cursor}`)
    const { comments, nextCursor } = page.parse(await response.json())
    for (const each of comments) {
      if (BigInt(each.id) > BigInt(to)) return
      yield each
    }
    cursor = nextCursor
  }
}

/** Retries passing failures until the answer is a success.
 * @throws Problem if the gateway refuses, or does not come back within 5 s */
async function insist(gateway: GatewayAddress, path: string, init: RequestInit = {}): Promise<Response> {
  const deadline = performance.now() + LIMIT_MS
  for (;;) {
    const response = await fetch(gateway.url + path, { ...init, signal: AbortSignal.timeout(TRY_MS) }).catch((error: unknown) => noGateway(gateway, error))
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
    return new (passes ? GatewayAway : Problem)(`${error.code}: ${error.message}`)
  } catch (cause) {
    return new Problem(`${url} (${source}) answered ${response.status}, which is not a gateway's answer.\nName the gateway with --gateway URL.`, { cause })
  }
}

export function noGateway({ url, source }: GatewayAddress, cause: unknown): GatewayAway {
  return new GatewayAway(`no answer from the gateway at ${url} (${source}).\nIs the cluster running (${startCommand})? If its gateway is elsewhere, name it with --gateway URL.`, { cause })
}
