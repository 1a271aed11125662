import t from 'tap'
import { Rates } from '../../dispatcher/rates.js'
import { FakeClock } from '../support/fake-clock.js'

t.test('comments a second are those of the last whole ten seconds, and silence is 0', async t => {
  const clock = new FakeClock()
  const rates = new Rates(clock)
  for (let i = 0; i < 50; i++) rates.stored('a')
  rates.stored('b')
  t.same(rates.top(10), [], 'not whole yet')
  await clock.advance(10_000)
  t.same(rates.top(10), [{ videoId: 'a', perSecond: 5 }, { videoId: 'b', perSecond: 0.1 }])
  t.same(rates.top(1), [{ videoId: 'a', perSecond: 5 }])
  rates.stored('b')
  await clock.advance(9_999)
  t.equal(rates.top(1)[0]?.videoId, 'a')
  await clock.advance(1)
  t.same(rates.top(10), [{ videoId: 'b', perSecond: 0.1 }])
  await clock.advance(25_000)
  t.same(rates.top(10), [])
})

t.test('a flood of videos costs no memory without end', async t => {
  const clock = new FakeClock()
  const rates = new Rates(clock)
  for (let i = 0; i < 30_000; i++) rates.stored(`v${i}`)
  rates.stored('v1')
  await clock.advance(10_000)
  t.equal(rates.top(50_000).length, 10_000)
  t.equal(rates.top(1)[0]?.videoId, 'v1')
})
