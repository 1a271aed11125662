import fc from 'fast-check'
import t from 'tap'
import { Histogram, quantiles } from '../../bench/measure/histogram.js'

t.test('a quantile is off by 3% at most', async () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.001, max: 200_000, noNaN: true }), { minLength: 1, maxLength: 300 }), fc.constantFrom(0.5, 0.9, 0.99, 1), (values, q) => {
      const histogram = new Histogram()
      for (const value of values) histogram.record(value)
      const exact = [...values].sort((a, b) => a - b)[Math.ceil(q * values.length) - 1]!
      const found = histogram.quantile(q)!
      return Math.abs(found - exact) <= exact * 0.035 + 0.001
    }),
  )
})

t.test('one that recorded nothing has no quantiles, and two add up', async t => {
  t.equal(quantiles(new Histogram()), undefined)
  const [a, b] = [new Histogram(), new Histogram()]
  a.record(1)
  b.record(3)
  a.add(b)
  t.equal(a.total, 2)
  t.ok(a.quantile(1)! >= 3)
})
