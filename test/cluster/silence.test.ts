import t from 'tap'
import { Silence } from '../../cluster/silence.js'

const silence = () => new Silence({ limitMs: 1_000, questionMs: 2_000, now: 0 })

t.test('a part that has answered may be silent for the limit, and any answer begins it anew', async t => {
  const it = silence()
  it.asked(true, 100)
  it.asked(false, 1_100)
  t.notOk(it.tooLong)
  it.asked(true, 1_150)
  it.asked(false, 2_100)
  t.notOk(it.tooLong)
  t.equal(it.ms, 950)
  it.asked(false, 2_200)
  t.ok(it.tooLong)
})

t.test('a part that has never answered is given four limits: it may be starting', async t => {
  const it = silence()
  for (let now = 1_000; now <= 4_000; now += 1_000) it.asked(false, now)
  t.notOk(it.tooLong)
  it.asked(false, 4_001)
  t.ok(it.tooLong)
})

t.test('time in which nobody asked is no silence', async t => {
  const it = new Silence({ limitMs: 5_000, questionMs: 2_000, now: 0 })
  it.asked(true, 100)
  it.asked(false, 3_600_000)
  t.notOk(it.tooLong, 'whoever asks had been suspended for an hour')
  t.equal(it.ms, 2_000)
})
