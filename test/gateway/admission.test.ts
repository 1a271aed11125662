import t from 'tap'
import { Admission, type Arrival } from '../../gateway/admission.js'
import { FakeClock } from '../support/fake-clock.js'

const ONE: readonly string[] = ['192.0.2.1']

/** @param costMs what placing one takes */
function setUp({ rate = 100, costMs = 0, waits = (_key: string): boolean => false } = {}) {
  const clock = new FakeClock()
  const admission = new Admission({ clock, rate, waits })
  const placed: { readonly name: string; readonly at: number }[] = []
  const turnedAway: string[] = []
  const arrival = (name: string, { admitted = false, hasEdge = (): boolean => true, client = ONE } = {}): Arrival => ({
    admitted,
    client,
    turnAway: () => turnedAway.push(name),
    place() {
      if (hasEdge()) placed.push({ name, at: clock.now() })
      void clock.freeze(costMs)
      return hasEdge()
    },
  })
  const newcomers = (count: number, from = 0) => Array.from({ length: count }, (_, i) => arrival(`n${from + i}`)).forEach(each => admission.add(each))
  return { clock, admission, placed, turnedAway, arrival, newcomers, names: () => placed.map(({ name }) => name) }
}

t.test('few are placed at once', t => {
  const { newcomers, placed } = setUp()
  newcomers(25)
  t.equal(placed.length, 25)
  t.ok(placed.every(({ at }) => at === 0))
  t.end()
})

t.test('more than that wait in line, and are placed at the rate, in the order they came', async t => {
  const { clock, admission, newcomers, placed, names } = setUp()
  newcomers(300)
  t.equal(placed.length, 25)
  t.equal(admission.waiting, 275)
  await clock.advance(1_000)
  t.equal(placed.length, 125)
  await clock.advance(2_000)
  t.same(names(), Array.from({ length: 300 }, (_, i) => `n${i}`))
  for (let from = 0; from < 3_000; from += 100) {
    const count = placed.filter(({ at }) => at > from && at <= from + 1_000).length
    t.ok(count <= 102, `${count} in a second`)
  }
  t.equal(clock.pending, 0, 'nothing goes on when nobody waits')
})

t.test('clients take turns: one that joins in a loop makes no other wait', async t => {
  const { clock, admission, arrival, newcomers, names } = setUp()
  newcomers(300)
  for (let i = 0; i < 3; i++) admission.add(arrival(`other${i}`, { client: ['192.0.2.2'] }))
  await clock.advance(60)
  t.same(names().slice(25), ['n25', 'other0', 'n26', 'other1', 'n27', 'other2'])
})

t.test('joins that are given up in line cost nobody a turn', async t => {
  const { clock, admission, arrival, placed, names } = setUp()
  const loop = Array.from({ length: 300 }, (_, i) => arrival(`loop${i}`))
  for (const each of loop) admission.add(each)
  for (const each of loop) admission.delete(each)
  admission.add(arrival('other', { client: ['192.0.2.2'] }))
  await clock.advance(20)
  t.equal(names().at(-1), 'other')
  t.equal(placed.length, 26)
})

t.test('a full line has room for another client: the longest waiting of the one with most is turned away', async t => {
  const { admission, arrival, newcomers, turnedAway } = setUp()
  newcomers(25 + 400)
  t.notOk(admission.hasRoom(ONE))
  t.same(turnedAway, [])
  t.ok(admission.hasRoom(['192.0.2.2']))
  t.same(turnedAway, ['n25'])
  admission.add(arrival('other', { client: ['192.0.2.2'] }))
  t.equal(admission.waiting, 400)
})

t.test('a client that has to wait for a reason of its own keeps nobody else, and is placed when it may be', async t => {
  let waits = true
  const { clock, admission, arrival, names } = setUp({ waits: key => waits && key === ONE[0] })
  admission.add(arrival('one'))
  admission.add(arrival('other', { client: ['192.0.2.2'] }))
  admission.add(arrival('again', { admitted: true }))
  await clock.advance(1_000)
  t.same(names(), ['other', 'again'])
  waits = false
  await clock.advance(100)
  t.same(names(), ['other', 'again', 'one'])
  await clock.advance(1_000)
  t.equal(clock.pending, 0, 'nothing goes on when nobody waits')
})

t.test('a line of four seconds takes nobody more', async t => {
  const { clock, admission, newcomers } = setUp()
  newcomers(25 + 399)
  t.ok(admission.hasRoom(ONE))
  newcomers(1)
  t.notOk(admission.hasRoom(ONE))
  await clock.advance(100)
  t.ok(admission.hasRoom(ONE))
})

