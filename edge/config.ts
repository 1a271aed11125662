import { z } from 'zod'
import { zookeeperVariables } from '../registry/variables.js'
import { identityConflicts, identityVariables } from '../runtime/auth/config.js'
import { configure } from '../runtime/config.js'
import { tlsConflicts, tlsVariables } from '../runtime/tls/config.js'
import { count, nodeVariables, publicVariables, tokenConflicts } from '../runtime/variables.js'

export const edgeVariables = {
  ...nodeVariables('edge', 9081),
  ...zookeeperVariables,
  ...publicVariables(8081),
  ...tlsVariables,
  ...identityVariables,
  EDGE_CAPACITY: count(15_000).describe('most viewers that the edge takes'),
  EDGE_GZIP_LEVEL: z.string().regex(/^[1-9]$/, 'must be 1 to 9').transform(Number).default(6).describe('compression level for viewers that accept gzip, 1 to 9'),
  EDGE_GZIP_MIN_VIEWERS: count(4).describe('viewers that a video needs on the edge before its flushes are compressed'),
}

export function edgeConfig(argv: readonly string[], env: NodeJS.ProcessEnv) {
  return configure('edge', edgeVariables, argv, env, (given, isSound) => [...identityConflicts(given), ...tlsConflicts(given), ...tokenConflicts(env, isSound)])
}
