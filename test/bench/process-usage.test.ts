import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { processorUse } from '../../bench/measure/process-usage.js'

t.test('a process\'s work and its wake-ups are counted', async t => {
  const before = processorUse(process.pid)
  for (let i = 0; i < 20; i++) await sleep(2)
  const woken = processorUse(process.pid)
  t.ok(woken.wakeUps - before.wakeUps >= 15, `${woken.wakeUps - before.wakeUps} wake-ups`)
  for (const until = performance.now() + 50; performance.now() < until; );
  t.ok(processorUse(process.pid).seconds > woken.seconds)
  t.same(processorUse(2 ** 30), { seconds: 0, wakeUps: 0 }, 'of no process')
})
