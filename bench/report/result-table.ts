import { table, number, type Column } from '../../cli/table.js'
import type { Outcome } from '../run.js'

const right = 'right' as const
const columns: readonly Column[] = [
  { head: 'system' },
  { head: 'viewers', align: right },
  { head: 'comments/s', align: right },
  { head: 'deliveries/s', align: right },
  { head: 'per CPU-s', align: right },
  { head: 'whole system', align: right },
  { head: 'p50 ms', align: right },
  { head: 'p99', align: right },
  { head: 'p99.9', align: right },
  { head: 'behind ms', align: right },
  { head: 'bytes', align: right },
  { head: 'KB/viewer', align: right },
  { head: 'loop ms', align: right },
  { head: 'verdict' },
]

/** A line a run; what the columns mean stands in bench/README.md. */
export function resultTable(outcomes: readonly Outcome[]): string {
  return table(columns, outcomes.map(row), process.stdout.isTTY && !process.env['NO_COLOR'])
}

function row(outcome: Outcome): string[] {
  const { latencyMs } = outcome
  return [
    outcome.system,
    number(outcome.viewers),
    number(outcome.rate),
    whole(outcome.deliveriesPerSecond),
    whole(outcome.deliveriesPerCpuSecond),
    whole(outcome.deliveriesPerSystemCpuSecond),
    ms(latencyMs?.p50),
    ms(latencyMs?.p99),
    ms(latencyMs?.p999),
    `${outcome.gaveUp ? '> ' : ''}${whole(outcome.lagMs)}`,
    outcome.bytesPerDelivery.toFixed(0),
    (outcome.memoryPerViewer / 1024).toFixed(1),
    ms(outcome.loopDelayMs),
    verdict(outcome),
  ]
}

/** `kept up`, or how far it came, or what was wrong, in a few words. */
export function verdict({ keptUp, correct, failed, posted, deliveredShare, faults, refused, firstError }: Outcome): string {
  if (keptUp) return 'kept up'
  if (correct) return 'did not keep up'
  if (!failed) {
    const asked = Object.values(refused).reduce((sum, count) => sum + count, posted)
    const lost = faults.lost > 0 ? `, ${number(faults.lost)} viewers lost` : ''
    return `did not keep up: took ${number(posted)} of ${number(asked)} posts, delivered ${Math.floor(100 * deliveredShare)}% of those${lost}`
  }
  const wrong = [...(Object.entries(faults) as [string, number][]), ...Object.entries(refused).map(([status, count]): [string, number] => [status === '0' ? 'posts not taken' : `posts answered ${status}`, count])]
    .filter(([, count]) => count > 0)
    .map(([name, count]) => `${number(count)} ${name}`)
  return `FAILED: ${wrong.join(', ')}${firstError ? ` (${firstError})` : ''}`
}

export function ms(value: number | undefined): string {
  return value === undefined ? '-' : value < 10 ? value.toFixed(1) : value.toFixed(0)
}

export function whole(value: number): string {
  return Number.isFinite(value) ? number(Math.round(value)) : '-'
}
