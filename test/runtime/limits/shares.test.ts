import t from 'tap'
import { Shares } from '../../../runtime/limits/shares.js'
import { FakeClock } from '../../support/fake-clock.js'

function setUp() {
  const clock = new FakeClock()
  return { clock, shares: new Shares({ clock, bytesPerSecond: 1_000, allowance: 500 }) }
}

t.test('who takes no more than the allowance never waits; who takes more waits until the rest is paid off', async t => {
  const { clock, shares } = setUp()
  shares.charge('a', 500)
  t.equal(shares.waitMs('a'), 0)
  shares.charge('a', 2_000)
  t.equal(shares.waitMs('a'), 2_000)
  t.equal(shares.waitMs('b'), 0, 'another client owes nothing')
  await clock.advance(1_000)
  t.equal(shares.waitMs('a'), 1_000)
  await clock.advance(1_000)
  t.equal(shares.waitMs('a'), 0)
  await clock.advance(500)
  t.equal(shares.waitMs('a'), 0)
  t.equal(shares.size, 0, 'and is forgotten')
})

t.test('all who owe share what is paid off, and one alone has all of it', async t => {
  const { clock, shares } = setUp()
  for (const client of ['a', 'b']) shares.charge(client, 1_500)
  t.equal(shares.waitMs('a'), 2_000)
  await clock.advance(1_000)
  t.same([shares.waitMs('a'), shares.waitMs('b')], [1_000, 1_000])
  shares.charge('a', 1_000)
  await clock.advance(2_000)
  shares.charge('b', 0)
  t.equal(shares.waitMs('b'), 0)
  t.equal(shares.waitMs('a'), 500, 'b has paid')
})

t.test('what was charged and not sent is given back', async t => {
  const { shares } = setUp()
  shares.charge('a', 5_000)
  shares.charge('a', -4_500)
  t.equal(shares.waitMs('a'), 0)
  shares.charge('a', -500)
  t.equal(shares.size, 0)
  shares.charge('b', -1_000)
  shares.charge('b', 1_500)
  t.equal(shares.waitMs('b'), 1_000, 'nobody saves up')
})

t.test('over a long time all together get the bandwidth and no more, each the same', async t => {
  const { clock, shares } = setUp()
  const got = new Map(['a', 'b', 'c'].map(client => [client, 0]))
  for (let at = 0; at < 60_000; at += 100) {
    for (const client of got.keys()) {
      if (shares.waitMs(client) > 0) continue
      shares.charge(client, 400)
      got.set(client, got.get(client)! + 400)
    }
    await clock.advance(100)
  }
  for (const bytes of got.values()) t.ok(Math.abs(bytes - 20_000) <= 1_500, `${bytes} of 20,000`)
})

t.test('time in which nobody owed anything pays off nothing of what comes after it', async t => {
  const { clock, shares } = setUp()
  await clock.advance(10_000)
  shares.charge('a', 1_500)
  t.equal(shares.waitMs('a'), 1_000)
})
