import { configure, count, nodeVariables, publicVariables } from '../registry/node/config.js'

export const edgeVariables = {
  ...nodeVariables('edge', 9081),
  ...publicVariables(8081),
  EDGE_CAPACITY: count(15_000).describe('viewers it takes'),
}

export type EdgeConfig = ReturnType<typeof edgeConfig>

export function edgeConfig(argv: readonly string[], env: NodeJS.ProcessEnv) {
  return configure('edge', edgeVariables, argv, env)
}
