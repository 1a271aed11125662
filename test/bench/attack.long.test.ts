import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Outcome } from '../../bench/run.js'
import { run } from '../support/cluster.js'

interface Run {
  readonly attacked: boolean
  readonly outcome: Outcome
  readonly descriptors: number
  readonly held: number
  readonly pages: number
  readonly joins: number
  readonly messages: number
  readonly newcomerMs: { readonly p50?: number }
  readonly refused: Readonly<Record<string, number>>
}

t.test('viewers and posters lose nothing beside a small attack, and the flood is refused', async t => {
  const json = join(t.testdir(), 'run.json')
  const small = { viewers: 20, checked: 20, rate: 20, headers: 100, bodies: 50, deaf: 50, silent: 50, readers: 20, resumers: 5, joiners: 20, shouters: 5, flood: 200, connections: 300, duration: 3 }
  const { status, stdout, stderr } = await run(['bench', 'attack', ...Object.entries(small).flatMap(([name, value]) => [`--${name}`, String(value)]), '--json', json])
  t.equal(status, 0, stderr)
  t.match(stdout, /^quiet .* nothing .*\nunder attack .* nothing /m)
  const { runs } = JSON.parse(readFileSync(json, 'utf8')) as { runs: Run[] }
  const [quiet, attacked] = runs as [Run, Run]
  t.match(quiet, { attacked: false, outcome: { correct: true }, held: 0, refused: { connections_per_address: 0, descriptors: 0 } })
  t.match(attacked, { attacked: true, outcome: { correct: true, posted: 120 } })
  t.ok(attacked.held >= 225, `${attacked.held} held`)
  t.ok(attacked.refused['connections_per_address']! > 100, JSON.stringify(attacked.refused))
  t.ok(attacked.pages > 20 && attacked.joins > 20, `${attacked.pages} pages, ${attacked.joins} joins`)
  t.ok(attacked.messages > 20, `${attacked.messages} posts by WebSocket`)
  t.ok(quiet.newcomerMs.p50! > 0 && attacked.newcomerMs.p50! > 0)
  t.ok(attacked.descriptors < 1_500, `${attacked.descriptors} descriptors`)
})
