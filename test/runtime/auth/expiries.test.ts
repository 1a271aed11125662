import fc from 'fast-check'
import t from 'tap'
import { Expiries } from '../../../runtime/auth/expiries.js'

t.test('each comes once, never early, and at most two seconds late when it is looked for every second', async () => {
  fc.assert(
    fc.property(fc.array(fc.record({ endsAt: fc.nat({ max: 60_000 }), taken: fc.boolean() }), { maxLength: 100 }), fc.nat({ max: 999 }), (items, offset) => {
      const expiries = new Expiries<number>()
      items.forEach(({ endsAt }, i) => expiries.add(i, endsAt))
      items.forEach(({ taken }, i) => taken && expiries.delete(i))
      const came = new Map<number, number>()
      for (let now = offset - 1_000; now < 63_000; now += 1_000) {
        for (const i of expiries.due(now)) {
          if (came.has(i)) throw new Error('twice')
          came.set(i, now)
        }
      }
      items.forEach(({ endsAt, taken }, i) => {
        const at = came.get(i)
        if (taken ? at !== undefined : at === undefined || at < endsAt || at > endsAt + 2_000) throw new Error(`${endsAt} came at ${at}`)
      })
      if (expiries.size !== 0) throw new Error('something is left')
    }),
  )
})

t.test('a clock that steps forward ends what has ended meanwhile, one that steps back nothing', async t => {
  const expiries = new Expiries<string>()
  expiries.add('soon', 10_000)
  expiries.add('late', 1e300)
  t.same(expiries.due(5_000), [])
  t.same(expiries.due(1_000), [])
  t.same(expiries.due(2 ** 41), ['soon'])
  t.equal(expiries.size, 1)
})
