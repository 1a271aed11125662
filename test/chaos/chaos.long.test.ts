import t from 'tap'
import { readOptions } from './options.js'
import { isGood, report } from './report.js'
import { run } from './run.js'

t.setTimeout(400_000)

t.test('a short run of every fault breaks no promise', async t => {
  const options = readOptions(['--seconds', '25', '--seed', '7', '--viewers', '150', '--videos', '20', '--rate', '80'])!
  const outcome = await run(options, line => t.comment(line))
  const { ledger, verdict } = outcome
  t.ok(isGood(outcome), isGood(outcome) ? 'no promise was broken' : report(outcome))
  t.same([...ledger.posts()].filter(({ failed }) => failed), [], 'every post was answered 201')
  t.same(ledger.acts().filter(({ failed }) => failed), [], 'every act was done')
  t.ok(verdict.deliveries > ledger.acknowledged, 'everything acknowledged was held against what viewers saw')
  t.ok(outcome.done.length > 4, 'faults were done')
})
