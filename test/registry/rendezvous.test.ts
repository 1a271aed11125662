import t from 'tap'
import { byRendezvous, firstByRendezvous } from '../../registry/rendezvous.js'

const nodes = (count: number) => Array.from({ length: count }, (_, i) => ({ id: `host-${i + 1}-dispatcher` }))
const keys = Array.from({ length: 100_000 }, (_, i) => `video-${i}`)

for (const count of [2, 3, 10, 100]) {
  t.test(`${count} nodes share the keys evenly`, async t => {
    const shares = new Map<string, number>()
    for (const key of keys) {
      const { id } = firstByRendezvous(key, nodes(count))!
      shares.set(id, (shares.get(id) ?? 0) + 1)
    }
    const fair = keys.length / count
    // Five standard deviations of a fair draw: 1% with two nodes, 16% with a hundred.
    const slack = 5 * Math.sqrt(fair)
    t.equal(shares.size, count)
    for (const [id, share] of shares) t.ok(Math.abs(share - fair) < slack, `${id} has ${share} of ${fair}`)
  })
}

t.test('a node that leaves moves only its own share, to the next in order, evenly over the rest', async t => {
  const all = nodes(10)
  const gone = all[3]!
  const rest = all.filter(node => node !== gone)
  const heirs = new Map<string, number>()
  let wrong = 0
  for (const key of keys) {
    const [first, second] = byRendezvous(key, all)
    const now = firstByRendezvous(key, rest)
    if (now !== (first === gone ? second : first)) wrong++
    if (first === gone) heirs.set(now!.id, (heirs.get(now!.id) ?? 0) + 1)
  }
  t.equal(wrong, 0)
  t.equal(heirs.size, 9)
  for (const [id, share] of heirs) t.ok(Math.abs(share - 1_111) < 5 * Math.sqrt(1_111), `${id} inherits ${share}`)
})
