import t from 'tap'
import { Budget } from '../../../runtime/limits/budget.js'
import { FakeClock } from '../../support/fake-clock.js'

function setUp({ atOnce = 2, inLine = 4, waitMs = 1_000 } = {}) {
  const clock = new FakeClock()
  let refused = 0
  const budget = new Budget({ clock, atOnce, inLine, waitMs, code: 'OVERLOADED', refused: () => refused++ })
  /** In the order they began. */
  const begun: string[] = []
  const ends = new Map<string, (error?: Error) => void>()
  const results = new Map<string, string>()
  const read = (name: string, client = name[0]!, wanted?: () => boolean) => {
    const work = () => {
      begun.push(name)
      return new Promise<string>((resolve, reject) => ends.set(name, error => (error ? reject(error) : resolve('read'))))
    }
    budget.run([client], work, wanted).then(
      result => results.set(name, result),
      (error: { code?: string; message: string }) => results.set(name, error.code ?? error.message),
    )
  }
  const end = async (name: string, error?: Error) => {
    ends.get(name)!(error)
    await clock.advance(0)
  }
  return { clock, budget, begun, results, read, end, refused: () => refused }
}

t.test('so many are under way at a time; the rest begins by turns of the clients', async t => {
  const { budget, begun, results, read, end } = setUp({ inLine: 10 })
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5', 'b1']) read(name)
  t.same(begun, ['a1', 'a2'])
  t.same([budget.running, budget.waiting], [2, 4])
  await end('a1')
  await end('a2', new Error('damaged'))
  await end('a3')
  t.same(begun, ['a1', 'a2', 'a3', 'b1', 'a4'], 'b had to wait for one of a')
  for (const name of ['b1', 'a4', 'a5']) await end(name)
  t.equal(results.get('a2'), 'damaged', 'what fails gives its place back too')
  t.same([...results.values()].filter(result => result === 'read').length, 5)
  t.same([budget.running, budget.waiting], [0, 0])
})

t.test('beyond the line one is refused at once, first of the client that has most in it', async t => {
  const { clock, begun, results, read, refused, end } = setUp()
  for (const name of ['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7']) read(name)
  await clock.advance(0)
  t.same([...results], [['a7', 'OVERLOADED']])
  read('b1')
  await clock.advance(0)
  t.same([...results], [['a7', 'OVERLOADED'], ['a3', 'OVERLOADED']], 'the longest waiting of a made room')
  t.equal(refused(), 2)
  await end('a1')
  await end('a2')
  t.same(begun, ['a1', 'a2', 'a4', 'b1'])
})

t.test('what nobody waits for any more is not begun', async t => {
  const { begun, results, read, end, budget } = setUp({ atOnce: 1 })
  let wanted = true
  read('a1')
  read('a2', 'a', () => wanted)
  read('a3', 'a', () => wanted)
  read('b1')
  wanted = false
  await end('a1')
  t.same(begun, ['a1', 'b1'])
  await end('b1')
  t.same([results.get('a2'), results.get('a3'), budget.running], ['OVERLOADED', 'OVERLOADED', 0])
})

t.test('nobody waits for longer than is said', async t => {
  const { clock, begun, results, read, end } = setUp({ atOnce: 1 })
  read('a1')
  read('a2')
  await clock.advance(999)
  t.same([...results], [])
  await clock.advance(1)
  t.same([...results], [['a2', 'OVERLOADED']])
  await end('a1')
  t.same(begun, ['a1'])
  t.equal(clock.pending, 0)
  read('b1')
  t.same(begun, ['a1', 'b1'], 'the place is free')
})

t.test('what has begun, or made room for another, is not refused again when its time to wait would be over', async t => {
  const { clock, begun, read, end, refused } = setUp({ atOnce: 1, inLine: 2 })
  for (const name of ['a1', 'a2', 'a3', 'b1']) read(name)
  t.equal(refused(), 1, 'a2 made room for b1')
  await end('a1')
  await end('a3')
  t.same(begun, ['a1', 'a3', 'b1'])
  await clock.advance(1_000)
  t.equal(refused(), 1)
})
