import Table from 'cli-table3'
import { MIXES } from './mixes.js'
import type { Result } from './simulation.js'

/** What was run, a line for each mix. */
export function tableOf(results: readonly Result[]): string {
  const table = new Table({ head: ['mix', 'seeds', 'posted', 'acked', 'deliveries', 'skipped', 'gaps', 'faults', 'acts', 'worst ms', 'violations'], style: { head: [], border: [] } })
  const sum = (list: readonly Result[], read: (result: Result) => number) => list.reduce((total, result) => total + read(result), 0)
  const row = (name: string, list: readonly Result[]) => [
    name,
    list.length,
    sum(list, ({ posted }) => posted),
    sum(list, ({ acked }) => acked),
    sum(list, ({ deliveries }) => deliveries),
    sum(list, ({ skipped }) => skipped),
    sum(list, ({ gaps }) => gaps),
    sum(list, ({ faults }) => faults),
    sum(list, ({ acts }) => acts),
    Math.round(Math.max(0, ...list.map(({ worst }) => worst.latencyMs))),
    list.filter(({ violations }) => violations.length > 0).length,
  ]
  for (const mix of MIXES) {
    const list = results.filter(result => result.mix === mix)
    if (list.length > 0) table.push(row(mix, list))
  }
  table.push(row('in all', results))
  return table.toString()
}
