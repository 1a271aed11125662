import type { Test } from 'tap'
import { parseCassandraUrl } from '../../../dispatcher/store/cassandra/address.js'
import { CassandraStore, type CassandraOptions } from '../../../dispatcher/store/cassandra/cassandra.js'
import { Cluster } from '../../../dispatcher/store/cassandra/cluster.js'
import type { Cql, Row, Statement } from '../../../dispatcher/store/cassandra/cql.js'
import { initStore } from '../../../dispatcher/store/cassandra/init.js'
import type { Limits } from '../../../dispatcher/store/cassandra/limits.js'
import { DATA_CENTRE, type TestCassandra } from '../../support/cassandra.js'

/** A few comments fill a bucket. */
export const SMALL_BYTES = 2_000
/** No machine is so busy that it takes longer. */
export const PATIENT: Limits = { appendMs: 60_000, statementMs: 20_000, pageMs: 60_000, lastIdsMs: 60_000, lookMs: 60_000 }

let keyspaces = 0

/** Makes an empty store. @returns its keyspace */
export async function newKeyspace(cassandra: TestCassandra): Promise<string> {
  const keyspace = `test_${++keyspaces}`
  const cluster = new Cluster({ address: parseCassandraUrl(cassandra.url(keyspace)) })
  try {
    await initStore({ cql: cluster, keyspace, dataCentre: DATA_CENTRE, replication: new Map([[DATA_CENTRE, 1]]) })
  } finally {
    await cluster.close()
  }
  return keyspace
}

export interface OpenOptions extends Partial<CassandraOptions> {
  /** Of a proxy, where it is reached through one. */
  readonly port?: number
}

/** A handle of its own on a keyspace, with connections of its own. It is closed when `t` ends. */
export function openStore(t: Test, cassandra: TestCassandra, keyspace: string, { port, ...options }: OpenOptions = {}): CassandraStore {
  const address = parseCassandraUrl(cassandra.url(keyspace, port))
  const store = new CassandraStore({ cql: new Cluster({ address }), keyspace, dataCentre: DATA_CENTRE, path: 'cassandra', ...options })
  t.teardown(() => store.close())
  return store
}

/** What goes wrong on the way of conditional writes. */
export type Fault = 'lost answer' | 'lost request'

/** Statements of which some lose their way. */
export class FaultyCql implements Cql {
  /** What the next conditional writes meet, in turn; undefined: nothing. */
  readonly faults: (Fault | undefined)[] = []
  /** Conditional writes so far. */
  writes = 0
  readonly #cql: Cql & { close(): Promise<void> }
  readonly #lost: () => Error

  constructor(cql: Cql & { close(): Promise<void> }, lost: () => Error) {
    this.#cql = cql
    this.#lost = lost
  }

  read(statement: Statement, timeoutMs: number, serial?: boolean): Promise<readonly Row[]> {
    return this.#cql.read(statement, timeoutMs, serial)
  }

  write(statement: Statement, timeoutMs: number): Promise<void> {
    return this.#cql.write(statement, timeoutMs)
  }

  async writeIf(statements: readonly Statement[], timeoutMs: number): Promise<Row | undefined> {
    this.writes++
    const fault = this.faults.shift()
    if (fault === 'lost request') throw this.#lost()
    const refused = await this.#cql.writeIf(statements, timeoutMs)
    if (fault === 'lost answer') throw this.#lost()
    return refused
  }

  close(): Promise<void> {
    return this.#cql.close()
  }
}
