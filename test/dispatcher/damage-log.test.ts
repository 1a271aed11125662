import t from 'tap'
import { DamageLog } from '../../dispatcher/damage-log.js'
import { FakeClock } from '../support/fake-clock.js'

function setUp() {
  const clock = new FakeClock()
  const lines: string[] = []
  const say = ({ videoId, reason }: { videoId: string; reason: string }) => void lines.push(`${videoId} ${reason}`)
  return { clock, lines, damage: new DamageLog({ error: say } as never, clock) }
}

t.test('a video that cannot be read is logged at once, then once a minute, each reason by itself', async t => {
  const { clock, lines, damage } = setUp()
  for (const [videoId, reason] of [['v', 'A'], ['v', 'A'], ['v', 'B'], ['w', 'A']] as const) damage.met(videoId, reason)
  t.same(lines, ['v A', 'v B', 'w A'])
  await clock.advance(59_999)
  damage.met('v', 'A')
  t.equal(lines.length, 3)
  await clock.advance(1)
  damage.met('v', 'A')
  t.equal(lines.length, 4)
})

t.test('it remembers 1,000, and forgets first what was logged longest ago', async t => {
  const { clock, lines, damage } = setUp()
  damage.met('first', 'A')
  damage.met('second', 'A')
  await clock.advance(60_000)
  damage.met('first', 'A')
  for (let i = 0; i < 999; i++) damage.met(`v${i}`, 'A')
  t.equal(lines.length, 3 + 999)
  damage.met('first', 'A')
  t.equal(lines.length, 3 + 999, 'the last 1,000 are known')
  damage.met('one more', 'A')
  damage.met('first', 'A')
  t.equal(lines.length, 3 + 999 + 2)
})
