import t from 'tap'
import { PeerViewers } from '../../dispatcher/peer-viewers.js'
import { FakeClock } from '../support/fake-clock.js'

t.test('viewers of all clusters but one, as each last said', async t => {
  const viewers = new PeerViewers(new FakeClock())
  viewers.saw('east', ['v', 'w'], new Map([['v', 5]]))
  viewers.saw('west', ['v'], new Map([['v', 3]]))
  t.equal(viewers.of('v', undefined), 8)
  t.equal(viewers.of('v', 'east'), 3)
  t.equal(viewers.of('w', undefined), 0)
  viewers.saw('east', ['v'], new Map([['v', 1]]))
  t.equal(viewers.of('v', undefined), 4)
})

t.test('what is not said again is forgotten after five to ten seconds, however late it is asked for', async t => {
  const clock = new FakeClock()
  const viewers = new PeerViewers(clock)
  const say = (count: number) => viewers.saw('east', ['v'], new Map([['v', count]]))
  await clock.advance(7_000)
  say(5)
  for (let i = 0; i < 4; i++) {
    await clock.advance(1_000)
    t.equal(viewers.of('v', undefined), 5)
  }
  await clock.advance(2_000)
  t.equal(viewers.of('v', undefined), 5, 'it is old now')
  await clock.advance(5_000)
  t.equal(viewers.of('v', undefined), 0)
  say(6)
  await clock.advance(60_000)
  t.equal(viewers.of('v', undefined), 0, 'nobody asked meanwhile')
  say(7)
  await clock.advance(6_000)
  say(2)
  t.equal(viewers.of('v', undefined), 2, 'the younger word counts')
})
