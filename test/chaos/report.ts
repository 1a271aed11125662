import Table from 'cli-table3'
import type { Outcome } from './run.js'
import { faultName, schedule } from './schedule.js'
import { longestAfter } from './silences.js'
import { story } from './story.js'

/** Bounds on the silence after a fault, ms, by the beginning of its name. */
const BOUNDS: readonly (readonly [string, number])[] = [
  ['kill edge', 1_000],
  ['freeze edge', 4_500],
  ['kill dispatcher', 1_000],
]
const SHOWN_VIOLATIONS = 10

/** What a run came to, for the human. */
export function report(outcome: Outcome): string {
  const { ledger, viewers, verdict, closed, options } = outcome
  const posts = [...ledger.posts()]
  const acts = ledger.acts()
  const connections = viewers.flatMap(({ connections }) => connections)
  const ends = (end: string) => connections.filter(connection => connection.end === end).length
  const lines: [string, string | number][] = [
    ['comments posted', posts.length],
    ['acknowledged', ledger.acknowledged],
    ['tried more than once', posts.filter(({ tries }) => tries.length > 1).length],
    ...(options.clusters > 1 ? [['left at 503 HOME_UNAVAILABLE', posts.filter(({ left }) => left).length] as [string, number]] : []),
    ['failed posts', posts.filter(({ failed }) => failed).length],
    ['answers', counted(posts.flatMap(({ tries }) => tries.map(({ outcome = 'none' }) => outcome)))],
    ['longest until a 201', `${ms(Math.max(0, ...posts.map(({ acknowledgedAt, begunAt }) => (acknowledgedAt ?? begunAt) - begunAt)))}`],
    ['acts of moderators', acts.length],
    ['failed acts', acts.filter(({ failed }) => failed).length],
    ['stored', verdict.stored],
    ['viewers', viewers.length],
    ['connections', `${connections.length} (${ends('ended')} ended, ${ends('broken')} broken, ${ends('unreachable')} refused)`],
    ['deliveries checked', verdict.deliveries],
    ['gaps', `${verdict.gaps}, naming ${verdict.inGaps} deliveries`],
    ['connections closed that should not be', closed.length],
    ['until everybody had everything', ms(outcome.settledMs)],
    ...(options.clusters > 1 ? [['longest from a healed line to all that was missed', `${ms(longest(outcome.healings.filter(({ alone }) => alone)))} alone, ${ms(longest(outcome.healings))} beside other faults`] as [string, string]] : []),
    ['this process held up, at most', ms(outcome.heldUpMs)],
    ['violations', verdict.violations.length],
  ]
  const table = new Table({ style: { head: [], border: [] }, colAligns: ['left', 'right'] })
  table.push(...lines.map(([what, value]) => [what, String(value)]))
  return `${table.toString()}\n${silenceTable(outcome)}\n${problems(outcome)}${verdict.violations.length + closed.length === 0 ? 'No violation.' : `Again: npm run chaos -- ${again(options)}`}\n`
}

/** Whether every promise was kept. */
export function isGood({ verdict, closed }: Outcome): boolean {
  return verdict.violations.length === 0 && closed.length === 0
}

function silenceTable({ done, silences, options, skipped }: Outcome): string {
  const table = new Table({ head: ['fault', 'done', 'silence alone', 'pause alone', 'silence', 'pause', 'bound'], style: { head: [], border: [] }, colAligns: ['left', 'right', 'right', 'right', 'right', 'right', 'right'] })
  const longest = longestAfter(done, silences)
  const row = (name: string, count: string) => {
    const { alone, any } = longest.get(name) ?? { alone: { owedMs: 0, pauseMs: 0 }, any: { owedMs: 0, pauseMs: 0 } }
    const bound = BOUNDS.find(([start]) => name.startsWith(start))?.[1]
    table.push([name || 'none', count, ms(alone.owedMs), ms(alone.pauseMs), ms(any.owedMs), ms(any.pauseMs), bound === undefined ? '' : `${ms(bound)}${alone.owedMs > bound ? ' MISSED' : ''}`])
  }
  row('', '')
  const names = new Set(schedule({ ...options, kinds: options.faults }).map(faultName))
  for (const name of [...names].sort()) row(name, `${done.filter(each => each.name === name).length}`)
  const left = skipped.length > 0 ? `\nskipped: ${skipped.join(', ')}` : ''
  return `${table.toString()}\nsilence: a viewer waited for comments that were acknowledged; pause: nothing came, posts that were held up included; alone: no other fault was under way${left}`
}

function problems(outcome: Outcome): string {
  const all = [...outcome.verdict.violations, ...outcome.closed]
  if (all.length === 0) return ''
  const list = all.slice(0, SHOWN_VIOLATIONS).map(({ videoId, id, viewer, text }) => `  ${videoId} ${id === undefined ? '' : `comment ${id} `}${viewer ?? 'history'}: ${text}`)
  const more = all.length > SHOWN_VIOLATIONS ? [`  and ${all.length - SHOWN_VIOLATIONS} more`] : []
  return ['VIOLATIONS', ...list, ...more, '', ...story(outcome, all[0]!), ''].join('\n')
}

function again({ seed, seconds, faults, apart, viewers, videos, rate, acts, clusters, gateways, dispatchers, edges, zookeepers, cassandras, watchdog, data }: Outcome['options']): string {
  const cluster = data === undefined ? `--clusters ${clusters} --gateways ${gateways} --dispatchers ${dispatchers} --edges ${edges} --zookeepers ${zookeepers} --cassandras ${cassandras} --watchdog ${watchdog}` : `--data ${data}`
  return `--seed ${seed} --seconds ${seconds} --faults ${faults.join(',') || "''"}${apart ? ' --apart' : ''} --viewers ${viewers} --videos ${videos} --rate ${rate} --acts ${acts} ${cluster}`
}

/** How often each came, the most frequent first. */
function counted(all: readonly string[]): string {
  const counts = new Map<string, number>()
  for (const each of all) counts.set(each, (counts.get(each) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a).map(([each, count]) => `${each}: ${count}`).join('\n')
}

function longest(healings: Outcome['healings']): number {
  return Math.max(0, ...healings.map(({ ms }) => ms))
}

function ms(value: number): string {
  return `${Math.round(value)} ms`
}
