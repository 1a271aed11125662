import t from 'tap'
import { Pace } from '../../../runtime/fan-out/pace.js'

/** Flushes of this cost, each begun as soon as it may, for so long. @returns the share of a core that they took */
function utilisation(pace: Pace, costMs: number, fromMs: number, forMs: number): number {
  let spent = 0
  let at = fromMs
  while (at < fromMs + forMs) {
    spent += costMs
    at += Math.max(costMs, pace.interval(costMs, at + costMs))
  }
  return spent / (at - fromMs)
}

t.test('a quiet room\'s comments hardly wait, and a lasting load\'s flushes take half of a core', async t => {
  const pace = new Pace()
  t.ok(utilisation(pace, 40, 1_000, 500) > 0.75, 'a burst')
  utilisation(pace, 40, 1_500, 3_000)
  const lasting = utilisation(pace, 40, 4_500, 5_000)
  t.ok(lasting > 0.49 && lasting < 0.55, `lasting: ${lasting}`)
})

t.test('what was spent is there again after a rest', async t => {
  const pace = new Pace()
  utilisation(pace, 40, 0, 5_000)
  const tired = pace.interval(40, 5_010)
  const rested = pace.interval(40, 7_000)
  t.ok(rested < tired * 0.7, `${rested} after ${tired}`)
})

t.test('a room that was quiet takes nine tenths of a core at most', async t => {
  const interval = new Pace().interval(1, 0)
  t.ok(interval >= 1 / 0.9 && interval < 1.2, `${interval} ms`)
})

t.test('nobody waits longer than 100 ms for company', async t => {
  const pace = new Pace()
  for (let i = 0; i < 50; i++) pace.interval(500, i * 500)
  t.equal(pace.interval(500, 25_000), 100)
})
