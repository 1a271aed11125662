import t from 'tap'
import { Pauses } from '../../runtime/pauses.js'
import { FakeClock } from '../support/fake-clock.js'

t.test('a process that runs has lost nothing', async t => {
  const clock = new FakeClock()
  const pauses = new Pauses(clock)
  for (let i = 0; i < 100; i++) {
    await clock.advance(37)
    t.equal(pauses.lostMs(), 0)
  }
})

t.test('after a pause what is read has waited for as long, for a second', async t => {
  const clock = new FakeClock()
  const pauses = new Pauses(clock)
  await clock.advance(1_000)
  await clock.freeze(30_000)
  const lost = pauses.lostMs()
  t.ok(lost >= 29_750 && lost <= 30_000, `${lost}`)
  await clock.advance(900)
  t.equal(pauses.lostMs(), lost)
  await clock.advance(200)
  t.equal(pauses.lostMs(), 0)
})

t.test('a pause is seen before its timer has run: sockets may be read first', async t => {
  const clock = new FakeClock()
  let skipped = 0
  const paused = new Pauses({ now: () => clock.now() + skipped, after: (ms, task) => clock.after(ms, task), tick: (ms, task) => clock.tick(ms, task), soon: () => {}, wall: () => 0 })
  skipped = 5_000
  t.ok(paused.lostMs() >= 4_750)
})

t.test('an event loop that is merely busy is no pause', async t => {
  const clock = new FakeClock()
  const pauses = new Pauses(clock)
  await clock.freeze(150)
  t.equal(pauses.lostMs(), 0)
})

t.test('closing leaves no timer', async t => {
  const clock = new FakeClock()
  new Pauses(clock).close()
  t.equal(clock.pending, 0)
})

t.test('each tick says how late it was', async t => {
  const clock = new FakeClock()
  const late: number[] = []
  new Pauses(clock, lateMs => late.push(lateMs))
  await clock.advance(250)
  await clock.freeze(300)
  await clock.advance(250)
  t.strictSame(late, [0, 50, 0])
})
