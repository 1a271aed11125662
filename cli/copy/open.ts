import { existsSync } from 'node:fs'
import { isCassandra } from '../../dispatcher/store/cassandra/address.js'
import { readConfig } from '../../runtime/config.js'
import { Misuse, Problem } from '../output.js'
import type { CassandraConfig } from '../../dispatcher/store/cassandra/open.js'
import type { CopiedStore } from './copied-store.js'

export type End = 'from' | 'to'

/** Opens the store that a flag names. The password and certificates of a Cassandra come from the environment, as for dispatchers.
 * @param url as STORE_URL
 * @throws Misuse for a URL that is none; ConfigError; Problem where there is no store, or it cannot be used */
export async function openStore(end: End, url: string, env: NodeJS.ProcessEnv): Promise<CopiedStore> {
  const { sqlitePath, storeConflicts, storeVariables } = await import('../../dispatcher/config.js')
  const { STORE_PASSWORD, STORE_PASSWORD_FILE, STORE_CA_FILE } = env
  try {
    readConfig({ STORE_URL: url }, { STORE_URL: storeVariables.STORE_URL })
  } catch (error) {
    throw new Misuse(`--${end}: ${(error as Error).message.replace(/^STORE_URL: /, '')}`)
  }
  if (!isCassandra(url)) return openFile(end, sqlitePath(url))
  const hasUser = /^cassandra:\/\/[^/]*@/.test(url)
  const given = { STORE_URL: url, ...(hasUser ? { STORE_PASSWORD, STORE_PASSWORD_FILE } : {}), ...(/[?&]tls=on(&|$)/.test(url) ? { STORE_CA_FILE } : {}) }
  return openCassandra(end, readConfig(given, storeVariables, storeConflicts))
}

async function openFile(end: End, path: string): Promise<CopiedStore> {
  const { SqliteRows } = await import('./sqlite-rows.js')
  if (end === 'from' && !existsSync(path)) throw new Problem('NO_STORE', `--from: there is no store at ${path}`)
  try {
    return end === 'from' ? SqliteRows.source(path) : SqliteRows.target(path)
  } catch (error) {
    throw new Problem('STORE_UNUSABLE', `--${end}: ${(error as Error).message}`, { cause: error })
  }
}

async function openCassandra(end: End, config: CassandraConfig): Promise<CopiedStore> {
  const [{ CassandraRows }, { CassandraStore }, { clusterOf }, { parseCassandraUrl }] = await Promise.all([
    import('./cassandra-rows.js'),
    import('../../dispatcher/store/cassandra/cassandra.js'),
    import('../../dispatcher/store/cassandra/open.js'),
    import('../../dispatcher/store/cassandra/address.js'),
  ])
  const { keyspace, dataCentre, contactPoints } = parseCassandraUrl(config.STORE_URL)
  const cql = clusterOf(config)
  const name = `cassandra://${contactPoints.join(',')}/${keyspace}`
  try {
    const { id } = await new CassandraStore({ cql, keyspace, dataCentre, path: name, limits: PATIENT }).look()
    return await CassandraRows.open({ cql, keyspace, id, name })
  } catch (error) {
    await cql.close()
    const { reason, message } = error as Error & { reason?: string }
    if (reason === 'FILE_MISSING') throw new Problem('NO_STORE', `--${end}: there is no store in ${name}: store init makes its keyspace and tables`, { cause: error })
    throw new Problem('STORE_UNUSABLE', `--${end}: ${name}: ${reason ?? message}`, { cause: error })
  }
}

/** Nobody waits for a copy as a poster does. */
const PATIENT = { appendMs: 10_000, statementMs: 10_000, pageMs: 10_000, lastIdsMs: 10_000, lookMs: 10_000 }
