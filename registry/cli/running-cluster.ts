import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { joinConnectStrings } from '../zookeeper/connect-string.js'
import { Problem } from './output.js'

/** One process, as `npm start` writes it down; its pid is null while it is down. */
const member = z.object({ id: z.string(), pid: z.number().nullable(), url: z.string().nullable(), internalUrl: z.string().nullable() })
const record = z.object({ zookeeper: z.array(member), gateways: z.array(member), dispatchers: z.array(member), edges: z.array(member) })

/** What ./data/cluster.json holds. */
export type RunningCluster = z.infer<typeof record>

/** The cluster that runs on `folder`/data; undefined where none does. @throws Problem for a file that cannot be read */
export function runningCluster(folder: string): RunningCluster | undefined {
  const file = join(folder, 'data', 'cluster.json')
  if (!existsSync(file)) return undefined
  try {
    return record.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new Problem('./data/cluster.json is not what npm start writes; remove it, or name what it would tell by flags (--help)', { cause })
  }
}

/** What ZOOKEEPER_CONNECT takes for that cluster: all its servers. */
export function zookeeperOf({ zookeeper }: RunningCluster): string | undefined {
  return joinConnectStrings(zookeeper.flatMap(({ url }) => url ?? [])) || undefined
}

/** The token of its parts; undefined where there is none, or it is another user's. */
export function runningToken(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'data', 'internal-token'), 'utf8').trim()
  } catch {
    return undefined
  }
}
