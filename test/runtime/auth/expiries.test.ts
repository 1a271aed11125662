import fc from 'fast-check'
import t from 'tap'
import { Expiries } from '../../../runtime/auth/expiries.js'
import { parseJwks } from '../../../runtime/auth/keys.js'
import { Issuer } from '../../support/issuer.js'

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

t.test('what a key let in goes with it, spread over some seconds, and no later than it would have', async t => {
  const issuer = new Issuer({ a: 'EdDSA', b: 'EdDSA' })
  const [before, same, after] = [parseJwks(issuer.jwks()), parseJwks(issuer.jwks()), parseJwks(issuer.jwks(['b']))]
  const [a, b] = [before.find('a')!, before.find('b')!]
  const expiries = new Expiries<string>()
  for (const [item, endsAt, key] of [['a1', 1e9, a], ['a2', 1e9, a], ['soon', 2_000, a], ['left', 1e9, a], ['b', 1e9, b], ['none', 1e9, undefined]] as const) expiries.add(item, endsAt, key)
  expiries.delete('left')
  expiries.keep(same, 1_000, () => 0)
  t.same(expiries.due(1_500), [], 'the same keys, read again')
  const random = [0, 0.9, 0.9]
  expiries.keep(after, 1_000, () => random.shift()!)
  const due: string[][] = []
  for (let now = 2_500; now < 9_000; now += 1_000) due.push(expiries.due(now).sort())
  t.same(due, [['a1', 'soon'], [], [], [], ['a2'], [], []])
  t.equal(expiries.size, 2)
})
