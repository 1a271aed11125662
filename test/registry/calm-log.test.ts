import t from 'tap'
import { CalmLog } from '../../registry/calm-log.js'
import { FakeClock } from '../support/fake-clock.js'

t.test('what repeats is logged at once, then each half minute with how often it came', async t => {
  const clock = new FakeClock()
  const lines: unknown[] = []
  const say = (fields: object, event: string) => void lines.push({ event, ...fields })
  const calm = new CalmLog({ log: { info: say, warn: say, error: say } as never, clock })
  for (let second = 0; second < 90; second++) {
    calm.warn({ code: 'REFUSED', second }, 'lost')
    await clock.advance(1_000)
  }
  t.same(lines, [
    { event: 'lost', code: 'REFUSED', second: 0 },
    { event: 'lost', code: 'REFUSED', second: 30, times: 30 },
    { event: 'lost', code: 'REFUSED', second: 60, times: 30 },
  ])
})

t.test('another event, or another code of one, has lines of its own', async t => {
  const clock = new FakeClock()
  const lines: string[] = []
  const say = (_fields: object, event: string) => void lines.push(event)
  const calm = new CalmLog({ log: { info: say, warn: say, error: say } as never, clock })
  for (const code of ['A', 'A', 'B', 'B']) calm.warn({ code }, 'lost')
  calm.info({}, 'found')
  t.same(lines, ['lost', 'lost', 'found'])
})
