import { resolve } from 'node:path'
import { z } from 'zod'
import { nodeVariables, readConfig } from '../registry/node/config.js'

/** `sqlite:PATH`, relative to the working folder. */
const storeUrl = z
  .string()
  .regex(/^sqlite:(?!\/\/)[^?#\0]*[^/?#\0]$/, 'must be sqlite:PATH, the path of a file')
  .default('sqlite:./data/comments.db')
  .transform(url => ({ kind: 'sqlite' as const, path: resolve(url.slice('sqlite:'.length)) }))

const variables = { ...nodeVariables('dispatcher', 9082), STORE_URL: storeUrl }

export type DispatcherConfig = ReturnType<typeof dispatcherConfig>

/** @throws ConfigError naming every variable that breaks its rule */
export function dispatcherConfig(env: NodeJS.ProcessEnv) {
  return readConfig(env, variables)
}

export const HELP = `Usage: live-comments dispatcher

Stores comments and sends them to the edges. Configured by environment:

  NODE_ID            its id in the registry (default: host name and "dispatcher")
  INTERNAL_HOST      address to listen on (127.0.0.1)
  INTERNAL_PORT      port to listen on (9082; 0: any free one)
  INTERNAL_URL       where the other parts reach it (default: from the two above)
  INTERNAL_TOKEN     secret shared by the parts, at least 16 characters (none)
  ZOOKEEPER_CONNECT  HOST:PORT[,HOST:PORT...][/CHROOT] (127.0.0.1:2181/live-comments)
  STORE_URL          sqlite:PATH (sqlite:./data/comments.db)
  LOG_LEVEL          trace, debug, info, warn, error, fatal or silent (info)
`
