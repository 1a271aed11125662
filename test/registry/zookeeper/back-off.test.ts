import t from 'tap'
import { BackOff } from '../../../registry/zookeeper/back-off.js'

const pauses = (backOff: BackOff, count: number) => Array.from({ length: count }, () => backOff.next())
const longest = (servers: number) => new BackOff({ servers, maxMs: 3_000, random: () => 1 })

t.test('each server is tried at once, then the pauses between rounds double up to their bound', async t => {
  t.same(pauses(longest(1), 9), [0, 100, 200, 400, 800, 1_600, 3_000, 3_000, 3_000])
  t.same(pauses(longest(3), 9), [0, 0, 0, 100, 0, 0, 200, 0, 0])
})

t.test('a pause is at random between half and all of its length', async t => {
  t.same(pauses(new BackOff({ servers: 1, maxMs: 3_000, random: () => 0 }), 7), [0, 50, 100, 200, 400, 800, 1_500])
})

t.test('only a connection that is answered some seconds after it was opened begins it anew', async t => {
  const backOff = longest(1)
  t.same(pauses(backOff, 3), [0, 100, 200])
  backOff.opened(10_000)
  backOff.heard(10_001)
  backOff.heard(12_999)
  t.notOk(backOff.settled)
  t.equal(backOff.next(), 400, 'it was refused at its first calls')
  backOff.heard(20_000)
  t.notOk(backOff.settled, 'the answer is a handshake')
  backOff.opened(20_000)
  backOff.heard(23_000)
  t.ok(backOff.settled)
  t.equal(backOff.next(), 0)
})
