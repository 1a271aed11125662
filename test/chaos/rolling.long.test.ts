import t from 'tap'
import { readOptions } from './options.js'
import { isGood, report } from './report.js'
import { run } from './run.js'

t.setTimeout(230_000)

t.test('every process is restarted under load: no promise is broken, and no post fails', async t => {
  const options = readOptions(['--seconds', '10', '--seed', '1', '--faults', 'rolling', '--viewers', '100', '--videos', '20', '--rate', '60'])!
  const outcome = await run(options, line => t.comment(line))
  t.ok(isGood(outcome), isGood(outcome) ? 'no promise was broken' : report(outcome))
  t.same([...outcome.ledger.posts()].filter(({ failed }) => failed), [], 'every post was answered 201')
})
