import t from 'tap'
import { readOptions } from './options.js'
import { isGood, report } from './report.js'
import { run } from './run.js'

t.setTimeout(120_000)

t.test('an edge is killed under load: no promise is broken', async t => {
  // Of this seed the first fault is an edge's, and there is time for no second one.
  const options = readOptions(['--seconds', '7', '--seed', '7', '--faults', 'kill', '--gateways', '1', '--dispatchers', '1', '--edges', '2', '--viewers', '60', '--videos', '10', '--rate', '60'])!
  const outcome = await run(options, line => t.comment(line))
  const { ledger, verdict, done } = outcome
  t.ok(isGood(outcome), isGood(outcome) ? 'no promise was broken' : report(outcome))
  t.same([...ledger.posts()].filter(({ failed }) => failed), [], 'every post was answered 201')
  t.ok(verdict.deliveries > ledger.acknowledged, 'everything acknowledged was held against what viewers saw')
  t.same(done.map(({ name }) => name), ['kill edge'])
})
