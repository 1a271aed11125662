import fc from 'fast-check'
import t from 'tap'
import { after, ReplayBuffer, ReplayBudget } from '../../edge/replay-buffer.js'
import { streamEvent, type StreamEvent } from '../../protocol/frame.js'

const event = (id: number, bytes = 10): StreamEvent => streamEvent(id, 'x'.repeat(bytes))
const ids = (events: readonly StreamEvent[]) => events.map(({ id }) => id)

t.test('a buffer is always a run that ends at its newest, within its limits and the budget', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('push' as const), buffer: fc.nat(2), bytes: fc.integer({ min: 1, max: 60 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), buffer: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('clear' as const), buffer: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), buffer: fc.nat(2) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('extendBack' as const), buffer: fc.nat(2), back: fc.nat(12), over: fc.integer({ min: -3, max: 3 }) }) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), steps => {
      const budget = new ReplayBudget(400)
      const all = [0, 1, 2].map(() => ({ buffer: new ReplayBuffer(0, { maxEvents: 8, maxBytes: 200 }, budget), pushed: [] as StreamEvent[] }))
      for (const now of steps) {
        const { buffer, pushed } = all[now.buffer]!
        if (now.do === 'push') {
          pushed.push(event(buffer.last + 10, now.bytes))
          buffer.push(pushed.at(-1)!)
        } else if (now.do === 'restart') {
          buffer.restart(buffer.last + 50)
          pushed.length = 0
        } else if (now.do === 'clear') buffer.clear()
        else if (now.do === 'remove') budget.remove(buffer)
        else {
          // A run of what was pushed, that ends near the buffer's base.
          const end = Math.min(pushed.length, Math.max(0, after(pushed, buffer.base) + now.over))
          const start = Math.max(0, end - now.back)
          const events = pushed.slice(start, end)
          const before = ids(buffer.events)
          const { base } = buffer
          buffer.extendBack({ base: start > 0 ? pushed[start - 1]!.id : Math.max(0, (pushed[0]?.id ?? 10) - 10), events })
          if (buffer.events.length > 0 && (buffer.base > base || String(ids(buffer.events).slice(buffer.events.length - before.length)) !== String(before))) throw new Error('it lost what it had')
        }
        let sum = 0
        for (const { buffer, pushed } of all) {
          const bytes = buffer.events.reduce((total, each) => total + each.bytes, 0)
          sum += bytes
          if (buffer.events.length > 8 || bytes > 200) throw new Error('over its limits')
          const expected = ids(pushed).filter(id => id > buffer.base)
          if (String(ids(buffer.events)) !== String(expected)) throw new Error(`(${buffer.base}, …] holds ${String(ids(buffer.events))}, not ${String(expected)}`)
          if (buffer.last !== (buffer.events.at(-1)?.id ?? buffer.base)) throw new Error('last')
        }
        if (sum !== budget.bytes) throw new Error(`the budget counts ${budget.bytes} of ${sum}`)
        if (sum > 400) throw new Error('over the budget')
      }
    }),
    { numRuns: 1000 },
  )
})

t.test('the buffer that was longest untouched pays for what is too much', async t => {
  const budget = new ReplayBudget(100)
  const [a, b, c] = ['a', 'b', 'c'].map(() => new ReplayBuffer(0, { maxEvents: 100, maxBytes: 1000 }, budget))
  a!.push(event(1, 40))
  b!.push(event(1, 40))
  a!.push(event(2, 10))
  c!.push(event(1, 30))
  t.same([a!, b!, c!].map(buffer => ids(buffer.events)), [[1, 2], [], [1]])
  t.equal(b!.base, 1, 'it still knows where the next one goes')
  b!.push(event(2, 10))
  t.same(ids(b!.events), [2])
})

t.test('a buffer that is far too much for the budget is emptied itself, and many small ones before it', async t => {
  const budget = new ReplayBudget(50_000)
  const small = Array.from({ length: 50_000 }, () => new ReplayBuffer(0, { maxEvents: 10, maxBytes: 1_000_000 }, budget))
  for (const buffer of small) buffer.push(event(1, 1))
  const big = new ReplayBuffer(0, { maxEvents: 10, maxBytes: 1_000_000 }, budget)
  big.push(event(1, 60_000))
  t.equal(budget.bytes, 0)
  t.same(ids(big.events), [])
  t.equal(big.last, 1)
})
