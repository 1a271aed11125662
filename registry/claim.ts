import { z } from 'zod'
import { parseHoldings, parseMember, RubbishError, type MemberNode } from '../protocol/nodes.js'
import type { InternalClient } from '../runtime/peers/client.js'
import { PeerError } from '../runtime/peers/peer-error.js'

/** Who may have an id. It is claimed at `/edges/<id>` or `/dispatchers/<id>`, whose data says where to ask; the
 * edge's `/holdings/<id>` follows that claim. A refusal costs little: a dead node's entry goes with its session,
 * within seconds, and the question is asked again every second. */

const PING_MS = 1_000
const pong = z.object({ id: z.string(), instance: z.string() })

export interface Claimant {
  readonly id: string
  readonly instance: string
}

/** For `/edges/<id>` and `/dispatchers/<id>`: our own, left by an older session of ours, or one whose URL refuses
 * connections or answers as somebody else. A URL that is silent, or answers with an error, may still be its node's. */
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

/** For `/holdings/<id>`: our own, or anybody's once the claim on the id is ours. */
export function mayReplaceHoldings(own: Claimant, claim: { readonly up: boolean }): (data: Buffer) => Promise<boolean> {
  return data => Promise.resolve(claim.up || instanceOf(data) === own.instance)
}

async function mayLive(node: MemberNode, client: InternalClient): Promise<boolean> {
  try {
    const answer = pong.safeParse(json(await client.call(node.internalUrl, { method: 'GET', path: '/internal/ping', timeoutMs: PING_MS })))
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
