import t from 'tap'
import { CalmLog } from '../../registry/calm-log.js'
import { FakeClock } from '../support/fake-clock.js'

t.test('what repeats is logged at once, then each half minute with how often it came', async t => {
  const clock = new FakeClock()
  const lines: unknown[] = []
  const say = (fields: object, event: string) => void lines.push({ event, ...fields })
  const calm = new CalmLog({ log: { info: say, warn: say, error: say } as never, clock })
  for (let second = 0; second < 90; second++) {
    calm.line('warn', 'lost', { second }, 'REFUSED')
    await clock.advance(1_000)
  }
  t.same(lines, [
    { event: 'lost', second: 0 },
    { event: 'lost', second: 30, times: 30 },
    { event: 'lost', second: 60, times: 30 },
  ])
})

t.test('another event, or another kind of one, has lines of its own', async t => {
  const clock = new FakeClock()
  const lines: string[] = []
  const say = (_fields: object, event: string) => void lines.push(event)
  const calm = new CalmLog({ log: { info: say, warn: say, error: say } as never, clock })
  for (const kind of ['A', 'A', 'B', 'B']) calm.line('warn', 'lost', {}, kind)
  calm.line('info', 'found', {})
  t.same(lines, ['lost', 'lost', 'found'])
})
