import { expectedNodes } from '../registry/expected-nodes.js'
import type { RegistryWatcher } from '../registry/watcher.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { number, table } from './table.js'

/** A kind of node in the output of `expect --json`. */
export interface HeadcountRow {
  readonly kind: 'gateways' | 'edges' | 'dispatchers'
  /** How many should be there; null where nobody has said. */
  readonly expected: number | null
  readonly announced: number
}

/** How many nodes of each kind should be there, and are. */
export async function headcounts({ view }: RegistryWatcher, zk: Zk): Promise<HeadcountRow[]> {
  const expected = await expectedNodes(zk)
  const row = (kind: HeadcountRow['kind'], nodes: Iterable<unknown>): HeadcountRow => ({ kind, expected: expected[kind] ?? null, announced: [...nodes].length })
  return [row('gateways', view.gateways()), row('edges', view.edges()), row('dispatchers', view.allDispatchers())]
}

export function headcountsTable(rows: readonly HeadcountRow[], colour: boolean): string {
  const columns = [{ head: 'NODES' }, { head: 'EXPECTED', align: 'right' }, { head: 'ANNOUNCED', align: 'right' }] as const
  return table(columns, rows.map(({ kind, expected, announced }) => [kind, expected === null ? '-' : number(expected), number(announced)]), colour)
}
