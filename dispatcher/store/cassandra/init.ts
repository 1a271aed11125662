import { newName } from '../name.js'
import type { Cql } from './cql.js'
import { addColumns, createKeyspace, createTables, SCHEMA_VERSION } from './schema.js'
import { Statements } from './statements.js'

export interface InitOptions {
  readonly cql: Pick<Cql, 'read' | 'writeIf'> & { define(cql: string): Promise<void> }
  readonly keyspace: string
  /** The data centre whose majority decides the order of comments from now on. */
  readonly dataCentre: string
  /** How many replicas each data centre has. */
  readonly replication: ReadonlyMap<string, number>
}

/** What was there before, or has been made. */
export interface Initialized {
  readonly id: string
  readonly isNew: boolean
}

const WRITE_MS = 10_000

/** Makes the keyspace, its tables, the columns that a later version has added and the store's identity, each where it is missing. What is there stays as it is: another
 * replication is for `ALTER KEYSPACE`. @throws CallError */
export async function initStore({ cql, keyspace, dataCentre, replication }: InitOptions): Promise<Initialized> {
  await cql.define(createKeyspace(keyspace, replication))
  for (const statement of [...createTables(keyspace), ...addColumns(keyspace)]) await cql.define(statement)
  const statements = new Statements(keyspace)
  const refused = await cql.writeIf([statements.insertStore(newName(), newName(), SCHEMA_VERSION, dataCentre)], WRITE_MS)
  const [row] = await cql.read(statements.store(), WRITE_MS, true)
  return { id: String(row?.['id']), isNew: refused === undefined }
}
