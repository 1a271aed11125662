import t, { type Test } from 'tap'
import { ClockCheck } from '../../dispatcher/clock-check.js'
import { FakeClock } from '../support/fake-clock.js'

/** A check against a clock that is `apart` ahead of ours, and answers after `tookMs`. */
function against(t: Test, apart: number, tookMs = 0) {
  const clock = new FakeClock()
  const zookeeper = { apart, tookMs, away: false, asked: 0 }
  let measured = 0
  const check = new ClockCheck({
    clock,
    stamp: async () => {
      zookeeper.asked++
      const at = clock.wall() + zookeeper.apart + zookeeper.tookMs / 2
      await new Promise<void>(resolve => clock.after(zookeeper.tookMs, resolve))
      if (zookeeper.away) throw new Error('away')
      return at
    },
    onMeasured: () => measured++,
  })
  t.teardown(() => check.close())
  return { clock, check, zookeeper, measured: () => measured }
}

t.test('a clock that is right is trusted, and looked at once a minute', async t => {
  const { clock, check, zookeeper, measured } = against(t, 59_000, 20)
  t.equal(check.off, undefined, 'nothing is against it before it was compared')
  void check.measure()
  await clock.advance(1_000)
  t.equal(check.off, undefined)
  t.equal(check.aheadMs, -59_000, 'half of the round trip is taken off')
  t.equal(measured(), 1)
  await clock.advance(60_000)
  t.equal(zookeeper.asked, 2)
})

t.test('a clock that is over a minute off is not', async t => {
  for (const [apart, said] of [[-90_000, 'the clock is 90 s ahead of ZooKeeper\'s'], [25 * 3_600_000, 'the clock is 90000 s behind ZooKeeper\'s']] as const) {
    const { clock, check, zookeeper } = against(t, apart)
    void check.measure()
    await clock.advance(1)
    t.equal(check.off, said)
    zookeeper.apart = 0 // it was put right, which the monotonic clock does not show here
    await clock.advance(60_000)
    t.equal(check.off, undefined)
  }
})

t.test('a clock that is set between two comparisons is noticed at once', async t => {
  const { clock, check, zookeeper } = against(t, 0)
  void check.measure()
  await clock.advance(1)
  clock.step(3_600_000)
  zookeeper.apart = -3_600_000
  for (let i = 0; i < 3; i++) t.match(check.off, /^the clock was moved 3600 s/)
  t.equal(zookeeper.asked, 2, 'one comparison at a time')
  await clock.advance(1)
  t.equal(check.off, 'the clock is 3600 s ahead of ZooKeeper\'s')
})

t.test('without ZooKeeper, or with one that takes too long, the last comparison stands and it is asked again', async t => {
  const { clock, check, zookeeper, measured } = against(t, 0)
  void check.measure()
  await clock.advance(1)
  zookeeper.away = true
  zookeeper.apart = 3_600_000
  await clock.advance(60_000)
  t.equal(zookeeper.asked, 2)
  t.equal(check.off, undefined)
  await clock.advance(2_000)
  t.equal(zookeeper.asked, 3)
  zookeeper.away = false
  zookeeper.tookMs = 5_001
  await clock.advance(8_000)
  t.equal(measured(), 1)
  zookeeper.tookMs = 0
  await clock.advance(8_000)
  t.equal(measured(), 2)
  t.match(check.off, /behind/)
})
