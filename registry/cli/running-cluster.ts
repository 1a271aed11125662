import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { Problem } from './output.js'

/** One process, as `npm start` writes it down; its pid is null while it is down. */
const member = z.object({ id: z.string(), pid: z.number().nullable(), url: z.string().nullable(), internalUrl: z.string().nullable() })
const record = z.object({
  /** Absent where an older version wrote it. */
  cluster: z.object({ id: z.string(), name: z.string() }).optional(),
  zookeeper: z.array(member),
  gateways: z.array(member),
  dispatchers: z.array(member),
  edges: z.array(member),
})

/** What cluster.json of a data folder holds. */
export type RunningCluster = z.infer<typeof record>

/** A data folder of `npm start`. */
export interface DataFolder {
  readonly path: string
  /** As the operator calls it. */
  readonly name: string
  /** By --data, not because it is where we are. */
  readonly isGiven: boolean
}

/** The folder of --data, else ./data where we are. */
export function dataFolder(flag: string | undefined, folder: string): DataFolder {
  return flag === undefined ? { path: join(folder, 'data'), name: './data', isGiven: false } : { path: resolve(folder, flag), name: flag, isGiven: true }
}

/** The cluster that runs on a data folder; undefined where none does.
 * @throws Problem for a file that cannot be read, and where --data names a folder on which none runs */
export function runningCluster({ path, name, isGiven }: DataFolder): RunningCluster | undefined {
  const file = join(path, 'cluster.json')
  if (!existsSync(file)) {
    if (isGiven) throw new Problem(`no cluster of npm start runs on ${name}: ${join(name, 'cluster.json')} is not there`)
    return undefined
  }
  try {
    return record.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch (cause) {
    throw new Problem(`${name}/cluster.json is not what npm start writes; remove it, or name what it would tell by flags (--help)`, { cause })
  }
}

/** The token of its parts; undefined where there is none, or it is another user's. */
export function runningToken({ path }: DataFolder): string | undefined {
  try {
    return readFileSync(join(path, 'internal-token'), 'utf8').trim()
  } catch {
    return undefined
  }
}
