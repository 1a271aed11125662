import t from 'tap'
import { KeptFlushes, type Keeper } from '../../gateway/kept-flushes.js'
import { FakeClock } from '../support/fake-clock.js'

function setUp(maxBytes?: number) {
  const clock = new FakeClock()
  const kept = new KeptFlushes(clock, maxBytes)
  const dropped: string[] = []
  const keeper = (name: string): Keeper => ({ dropOldest: () => void dropped.push(name) })
  return { clock, kept, dropped, keeper }
}

t.test('beyond the bytes that all may keep together, the oldest go first, whose they ever are', async t => {
  const { kept, dropped, keeper } = setUp(100)
  const [a, b] = [keeper('a'), keeper('b')]
  kept.add(a, 40)
  kept.add(b, 30)
  kept.add(a, 30)
  t.same([dropped, kept.bytes], [[], 100])
  kept.add(b, 1)
  t.same([dropped, kept.bytes], [['a'], 61])
  kept.add(b, 90)
  t.same([dropped, kept.bytes], [['a', 'b', 'a'], 91])
})

t.test('one flush that is too large by itself is not kept', async t => {
  const { kept, dropped, keeper } = setUp(100)
  kept.add(keeper('a'), 101)
  t.same([dropped, kept.bytes], [['a'], 0])
})

t.test('what is older than 8 s goes, as soon as that is looked at', async t => {
  const { clock, kept, dropped, keeper } = setUp()
  kept.add(keeper('a'), 10)
  await clock.advance(1_000)
  kept.add(keeper('b'), 20)
  await clock.advance(7_000)
  kept.expire()
  t.same([dropped, kept.bytes], [[], 30])
  await clock.advance(1)
  kept.expire()
  t.same([dropped, kept.bytes], [['a'], 20])
  await clock.advance(1_000)
  kept.add(keeper('c'), 5)
  t.same([dropped, kept.bytes], [['a', 'b'], 5])
})

t.test('32 MB are kept, and the order stays right over many thousands', async t => {
  const { kept, dropped, keeper } = setUp()
  const keepers = Array.from({ length: 5_000 }, (_, i) => keeper(String(i)))
  for (const each of keepers) kept.add(each, 1024 * 1024)
  t.equal(kept.bytes, 32 * 1024 * 1024)
  t.same(dropped, keepers.slice(32).map((_, i) => String(i)))
})
