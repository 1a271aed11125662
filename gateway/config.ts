import { z } from 'zod'
import { peerConflicts, peerVariables } from '../registry/peer-clusters.js'
import { zookeeperVariables } from '../registry/variables.js'
import { identityConflicts, identityVariables } from '../runtime/auth/config.js'
import { configure } from '../runtime/config.js'
import { limit } from '../runtime/limits/limit.js'
import { tlsConflicts, tlsRedirectVariables, tlsVariables } from '../runtime/tls/config.js'
import { count, gzipVariables, nodeVariables, publicVariables, tokenConflicts } from '../runtime/variables.js'

const postRate = (fallback: number) => limit(fallback, /^[0-9]{1,6}(\.[0-9]{1,3})?$/, 'must be a number of posts a second; 0: no limit')

const atLeastOne = z.string().regex(/^[1-9][0-9]{0,14}$/, 'must be a whole number, 1 or more').transform(Number)

export const gatewayVariables = {
  ...nodeVariables('gateway', 9080),
  ...zookeeperVariables,
  ...peerVariables,
  ...publicVariables(8080),
  SHARE_PORT: z.enum(['true', 'false'], 'must be true or false').default('false').transform(text => text === 'true').describe('true: other gateways on this machine may listen on the same PORT, and Linux spreads connections over them'),
  ...tlsVariables,
  ...tlsRedirectVariables,
  ...identityVariables,
  ...gzipVariables,
  EDGE_VIDEO_SHARE: atLeastOne.default(10_000).describe('most viewers of one video that are placed on one edge'),
  JOIN_RATE: atLeastOne.default(500).describe('new viewers placed on edges per second; up to 4 s\' worth of others wait in line, the rest reconnect later'),
  POST_RATE_LIMIT: postRate(5).describe('posts per second by one author with a token, twice as many in a burst; 0: no limit'),
  POST_RATE_LIMIT_PER_ADDRESS: postRate(100).describe('posts per second from one address, twice as many in a burst; 0: no limit'),
  STREAMS_PER_AUTHOR: limit(20).describe('open streams per author with a token; 0: no limit'),
  DRAIN_MS: count(1_000).describe('time over which a stopping gateway ends its streams, ms'),
}

export type GatewayConfig = ReturnType<typeof gatewayConfig>

export function gatewayConfig(argv: readonly string[], env: NodeJS.ProcessEnv) {
  return configure('gateway', gatewayVariables, argv, env, (given, isSound) => [...identityConflicts(given), ...tlsConflicts(given), ...shareConflicts(given, process.platform), ...peerConflicts(given), ...tokenConflicts(env, isSound)])
}

/** Why the port cannot be shared, one line. */
export function shareConflicts({ SHARE_PORT, PORT }: Readonly<Partial<Record<string, unknown>>>, platform: NodeJS.Platform): string[] {
  if (SHARE_PORT !== 'true') return []
  if (platform !== 'linux') return ['SHARE_PORT: must be false, since only Linux spreads connections over the processes that share a port']
  return PORT === '0' ? ['SHARE_PORT: needs a PORT other than 0'] : []
}
