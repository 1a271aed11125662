import { parseCassandraUrl } from './address.js'
import { CassandraStore, type CassandraOptions } from './cassandra.js'
import { Cluster } from './cluster.js'

/** Where a Cassandra is and who we are to it, as the variables say. */
export interface CassandraConfig {
  readonly STORE_URL: string
  readonly STORE_PASSWORD?: string | undefined
  readonly STORE_PASSWORD_FILE?: string | undefined
  readonly STORE_CA_FILE?: string | undefined
}

/** Does not connect yet. @param config checked: STORE_PASSWORD_FILE is the file's content */
export function clusterOf({ STORE_URL, STORE_PASSWORD, STORE_PASSWORD_FILE, STORE_CA_FILE }: CassandraConfig): Cluster {
  return new Cluster({ address: parseCassandraUrl(STORE_URL), password: STORE_PASSWORD ?? STORE_PASSWORD_FILE, caFile: STORE_CA_FILE })
}

/** Does not connect yet. */
export function openCassandra(config: CassandraConfig, options: Omit<CassandraOptions, 'cql' | 'keyspace' | 'dataCentre' | 'path'>): CassandraStore {
  const { keyspace, dataCentre, contactPoints } = parseCassandraUrl(config.STORE_URL)
  return new CassandraStore({ ...options, cql: clusterOf(config), keyspace, dataCentre, path: `cassandra://${contactPoints.join(',')}/${keyspace}` })
}
