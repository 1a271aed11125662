import fc from 'fast-check'
import t from 'tap'
import { after, Ring, RingBudget } from '../../edge/ring.js'
import { streamEvent, type StreamEvent } from '../../protocol/frame.js'

const event = (id: number, bytes = 10): StreamEvent => streamEvent(id, 'x'.repeat(bytes))
const ids = (events: readonly StreamEvent[]) => events.map(({ id }) => id)

t.test('a ring is always a run that ends at its newest, within its limits and the budget', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('push' as const), ring: fc.nat(2), bytes: fc.integer({ min: 1, max: 60 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), ring: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), ring: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), ring: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('extendBack' as const), ring: fc.nat(2), back: fc.nat(12), over: fc.integer({ min: -3, max: 3 }) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), steps => {
      const budget = new RingBudget(400)
      const all = [0, 1, 2].map(() => ({ ring: new Ring(0, { maxEvents: 8, maxBytes: 200 }, budget), pushed: [] as StreamEvent[] }))
      for (const now of steps) {
        const { ring, pushed } = all[now.ring]!
        if (now.do === 'push') {
          pushed.push(event(ring.last + 10, now.bytes))
          ring.push(pushed.at(-1)!)
        } else if (now.do === 'restart') {
          ring.restart(ring.last + 50)
          pushed.length = 0
        } else if (now.do === 'clear') ring.clear()
        else if (now.do === 'remove') budget.remove(ring)
        else {
          // A run of what was pushed, that ends near the ring's base.
          const end = Math.min(pushed.length, Math.max(0, after(pushed, ring.base) + now.over))
          const start = Math.max(0, end - now.back)
          const events = pushed.slice(start, end)
          const before = ids(ring.events)
          const { base } = ring
          ring.extendBack({ base: start > 0 ? pushed[start - 1]!.id : Math.max(0, (pushed[0]?.id ?? 10) - 10), events })
          if (ring.events.length > 0 && (ring.base > base || String(ids(ring.events).slice(ring.events.length - before.length)) !== String(before))) throw new Error('it lost what it had')
        }
        let sum = 0
        for (const { ring, pushed } of all) {
          const bytes = ring.events.reduce((total, each) => total + each.bytes, 0)
          sum += bytes
          if (ring.events.length > 8 || bytes > 200) throw new Error('over its limits')
          const expected = ids(pushed).filter(id => id > ring.base)
          if (String(ids(ring.events)) !== String(expected)) throw new Error(`(${ring.base}, …] holds ${String(ids(ring.events))}, not ${String(expected)}`)
          if (ring.last !== (ring.events.at(-1)?.id ?? ring.base)) throw new Error('last')
        }
        if (sum !== budget.bytes) throw new Error(`the budget counts ${budget.bytes} of ${sum}`)
        if (sum > 400) throw new Error('over the budget')
      }
    }),
    { numRuns: 1000 },
  )
})

t.test('the ring that was longest untouched pays for what is too much', async t => {
  const budget = new RingBudget(100)
  const [a, b, c] = ['a', 'b', 'c'].map(() => new Ring(0, { maxEvents: 100, maxBytes: 1000 }, budget))
  a!.push(event(1, 40))
  b!.push(event(1, 40))
  a!.push(event(2, 10))
  c!.push(event(1, 30))
  t.same([a!, b!, c!].map(ring => ids(ring.events)), [[1, 2], [], [1]])
  t.equal(b!.base, 1, 'it still knows where the next one goes')
  b!.push(event(2, 10))
  t.same(ids(b!.events), [2])
})

t.test('a ring that is far too much for the budget is emptied itself, and many small ones before it', async t => {
  const budget = new RingBudget(50_000)
  const small = Array.from({ length: 50_000 }, () => new Ring(0, { maxEvents: 10, maxBytes: 1_000_000 }, budget))
  for (const ring of small) ring.push(event(1, 1))
  const big = new Ring(0, { maxEvents: 10, maxBytes: 1_000_000 }, budget)
  big.push(event(1, 60_000))
  t.equal(budget.bytes, 0)
  t.same(ids(big.events), [])
  t.equal(big.last, 1)
})
