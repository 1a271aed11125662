import { z } from 'zod'
import { zookeeperVariables } from '../registry/variables.js'
import { identityConflicts, identityVariables } from '../runtime/auth/config.js'
import { configure } from '../runtime/config.js'
import { limit } from '../runtime/limits/limit.js'
import { count, nodeVariables, publicVariables } from '../runtime/variables.js'

const postRate = (fallback: number) => limit(fallback, /^[0-9]{1,6}(\.[0-9]{1,3})?$/, 'must be a number of posts a second; 0: no limit')

const atLeastOne = z.string().regex(/^[1-9][0-9]{0,14}$/, 'must be a whole number, 1 or more').transform(Number)

export const gatewayVariables = {
  ...nodeVariables('gateway', 9080),
  ...zookeeperVariables,
  ...publicVariables(8080),
  ...identityVariables,
  EDGE_VIDEO_SHARE: atLeastOne.default(10_000).describe('viewers of one video that one edge is given'),
  JOIN_RATE: atLeastOne.default(500).describe('viewers a second that are placed on edges; more wait in line, or are told to come back'),
  POST_RATE_LIMIT: postRate(5).describe('posts a second of one author whose identity is known, twice as many at once; 0: no limit'),
  POST_RATE_LIMIT_PER_ADDRESS: postRate(100).describe('posts a second from one address, twice as many at once; 0: no limit'),
  STREAMS_PER_AUTHOR: limit(20).describe('streams that one author whose identity is known may have open; 0: any number'),
  DRAIN_MS: count(1_000).describe('time over which viewers are sent away at a stop'),
}

export type GatewayConfig = ReturnType<typeof gatewayConfig>

export function gatewayConfig(argv: readonly string[], env: NodeJS.ProcessEnv) {
  return configure('gateway', gatewayVariables, argv, env, identityConflicts)
}
