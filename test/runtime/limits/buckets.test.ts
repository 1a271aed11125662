import fc from 'fast-check'
import t from 'tap'
import { Buckets } from '../../../runtime/limits/buckets.js'

const rate = fc.record({ perSecond: fc.double({ min: 0.1, max: 1_000, noNaN: true }), burst: fc.integer({ min: 1, max: 50 }) })
const steps = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), waitMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 3_000, noNaN: true })) }), { maxLength: 200 })

t.test('never more than the burst and what has come back since', async () => {
  fc.assert(
    fc.property(rate, steps, (rate, steps) => {
      const buckets = new Buckets(rate)
      const taken: Record<string, number[]> = { a: [], b: [], c: [] }
      let now = 0
      for (const { key, waitMs } of steps) {
        now += waitMs
        if (buckets.take(key, now) === 0) taken[key]!.push(now)
      }
      for (const times of Object.values(taken)) {
        for (const [i, from] of times.entries()) for (const [j, to] of times.slice(i).entries()) if (j + 1 > rate.burst + ((to - from) * rate.perSecond) / 1000 + 1e-6) return false
      }
      return true
    }),
    { numRuns: 1_000 },
  )
})

t.test('as a bucket that is filled drop by drop would: nothing is refused that it would give, and the wait is exact', async () => {
  fc.assert(
    fc.property(rate, steps, (rate, steps) => {
      const buckets = new Buckets(rate)
      const models: Record<string, { tokens: number; at: number }> = {}
      let now = 0
      for (const { key, waitMs } of steps) {
        now += waitMs
        const model = (models[key] ??= { tokens: rate.burst, at: now })
        model.tokens = Math.min(rate.burst, model.tokens + ((now - model.at) * rate.perSecond) / 1000)
        model.at = now
        const wait = buckets.take(key, now)
        if (Math.abs(model.tokens - 1) < 1e-6) {
          if (wait === 0) model.tokens -= 1
          continue // sums of fractions: either is right
        }
        if ((wait === 0) !== model.tokens >= 1) return false
        if (wait === 0) model.tokens -= 1
        else if (Math.abs(wait - ((1 - model.tokens) * 1000) / rate.perSecond) > 1e-3) return false
      }
      return true
    }),
    { numRuns: 1_000 },
  )
})

t.test('what it holds has a bound, and it forgets what is full again', async () => {
  fc.assert(
    fc.property(rate, fc.integer({ min: 1, max: 20 }), fc.array(fc.record({ key: fc.integer({ min: 0, max: 100 }), waitMs: fc.double({ min: 0, max: 50, noNaN: true }) })), (rate, most, steps) => {
      const buckets = new Buckets(rate, most)
      let now = 0
      for (const { key, waitMs } of steps) {
        now += waitMs
        buckets.take(String(key), now)
        if (buckets.size > most) return false
      }
      return true
    }),
    { numRuns: 1_000 },
  )
})

t.test('a flood of keys is forgotten once it is over', async t => {
  const buckets = new Buckets({ perSecond: 5, burst: 10 })
  for (let i = 0; i < 50_000; i++) buckets.take(`attacker ${i}`, 0)
  t.equal(buckets.size, 50_000)
  for (let i = 0; i < 25_100; i++) buckets.take('one', 2_000 + i)
  t.ok(buckets.size <= 1, `${buckets.size} left`)
})

t.test('beyond the bound the longest unused is forgotten, not who takes now', async t => {
  const buckets = new Buckets({ perSecond: 1, burst: 1 }, 2)
  t.equal(buckets.take('a', 0), 0)
  t.equal(buckets.take('b', 1), 0)
  t.equal(buckets.take('c', 2), 0)
  t.ok(buckets.take('b', 3) > 0)
  t.ok(buckets.take('c', 3) > 0)
  t.equal(buckets.take('a', 4), 0)
})
