import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import { shareMs } from '../../edge/holdings.js'
import type { VideoId } from '../../protocol/comment.js'
import { HOLDINGS, parseHoldings, type EdgeNode } from '../../protocol/nodes.js'
import { inParallel } from '../../runtime/in-parallel.js'
import type { InternalClient } from '../../runtime/peers/client.js'
import { PeerError } from '../../runtime/peers/peer-error.js'
import type { Zk } from '../../registry/zookeeper/client.js'
import { problem, type Finding } from './finding.js'
import { readZnode } from './znodes.js'

const TIMEOUT_MS = 1_000
/** A difference that outlasts all looks is wrong: an edge announces each change within its share of all announcements and a second
 * more. */
const LOOKS = 3
const PAUSE_MS = 600
const SHOWN = 3

const held = z.object({ videos: z.record(z.string(), z.number()) })

/** Finds videos that at every look an edge has announced and does not hold, or holds and has not announced. */
export async function drift(zk: Zk, client: InternalClient, edges: readonly EdgeNode[]): Promise<Finding[]> {
  let differing = new Map<EdgeNode, Set<VideoId>>()
  for (let look = 1; look <= LOOKS; look++) {
    if (look > 1) await sleep(PAUSE_MS + shareMs(edges.length) / (LOOKS - 1))
    const seen = await inParallel(look === 1 ? edges : [...differing.keys()], async edge => ({ edge, videos: await difference(zk, client, edge) }))
    const lasting = ({ edge, videos }: (typeof seen)[number]): [EdgeNode, Set<VideoId>] => [edge, look === 1 ? videos : common(videos, differing.get(edge)!)]
    differing = new Map(seen.map(lasting).filter(([, videos]) => videos.size > 0))
    if (differing.size === 0) return []
  }
  return Array.from(differing, ([{ id }, videos]) => {
    const names = [...videos].slice(0, SHOWN).join(', ')
    const more = videos.size > SHOWN ? ` and ${videos.size - SHOWN} more` : ''
    return problem('holdings_differ', id, `announced and actual holdings differ for ${names}${more}`, 'Comments still arrive, but later. Its log says why it cannot write to the registry; if this lasts, drain it and restart it.')
  })
}

/** Empty if the edge does not answer, which is a finding of its own. */
async function difference(zk: Zk, client: InternalClient, { id, instance, internalUrl }: EdgeNode): Promise<Set<VideoId>> {
  const answer = await client.call(internalUrl, { method: 'GET', path: '/internal/holdings', timeoutMs: TIMEOUT_MS }).catch((error: unknown) => {
    if (error instanceof PeerError) return undefined
    throw error
  })
  const announced = await readZnode(zk, HOLDINGS, id, parseHoldings)
  if (!answer || announced?.content?.instance !== instance) return new Set()
  return symmetricDifference(new Set(announced.content.videos.keys()), new Set(Object.keys(held.parse(JSON.parse(answer.toString())).videos)))
}

function common<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): Set<T> {
  return new Set([...a].filter(each => b.has(each)))
}

function symmetricDifference<T>(a: ReadonlySet<T>, b: ReadonlySet<T>): Set<T> {
  return new Set([...[...a].filter(each => !b.has(each)), ...[...b].filter(each => !a.has(each))])
}
