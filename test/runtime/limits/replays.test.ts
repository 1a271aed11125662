import { Registry } from 'prom-client'
import t from 'tap'
import { nextId } from '../../../protocol/id.js'
import { Replay, Replays } from '../../../runtime/limits/replays.js'
import { FakeClock } from '../../support/fake-clock.js'
import { refusals } from '../../support/limits.js'

const MEGABYTE = 1024 * 1024
const far = { after: 1, recent: undefined }

function setUp() {
  const clock = new FakeClock()
  const metrics = new Registry()
  const replays = new Replays({ clock, refusals: refusals(metrics) })
  const begun = (asked: { after: number | undefined; recent: number | undefined }, client: string) => {
    const replay = replays.open(client, asked)
    return replay instanceof Replay ? replay : undefined
  }
  return { clock, metrics, replays, begun }
}

t.test('what a client was sent makes its next replays wait until it is paid off, and nobody else\'s', async t => {
  const { clock, metrics, replays, begun } = setUp()
  const replay = begun(far, 'a')!
  replay.sent(17 * MEGABYTE)
  replay.ended()
  t.equal(replays.open('a', far), 'later')
  t.equal(replays.open('a', { after: undefined, recent: 1 }), 'later')
  t.equal(replays.open('a', { after: undefined, recent: undefined }), undefined, 'it asks for none')
  t.equal(replays.open('a', { after: undefined, recent: 0 }), undefined, 'nor does this one')
  t.ok(begun(far, 'b'))
  t.match(await metrics.metrics(), /live_test_refused_total\{kind="replays"\} 2/)
  await clock.advance(5_000)
  t.ok(begun(far, 'a'))
})

t.test('a client cannot begin many replays before the first is counted; what they did not take is given back', t => {
  const { clock, begun } = setUp()
  const many = (asked: { after: number; recent: undefined }, client: string) => Array.from({ length: 100 }, () => begun(asked, client)).filter(replay => replay !== undefined)
  const [first, second, ...others] = many(far, 'a')
  t.equal(others.length, 3)
  first!.sent(100)
  first!.ended()
  second!.ended()
  t.equal(many(far, 'a').length, 2, 'one took little, one left')
  t.ok(many({ after: nextId(clock.wall() - 1_000, 0), recent: undefined }, 'b').length > 60, 'who was there a moment ago has missed little')
  t.end()
})

t.test('a replay that is larger than expected is charged whole, in however many pieces', t => {
  const { replays, begun } = setUp()
  const replay = begun(far, 'a')!
  for (let i = 0; i < 16; i++) replay.sent(MEGABYTE / 16)
  t.ok(begun({ after: undefined, recent: 1 }, 'a'), 'as much as is allowed')
  replay.sent(1)
  t.equal(replays.open('a', far), 'later')
  t.end()
})
