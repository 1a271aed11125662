import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isCassandra } from '../dispatcher/store/cassandra/address.js'
import { readConfig } from '../runtime/config.js'
import { Misuse } from './output.js'
import type { DataFolder } from './running-cluster.js'

/** Where the comments of a cluster are, on this machine. */
export interface StorePath {
  readonly path: string
  /** Where it comes from, for messages. */
  readonly source: string
}

/** Finds the store's file by --store, --data, STORE_URL or ./data, in that order.
 * @param folder the working directory
 * @throws Misuse where none of them names a file; ConfigError for a bad STORE_URL */
export async function storePath(flag: string | undefined, env: NodeJS.ProcessEnv, data: DataFolder, folder: string): Promise<StorePath> {
  if (flag !== undefined) return { path: resolve(folder, flag), source: 'from --store' }
  const ofFolder = { path: join(data.path, 'comments.db'), source: `in ${data.name}` }
  if (data.isGiven) return ofFolder
  if (env['STORE_URL']) {
    const { sqlitePath, storeVariables } = await import('../dispatcher/config.js')
    const { STORE_URL } = readConfig(env, { STORE_URL: storeVariables.STORE_URL })
    if (isCassandra(STORE_URL)) throw new Misuse('backup and restore are for a store that is a file, and STORE_URL names Cassandra: make snapshots with nodetool there')
    return { path: sqlitePath(STORE_URL), source: 'from STORE_URL' }
  }
  if (existsSync(data.path)) return ofFolder
  throw new Misuse(
    'which store is meant? Name its file, on the dispatchers\' machine, by one of\n' +
      '  --store FILE\n' +
      '  --data FOLDER    the data folder of npm start\n' +
      '  STORE_URL        in the environment\n' +
      'or do it where the ./data of a cluster is.',
  )
}
