import { z } from 'zod'
import { isClusterName } from '../protocol/nodes.js'
import { parsedBy } from '../runtime/config.js'
import { acceptedTokens } from '../runtime/peers/internal-token.js'
import { TOKENS, TOKENS_RULE } from '../runtime/variables.js'

/** Another cluster, as PEERS names it. */
export interface PeerCluster {
  readonly name: string
  /** The internal ports of its gateways, or of what stands before them. */
  readonly urls: readonly string[]
}

/** Which other clusters there are. Each is undefined where this cluster is by itself. */
export interface PeerConfig {
  readonly CLUSTER_NAME?: string | undefined
  readonly PEERS?: readonly PeerCluster[] | undefined
  readonly PEER_TOKEN?: string | undefined
  readonly DEFAULT_HOME?: string | undefined
}

const NAME_RULE = 'must be 1 to 32 of a-z 0-9 -'
const clusterName = z.string().refine(isClusterName, NAME_RULE)

/** Gateways and dispatchers read them. */
export const peerVariables = {
  CLUSTER_NAME: clusterName.optional().describe('this cluster\'s name among several; needed with PEERS'),
  PEERS: parsedBy(parsePeers).optional().describe('the other clusters, NAME=URL[,NAME=URL...]: URLs of their gateways\' internal ports; unset: there are none'),
  PEER_TOKEN: z.string().regex(TOKENS, TOKENS_RULE).optional().describe('secret shared by all clusters, or several, comma-separated; the first is sent, any is accepted; needed with PEERS'),
  DEFAULT_HOME: clusterName.optional().describe('home cluster of each video for which operators have named no other; unset: a hash spreads videos over all clusters'),
}

/** NAME=URL[,NAME=URL...]: a name that stands there again has another gateway.
 * @throws Error with the rule that it breaks */
export function parsePeers(text: string): PeerCluster[] {
  const urls = new Map<string, string[]>()
  for (const part of text.split(',')) {
    const at = part.indexOf('=')
    const [name, given] = [part.slice(0, Math.max(0, at)).trim(), part.slice(at + 1).trim()]
    if (at < 0) throw new Error('must be NAME=URL[,NAME=URL...]')
    if (!isClusterName(name)) throw new Error(`name ${JSON.stringify(name)} ${NAME_RULE}`)
    const url = URL.canParse(given) ? new URL(given) : undefined
    if (!url || !/^https?:$/.test(url.protocol)) throw new Error(`the URL of ${name} must be an http or https URL`)
    if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') throw new Error(`the URL of ${name} must have a host and a port, and nothing else`)
    const known = urls.get(name) ?? []
    if (known.includes(url.origin)) throw new Error(`the URL of ${name} must not stand there twice`)
    urls.set(name, [...known, url.origin])
  }
  return Array.from(urls, ([name, each]) => ({ name, urls: each }))
}

/** Which of these variables do not fit together, one line each. */
export function peerConflicts(given: Readonly<Record<string, unknown>>): string[] {
  const text = (name: string): string | undefined => (typeof given[name] === 'string' ? given[name] : undefined)
  const [self, peers, token, fallback] = [text('CLUSTER_NAME'), text('PEERS'), text('PEER_TOKEN'), text('DEFAULT_HOME')]
  if (peers === undefined) return ['PEER_TOKEN', 'DEFAULT_HOME'].filter(name => text(name) !== undefined).map(name => `${name}: needs PEERS`)
  const names = peers.split(',').map(part => part.split('=', 1)[0]!.trim())
  const own = acceptedTokens(text('INTERNAL_TOKEN') ?? '')
  return [
    ...(self === undefined ? ['CLUSTER_NAME: must be set where PEERS is'] : []),
    ...(token === undefined ? ['PEER_TOKEN: must be set where PEERS is'] : []),
    ...(self !== undefined && names.includes(self) ? ['PEERS: must name the other clusters, and not CLUSTER_NAME'] : []),
    ...(token !== undefined && acceptedTokens(token).some(each => own.includes(each)) ? ['PEER_TOKEN: must not be an INTERNAL_TOKEN, which opens all of a cluster'] : []),
    ...(fallback !== undefined && fallback !== self && !names.includes(fallback) ? ['DEFAULT_HOME: must be CLUSTER_NAME or a name in PEERS'] : []),
  ]
}
