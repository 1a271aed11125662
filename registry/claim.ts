import { z } from 'zod'
import { parseHoldings, parseMember, RubbishError, type MemberNode } from '../protocol/nodes.js'
import type { InternalClient } from '../runtime/peers/client.js'
import { PeerError } from '../runtime/peers/peer-error.js'

/** Who may have an id. A node claims its id with `/edges/<id>`, `/dispatchers/<id>` or `/gateways/<id>`, whose data
 * has the URL at which to ask it; an edge's `/holdings/<id>` follows that claim. A wrong refusal costs little: a dead node's entry goes with its
 * session, within seconds, and we ask again every second. */

const PING_TIMEOUT_MS = 1_000
const pong = z.object({ id: z.string(), instance: z.string() })

/** This process, as one that may have the id. */
export interface Claimant {
  readonly id: string
  readonly instance: string
}

/** For `/edges/<id>`, `/dispatchers/<id>` and `/gateways/<id>`. An entry may be replaced when it is our own, left by an older session of
 * ours, when its URL refuses connections or answers as another node, or when no node of ours wrote it. When its URL is
 * silent or answers with an error, its node may still live. */
export function mayReplaceNode(own: Claimant, client: InternalClient): (data: Buffer) => Promise<boolean> {
  return async data => {
    let node: MemberNode
    try {
      node = parseMember(data)
    } catch (error) {
      if (error instanceof RubbishError) return true
      throw error
    }
    return node.instance === own.instance || !(await mayLive(node, client))
  }
}

/** For `/holdings/<id>`: an entry may be replaced when it is our own, and any entry once the claim on the id is ours. */
export function mayReplaceHoldings(own: Claimant, claim: { readonly up: boolean }): (data: Buffer) => Promise<boolean> {
  return data => Promise.resolve(claim.up || instanceOf(data) === own.instance)
}

/** Whether the node may still live, as far as its URL tells. */
async function mayLive(node: MemberNode, client: InternalClient): Promise<boolean> {
  try {
    const answer = pong.safeParse(json(await client.call(node.internalUrl, { method: 'GET', path: '/internal/ping', timeoutMs: PING_TIMEOUT_MS })))
    return answer.success && answer.data.id === node.id && answer.data.instance === node.instance
  } catch (error) {
    if (error instanceof PeerError) return error.failure !== 'refused'
    throw error
  }
}

function json(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString())
  } catch {
    return undefined
  }
}

function instanceOf(data: Buffer): string | undefined {
  try {
    return parseHoldings(data).instance
  } catch (error) {
    if (error instanceof RubbishError) return undefined
    throw error
  }
}
