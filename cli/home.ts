import type { VideoId } from '../protocol/comment.js'
import { parseVideoHomes, type VideoHomes } from '../protocol/homes.js'
import { HOMES, printNode } from '../protocol/nodes.js'
import { ownersOf } from '../registry/ownership.js'
import type { View } from '../registry/view.js'
import type { Zk } from '../registry/zookeeper/client.js'
import type { Caller } from '../runtime/peers/client.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { Problem } from './output.js'

const TIMEOUT_MS = 4_000

/** The output of `home --json`. */
export interface HomeAnswer {
  readonly videoId: VideoId
  /** The cluster's name; null where there is one cluster alone. */
  readonly home: string | null
  /** Whether an operator has named it; otherwise it is by DEFAULT_HOME or a hash. */
  readonly named: boolean
  /** As a dispatcher and the other clusters have it. */
  readonly said?: VideoHomes
}

/** Asks a dispatcher, which asks the other clusters. @throws Problem */
export async function homeOf(view: View, client: Caller, videoId: VideoId): Promise<HomeAnswer> {
  let failed: PeerError | undefined
  for (const { internalUrl, instance } of ownersOf(view, videoId)) {
    try {
      const said = parseVideoHomes(await client.call(internalUrl, { method: 'GET', to: instance, path: `/internal/home/${videoId}?peers=yes`, timeoutMs: TIMEOUT_MS }))
      return said ? { videoId, home: said.home, named: said.named, said } : { videoId, home: null, named: false }
    } catch (error) {
      if (!(error instanceof PeerError)) throw error
      failed = error
    }
  }
  if (!failed) throw new Problem('NO_DISPATCHER', 'no dispatcher is announced; the command doctor says more')
  throw failed.status === 404 ? new Problem('UPGRADE_UNFINISHED', 'a dispatcher is of a former version, which knows no other clusters', { cause: failed }) : new Problem('DISPATCHER_AWAY', failed.message, { cause: failed })
}

/** Names the video's home in this cluster's registry. No other cluster may have entries of the video; and a cluster becomes a home only
 * once all others say that it is, so that there are never two. @param answer of `homeOf` @throws Problem */
export async function nameHome(zk: Zk, cluster: string, { videoId, said }: HomeAnswer): Promise<HomeAnswer> {
  if (!said) throw new Problem('NOT_FOUND', 'this cluster is by itself (no PEERS): it is the home of every video')
  const refusal = refusalToName(cluster, videoId, said)
  if (refusal) throw refusal
  await zk.put(`${HOMES}/${videoId}`, printNode({ cluster }))
  return { videoId, home: cluster, named: true }
}

/** Why this cluster must not name that home; undefined where it may. */
export function refusalToName(cluster: string, videoId: VideoId, said: VideoHomes): Problem | undefined {
  if (!said.clusters.includes(cluster)) return new Problem('NOT_FOUND', `there is no cluster ${cluster}: CLUSTER_NAME and PEERS name ${said.clusters.join(', ')}`)
  const peers = Object.entries(said.peers ?? {})
  const away = peers.filter(([, peer]) => peer === null).map(([name]) => name)
  if (away.length > 0) return new Problem('PEER_AWAY', `no answer from cluster ${away.join(', ')}: it may have comments of ${videoId}`)
  const holders = [said, ...peers.flatMap(([, peer]) => peer ?? [])].filter(({ cluster: name, head }) => head !== '0' && name !== cluster).map(({ cluster: name }) => name)
  if (holders.length > 0) return new Problem('HAS_ENTRIES', `${videoId} has comments at ${holders.join(', ')}: a video does not move once it has some`)
  const others = peers.flatMap(([name, peer]) => (peer?.home === cluster ? [] : [name]))
  if (cluster === said.cluster && others.length > 0) return new Problem('HOME_ELSEWHERE', `for ${others.join(', ')} the home of ${videoId} is another cluster: run this command there first, and here last`)
  return undefined
}

export function homeText({ videoId, home, named, said }: HomeAnswer): string {
  if (home === null) return `This cluster is by itself: it is the home of every video.\n`
  const others = Object.entries(said?.peers ?? {}).flatMap(([name, peer]) => (peer === null ? [`cluster ${name} does not answer\n`] : peer.home === home ? [] : [`for cluster ${name} it is ${peer.home}: name the home in each cluster, there last\n`]))
  return `The home of ${videoId} is ${home}, ${named ? 'by an operator\'s word' : 'by DEFAULT_HOME or the hash'}.\n${others.join('')}`
}
