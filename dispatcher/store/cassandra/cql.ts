/** What is bound to a statement; null is written or compared as such, undefined is left out. */
export type Value = string | number | readonly string[] | null | undefined

/** Columns by name: strings, numbers, and null where there is none. */
export type Row = Readonly<Record<string, unknown>>

export interface Statement {
  readonly cql: string
  readonly params: readonly Value[]
}

/** Statements on their way to Cassandra and back. Each rejects with CallError, after `timeoutMs` at the latest. */
export interface Cql {
  /** By a majority of the data centre's replicas.
   * @param serial sees the effect of every conditional write that has one, decided or being decided */
  read(statement: Statement, timeoutMs: number, serial?: boolean): Promise<readonly Row[]>
  /** May be repeated, and must come to the same then. */
  write(statement: Statement, timeoutMs: number): Promise<void>
  /** All of it or nothing, of one partition; each condition must hold.
   * @returns undefined when it was done, else the row that did not meet its condition */
  writeIf(statements: readonly Statement[], timeoutMs: number): Promise<Row | undefined>
}
