import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { joinConnectStrings } from '../registry/zookeeper/connect-string.js'
import { readCredentials, type Credentials } from '../registry/zookeeper/credentials.js'
import { Problem } from './output.js'

/** A process as a local cluster records it; its pid is null while it is down. */
const member = z.object({ id: z.string(), pid: z.number().nullable(), url: z.string().nullable(), internalUrl: z.string().nullable() })
const record = z.object({
  /** Absent where an older version wrote it. */
  cluster: z.object({ id: z.string(), name: z.string() }).optional(),
  /** Relative to the folder; absent where there are no credentials for ZooKeeper, or they are in no file. */
  zookeeperAuthFile: z.string().optional(),
  zookeeper: z.array(member),
  gateways: z.array(member),
  dispatchers: z.array(member),
  edges: z.array(member),
})

/** The content of a data folder's cluster.json. */
export type RunningCluster = z.infer<typeof record>

/** The data folder of a local cluster. */
export interface DataFolder {
  readonly path: string
  /** As the operator calls it. */
  readonly name: string
  /** By --data; else it is the default. */
  readonly isGiven: boolean
}

/** The folder of --data, else ./data. */
export function dataFolder(flag: string | undefined, folder: string): DataFolder {
  return flag === undefined ? { path: join(folder, 'data'), name: './data', isGiven: false } : { path: resolve(folder, flag), name: flag, isGiven: true }
}

/** The cluster that runs on a data folder; undefined if none does.
 * @throws Problem if the file cannot be read, or --data names a folder on which none runs */
export function runningCluster({ path, name, isGiven }: DataFolder): RunningCluster | undefined {
  const file = join(path, 'cluster.json')
  if (!existsSync(file)) {
    if (isGiven) throw new Problem('NO_CLUSTER', `no local cluster runs on ${name}: it has no cluster.json`)
    return undefined
  }
  try {
    return record.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new Problem('CLUSTER_FILE_DAMAGED', `${name}/cluster.json was not written by a local cluster; remove it, or give the addresses by flags (--help)`, { cause })
  }
}

/** The value of ZOOKEEPER_CONNECT for that cluster: all its servers. */
export function zookeeperOf({ zookeeper }: RunningCluster): string | undefined {
  return joinConnectStrings(zookeeper.flatMap(({ url }) => url ?? [])) || undefined
}

/** The parts' credentials for the ZooKeeper at `connect`, if a cluster of the folder uses it; undefined if there are none or
 * they belong to another user. */
export function runningAuth(folder: DataFolder, connect: string): Credentials | undefined {
  try {
    const running = runningCluster(folder)
    if (running?.zookeeperAuthFile === undefined || zookeeperOf(running) !== connect) return undefined
    return readCredentials(resolve(folder.path, running.zookeeperAuthFile))
  } catch {
    return undefined
  }
}

/** Secrets that `npm start` keeps in its data folder: the token that all parts share; one that names an author. */
export const INTERNAL_TOKEN = 'internal-token'
export const AUTHOR_TOKEN = 'author-token'

/** What stands in a file of the data folder; undefined if there is none or it belongs to another user. */
export function readFrom({ path }: DataFolder, name: string): string | undefined {
  try {
    return readFileSync(join(path, name), 'utf8').trim()
  } catch {
    return undefined
  }
}