t.test('who had an edge is placed at once, before all newcomers, who have what rate that leaves', async t => {
  const { clock, admission, arrival, newcomers, placed, names } = setUp()
  newcomers(200)
  await clock.advance(500)
  t.equal(placed.length, 75)
  for (let i = 0; i < 50; i++) admission.add(arrival(`again${i}`, { admitted: true }))
  t.same(names().slice(75), Array.from({ length: 50 }, (_, i) => `again${i}`))
  await clock.advance(500)
  t.equal(placed.length, 50 + 125, 'a debt is not kept: newcomers do not wait for what no token was left for')

  const quiet = setUp()
  for (let i = 0; i < 25; i++) quiet.admission.add(quiet.arrival('again', { admitted: true }))
  quiet.newcomers(1)
  t.equal(quiet.admission.waiting, 1, 'those who had an edge took what newcomers might have had at once')
})

t.test('a viewer for whom there is no edge costs no token, and stands in line again when there is one', async t => {
  const { clock, admission, arrival, placed } = setUp()
  let hasEdge = false
  const crowd = Array.from({ length: 1_000 }, (_, i) => arrival(`n${i}`, { hasEdge: () => hasEdge }))
  for (const each of crowd) admission.add(each)
  t.equal(admission.waiting, 0)
  hasEdge = true
  for (const each of crowd) admission.add(each)
  t.equal(placed.length, 25, 'the first edge is not stormed')
  await clock.advance(10_000)
  t.equal(placed.length, 1_000)
})

t.test('one that left the line is not placed', async t => {
  const { clock, admission, arrival, newcomers, names } = setUp()
  newcomers(25)
  const leaver = arrival('leaver')
  admission.add(leaver)
  newcomers(1, 25)
  admission.delete(leaver)
  await clock.advance(1_000)
  t.equal(names().at(-1), 'n25')
  t.notOk(names().includes('leaver'))

  const slow = setUp({ costMs: 5 })
  const again = ['a', 'b', 'c'].map(name => slow.arrival(name, { admitted: true }))
  for (const each of again) slow.admission.add(each)
  slow.admission.delete(again[1]!)
  await slow.clock.advance(100)
  t.same(slow.names(), ['a', 'c'])
})

t.test('a turn that ends with a token left goes on in the next one', async t => {
  const { clock, newcomers, placed } = setUp({ rate: 4, costMs: 250 }) // one is placed while the next one's token comes
  newcomers(2)
  t.equal(placed.length, 1)
  await clock.advance(0)
  t.equal(placed.length, 2)
})

t.test('placing leaves room for other work: no more than a few milliseconds at a time', async t => {
  const { clock, admission, arrival, placed } = setUp({ costMs: 2 })
  for (let i = 0; i < 9; i++) admission.add(arrival(`again${i}`, { admitted: true }))
  let turns = 0
  const others = () => clock.soon(() => ++turns < 1_000 && others())
  others()
  const before = placed.length
  await clock.advance(0)
  t.ok(before <= 3 && placed.length === 9, `${before} in the first turn`)
})

t.test('the lowest rate still lets one in', async t => {
  const { clock, admission, newcomers, placed } = setUp({ rate: 1 })
  newcomers(3)
  t.equal(placed.length, 1)
  await clock.advance(1_000)
  t.equal(placed.length, 2)
  t.ok(admission.hasRoom(ONE))
  await clock.advance(1_000)
  await clock.advance(600)
  newcomers(1, 3)
  await clock.advance(400)
  t.equal(placed.length, 4, 'a part of a token is a part of the wait')
})

t.test('who comes when a turn is used up is placed in the next, though those in line cannot be', async t => {
  const { clock, admission, arrival, placed } = setUp({ waits: key => key === ONE[0] })
  admission.add(arrival('waits for a reason of its own'))
  void clock.freeze(6) // something else used the turn
  admission.add(arrival('other', { client: ['192.0.2.2'] }))
  t.same(placed, [])
  await clock.advance(0)
  t.same(placed, [{ name: 'other', at: 6 }])
  admission.close()
})

t.test('once closed it places nobody, and leaves nothing that waits', async t => {
  const { clock, admission, arrival, newcomers, placed } = setUp({ rate: 1, costMs: 5 })
  newcomers(3)
  for (const name of ['a', 'b']) admission.add(arrival(name, { admitted: true }))
  const before = placed.length
  admission.close()
  await clock.advance(0) // the turn's end
  t.same([admission.waiting, clock.pending], [0, 0])
  await clock.advance(5_000)
  t.equal(placed.length, before)
})
