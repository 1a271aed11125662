import t from 'tap'
import { readOptions } from './options.js'
import { isGood, report } from './report.js'
import { run } from './run.js'

t.setTimeout(400_000)

t.test('a short run of every fault, in two clusters whose line breaks too, breaks no promise', async t => {
  // Of this seed the line is cut both ways for half of the run; then it is well.
  const options = readOptions(['--clusters', '2', '--seconds', '22', '--seed', '4', '--gateways', '1', '--edges', '2', '--viewers', '150', '--videos', '20', '--rate', '80'])!
  const outcome = await run(options, line => t.comment(line))
  const { ledger, verdict, done, healings } = outcome
  const posts = [...ledger.posts()]
  t.ok(isGood(outcome), isGood(outcome) ? 'no promise was broken' : report(outcome))
  t.same(posts.filter(({ failed }) => failed), [], 'every post was answered 201, or left at 503 HOME_UNAVAILABLE')
  t.same(ledger.acts().filter(({ failed }) => failed), [], 'every act was done')
  t.ok(verdict.deliveries > ledger.acknowledged, 'everything acknowledged was held against what viewers saw')
  t.ok(done.length > 4, 'faults were done')
  t.ok(done.some(({ name }) => name === 'line cut'), 'and the line was cut')
  t.ok(posts.some(({ left }) => left), 'posts were refused meanwhile')
  t.ok(healings.length > 0, 'and viewers far from home had the rest when it had healed')
})
