import { isCassandra } from '../dispatcher/store/cassandra/address.js'
import { readConfig } from '../runtime/config.js'
import { Misuse, Problem } from './output.js'

/** The output of `store init --json`. */
export interface InitializedStore {
  /** Of the store, not of the keyspace: a keyspace that is made anew has another. */
  readonly id: string
  readonly keyspace: string
  /** False where it had been made before: then nothing has changed. */
  readonly isNew: boolean
}

const REPLICATION = /^[A-Za-z0-9._-]{1,64}=[1-9][0-9]?(,[A-Za-z0-9._-]{1,64}=[1-9][0-9]?)*$/

/** Replicas of each data centre. @throws Error with the rule that the text breaks */
export function parseReplication(text: string): ReadonlyMap<string, number> {
  if (!REPLICATION.test(text)) throw new Error('must be DATA_CENTRE=REPLICAS[,DATA_CENTRE=REPLICAS...]')
  return new Map(text.split(',').map(part => [part.slice(0, part.indexOf('=')), Number(part.slice(part.indexOf('=') + 1))]))
}

/** Makes the keyspace and tables that STORE_URL names, where they are missing.
 * @throws Misuse where it names no Cassandra, or the data centre gets no replicas; ConfigError; Problem where it fails */
export async function initStore(env: NodeJS.ProcessEnv, replication: ReadonlyMap<string, number> | undefined): Promise<InitializedStore> {
  const { storeConflicts, storeVariables } = await import('../dispatcher/config.js')
  const config = readConfig(env, storeVariables, storeConflicts)
  if (!isCassandra(config.STORE_URL)) throw new Misuse('which Cassandra is meant? Name it by STORE_URL, cassandra://HOST/KEYSPACE?dc=DATA_CENTRE; a file is made by the first dispatcher')
  if (!replication) throw new Misuse('how many replicas? Say it by --replication, such as --replication datacenter1=3')
  const [{ parseCassandraUrl }, { clusterOf }, init] = await Promise.all([
    import('../dispatcher/store/cassandra/address.js'),
    import('../dispatcher/store/cassandra/open.js'),
    import('../dispatcher/store/cassandra/init.js'),
  ])
  const { keyspace, dataCentre } = parseCassandraUrl(config.STORE_URL)
  if (!replication.has(dataCentre)) throw new Misuse(`--replication gives no replicas to ${dataCentre}, the data centre that STORE_URL names`)
  const cluster = clusterOf(config)
  try {
    return { keyspace, ...(await init.initStore({ cql: cluster, keyspace, dataCentre, replication })) }
  } catch (error) {
    throw new Problem('STORE_UNUSABLE', `Cassandra: ${(error as Error).message}`)
  } finally {
    await cluster.close()
  }
}

/** For people. */
export function initializedText({ id, keyspace, isNew }: InitializedStore): string {
  return isNew ? `Keyspace ${keyspace} is store ${id} now; dispatchers that wait for it take it up within a second.\n` : `Keyspace ${keyspace} is store ${id} already; nothing has changed.\n`
}
