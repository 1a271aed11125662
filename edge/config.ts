import { zookeeperVariables } from '../registry/variables.js'
import { identityConflicts, identityVariables } from '../runtime/auth/config.js'
import { configure } from '../runtime/config.js'
import { tlsConflicts, tlsVariables } from '../runtime/tls/config.js'
import { count, gzipVariables, nodeVariables, publicVariables, tokenConflicts } from '../runtime/variables.js'

export const edgeVariables = {
  ...nodeVariables('edge', 9081),
  ...zookeeperVariables,
  ...publicVariables(8081),
  ...tlsVariables,
  ...identityVariables,
  EDGE_CAPACITY: count(15_000).describe('most viewers that the edge takes'),
  ...gzipVariables,
}

export function edgeConfig(argv: readonly string[], env: NodeJS.ProcessEnv) {
  return configure('edge', edgeVariables, argv, env, (given, isSound) => [...identityConflicts(given), ...tlsConflicts(given), ...tokenConflicts(env, isSound)])
}
