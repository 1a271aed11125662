import fc from 'fast-check'
import t from 'tap'
import { Turns } from '../../../runtime/limits/turns.js'

/** Adds items named by their client, such as `a1`, whose client is `a`. */
function line(...items: string[]): Turns<string> {
  const turns = new Turns<string>()
  for (const item of items) turns.add(item, [item[0]!])
  return turns
}

function all(turns: Turns<string>, waits?: (key: string) => boolean): string[] {
  const taken: string[] = []
  for (let next = turns.next(waits); next !== undefined; next = turns.next(waits)) taken.push(next)
  return taken
}

t.test('clients take turns, whatever each has in line, and each one\'s are taken in the order they came', async t => {
  t.same(all(line('a1', 'a2', 'a3', 'a4', 'b1', 'b2', 'c1')), ['a1', 'b1', 'c1', 'a2', 'b2', 'a3', 'a4'])
})

t.test('who comes while others are served has its turn before what they still have in line', async t => {
  const turns = line('a1', 'a2', 'a3', 'b1', 'b2')
  t.same([turns.next(), turns.next()], ['a1', 'b1'])
  turns.add('c1', ['c'])
  t.same(all(turns), ['a2', 'b2', 'c1', 'a3'])
})

t.test('networks within a network share its turn', async t => {
  const turns = new Turns<string>()
  for (let customer = 0; customer < 5; customer++) turns.add(`n${customer}`, [`n:${customer}`, 'n'])
  turns.add('n0 again', ['n:0', 'n'])
  turns.add('other', ['o:1', 'o'])
  turns.add('v4', ['192.0.2.1'])
  t.same(all(turns), ['n0', 'other', 'v4', 'n1', 'n2', 'n3', 'n4', 'n0 again'])
})

t.test('one that is deleted takes no turn, one that is in line keeps its place', async t => {
  const turns = line('a1', 'a2', 'b1')
  turns.add('a1', ['z'])
  turns.delete('a1')
  turns.delete('nobody')
  t.equal(turns.size, 2)
  t.same(all(turns), ['a2', 'b1'])
  t.equal(turns.size, 0)
  turns.add('a1', ['a'])
  turns.clear()
  t.equal(turns.next(), undefined)
})

t.test('a client that has to wait is passed over and keeps its turn', async t => {
  const turns = line('a1', 'b1', 'a2', 'b2')
  t.same(all(turns, key => key === 'a'), ['b1', 'b2'])
  t.same(all(turns), ['a1', 'a2'])
})

t.test('room is made by the longest waiting of the client that has most, never by one of a client with no more', async t => {
  const turns = line('a1', 'a2', 'a3', 'b1')
  t.equal(turns.displace(['a']), undefined)
  t.equal(turns.displace(['b']), 'a1')
  t.equal(turns.displace(['b']), undefined, 'a would have no more than b')
  t.equal(turns.displace(['c']), 'a2')
  t.equal(turns.displace(['c']), undefined)
  t.same(all(turns), ['a3', 'b1'])
})

t.test('nobody is lost, and between two turns of a client every other one in line has its turn', async () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd')
  fc.assert(
    fc.property(fc.array(fc.tuple(key, key), { maxLength: 60 }), items => {
      const turns = new Turns<number>()
      items.forEach(([inner, outer], i) => turns.add(i, [`${outer}${inner}`, outer]))
      const left = new Map<string, number>()
      for (const [, outer] of items) left.set(outer, (left.get(outer) ?? 0) + 1)
      const served: string[] = []
      for (let next = turns.next(); next !== undefined; next = turns.next()) {
        const outer = items[next]![1]
        const waited = served.length - 1 - served.lastIndexOf(outer)
        if (served.includes(outer) && waited < left.size - 1) return false
        served.push(outer)
        left.set(outer, left.get(outer)! - 1)
        if (left.get(outer) === 0) left.delete(outer)
      }
      return served.length === items.length && turns.size === 0
    }),
  )
})
