import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { joinConnectStrings } from '../zookeeper/connect-string.js'
import { Problem } from './output.js'

/** A process as `npm start` records it; its pid is null while it is down. */
const member = z.object({ id: z.string(), pid: z.number().nullable(), url: z.string().nullable(), internalUrl: z.string().nullable() })
const record = z.object({ zookeeper: z.array(member), gateways: z.array(member), dispatchers: z.array(member), edges: z.array(member) })

/** The content of ./data/cluster.json. */
export type RunningCluster = z.infer<typeof record>

/** The cluster that runs on `folder`/data; undefined if none does. @throws Problem if the file cannot be read */
export function runningCluster(folder: string): RunningCluster | undefined {
  const file = join(folder, 'data', 'cluster.json')
  if (!existsSync(file)) return undefined
  try {
    return record.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new Problem('./data/cluster.json was not written by npm start; remove it, or give the addresses by flags (--help)', { cause })
  }
}

/** The value of ZOOKEEPER_CONNECT for that cluster: all its servers. */
export function zookeeperOf({ zookeeper }: RunningCluster): string | undefined {
  return joinConnectStrings(zookeeper.flatMap(({ url }) => url ?? [])) || undefined
}

/** Its internal token; undefined if there is none or it belongs to another user. */
export function runningToken(folder: string): string | undefined {
  try {
    return readFileSync(join(folder, 'data', 'internal-token'), 'utf8').trim()
  } catch {
    return undefined
  }
}
