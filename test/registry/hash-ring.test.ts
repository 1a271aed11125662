import fc from 'fast-check'
import t from 'tap'
import { HashRing } from '../../registry/hash-ring.js'

const ids = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { maxLength: 40 })

t.test('a walk passes every node once, in the same order for whoever knows the same nodes', async () => {
  fc.assert(
    fc.property(ids, fc.string(), (all, key) => {
      const walk = [...new HashRing(all).from(key)]
      const reversed = [...new HashRing([...all].reverse()).from(key)]
      return walk.length === all.length && new Set(walk).size === all.length && walk.join('\n') === reversed.join('\n')
    }),
  )
})

t.test('a node that leaves is only left out: the walk goes on to the same ones', async () => {
  fc.assert(
    fc.property(ids, fc.string(), (all, key) => {
      const [gone, ...rest] = [...new HashRing(all).from(key)]
      return gone === undefined || [...new HashRing(all.filter(id => id !== gone)).from(key)].join('\n') === rest.join('\n')
    }),
  )
})

t.test('keys begin their walks all over the ring', async t => {
  const nodes = Array.from({ length: 10 }, (_, i) => `host-${i}-edge`)
  const ring = new HashRing(nodes)
  const begun = new Set(Array.from({ length: 2_000 }, (_, i) => ring.from(`video-${i}`).next().value as string))
  t.same([...begun].sort(), nodes.sort())
})
