import { Registry } from 'prom-client'
import t from 'tap'
import { networks } from '../../../runtime/http/address.js'
import { Connections, type ConnectionOptions } from '../../../runtime/limits/connections.js'
import { Refusals } from '../../../runtime/limits/refusals.js'
import type { Log } from '../../../runtime/log.js'
import { FakeClock } from '../../support/fake-clock.js'
import { set } from '../../support/limits.js'

const bytes = (...parts: number[]) => new Uint8Array(parts).buffer
const ONE = bytes(192, 0, 2, 1)
const OTHER = bytes(192, 0, 2, 2)
const LOOPBACK = bytes(127, 0, 0, 1)

function stage(given: Partial<ConnectionOptions> = {}) {
  const clock = new FakeClock()
  const lines: unknown[] = []
  const metrics = new Registry()
  const log = { warn: (fields: object, event: string) => lines.push([event, fields]) } as unknown as Log
  const refusals = new Refusals({ clock, log, metrics, name: 'test' })
  return { clock, lines, metrics, connections: new Connections({ clock, perAddress: set(12), trusted: networks.parse('10.0.0.0/8'), room: () => Infinity, refusals, ...given }) }
}

t.test('one address opens so many at once, then as they may have ended by silence', async t => {
  const { clock, connections } = stage()
  for (let i = 0; i < 12; i++) t.ok(connections.admits(ONE, i))
  t.notOk(connections.admits(ONE, 13))
  t.ok(connections.admits(OTHER, 14), 'another address is another matter')
  await clock.advance(1_000)
  t.ok(connections.admits(ONE, 15))
  t.notOk(connections.admits(ONE, 16))
})

t.test('without a descriptor none is accepted, however few connections there are, but in the place of a silent one', async t => {
  let spare = true
  const { connections } = stage({ spare: () => spare })
  const closed: string[] = []
  connections.silent(ONE, () => closed.push('silent'), () => true)
  t.ok(connections.admits(OTHER, 1))
  t.same(closed, [])
  spare = false
  t.ok(connections.admits(OTHER, 1))
  t.same(closed, ['silent'])
  t.notOk(connections.admits(OTHER, 1))
})

t.test('IPv6 is counted by the network of 64 bits, IPv4 in IPv6 as IPv4', async t => {
  const { connections } = stage({ perAddress: set(1) })
  const v6 = (...last: number[]) => bytes(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, ...last)
  t.ok(connections.admits(v6(0, 0, 0, 0, 0, 0, 0, 1), 1))
  t.notOk(connections.admits(v6(9, 9, 9, 9, 9, 9, 9, 9), 1))
  t.ok(connections.admits(ONE, 1))
  t.notOk(connections.admits(bytes(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1), 1))
})

t.test('what stays open after an answer counts apart', async t => {
  const { connections } = stage({ perAddress: set(1) })
  t.ok(connections.admits(ONE, 1))
  t.ok(connections.keeps(ONE, 1))
  t.notOk(connections.keeps(ONE, 1))
})

t.test('many networks of one customer share what a little more than one may do', async t => {
  const { clock, connections } = stage()
  const admitted = (from: number, count: number, step: number) => Array.from({ length: count }, (_, i) => connections.admits(bytes(0x20, 1, 0xd, 0xb8, 0, 1, ((from + i) * step) >> 8, ((from + i) * step) & 255, 0, 0, 0, 0, 0, 0, 0, 1), 1)).filter(Boolean).length
  t.equal(admitted(0, 200, 1), 18, 'of one /56, half as much again')
  t.equal(admitted(1, 200, 256), 6, 'of one /48, twice as much')
  t.ok(connections.admits(bytes(0x20, 1, 0xd, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), 1), 'the next /48 is another customer')
  await clock.advance(1_000)
  t.equal(admitted(0, 200, 256), 2)
})

t.test('where there is no room the oldest silent connection of the network with most of them makes it', async t => {
  const { metrics, connections } = stage({ room: () => 10, perAddress: set(1_000) })
  const closed: string[] = []
  const v6 = (network: number) => bytes(0x20, 1, 0xd, 0xb8, 0, 1, 0, network, 0, 0, 0, 0, 0, 0, 0, 1)
  const open = (name: string, peer: ArrayBuffer, count = 1) => {
    t.equal(connections.admits(peer, count), true, name)
    return connections.silent(peer, () => closed.push(name), () => true)
  }
  open('other', OTHER)
  const [first] = ['one 1', 'one 2', 'one 3'].map(name => open(name, ONE))
  for (let network = 0; network < 4; network++) open(`six ${network}`, v6(network))
  t.same(closed, [])
  open('newcomer', bytes(192, 0, 2, 3), 11)
  t.same(closed, ['six 0'], 'each of another /64, and of one /48')
  first!.over()
  first!.over()
  open('newcomer', bytes(192, 0, 2, 4), 11)
  open('newcomer', bytes(192, 0, 2, 5), 11)
  t.same(closed.sort(), ['one 2', 'six 0', 'six 1'], 'one that brought a request is never closed')
  t.match(await metrics.metrics(), /kind="silent_connections"\} 3/)
})

t.test('a request on nobody knows which connection of an address spares all of them where they are few, and else ends its own', async t => {
  const { connections } = stage({ room: () => 128, perAddress: set(1_000) })
  const closed: string[] = []
  const open = new Set<string>()
  const silent = (peer: ArrayBuffer, ...names: string[]) => {
    for (const name of names) {
      open.add(name)
      connections.silent(peer, () => closed.push(name), () => open.has(name))
    }
  }
  silent(ONE, 'a', 'b')
  t.equal(connections.unsure(ONE), undefined)
  t.notOk(connections.admits(OTHER, 129), 'there is none that is silent for certain')
  silent(ONE, 'c', 'd', 'e')
  const settle = connections.unsure(ONE)!
  open.delete('c')
  settle(true)
  t.ok(connections.admits(OTHER, 129))
  t.same(closed, ['d'], 'c was the one')
  silent(ONE, 'f', 'g')
  connections.unsure(ONE)!(false)
  t.notOk(connections.admits(OTHER, 129), 'it might be any of them')
  t.equal(connections.unsure(OTHER), undefined, 'another address has none')
  silent(bytes(10, 1, 1, 1), 'h', 'i', 'j', 'k')
  t.equal(connections.unsure(bytes(10, 1, 1, 1)), undefined, 'a proxy hides nothing')
  t.equal(connections.unsure(bytes()), undefined, 'it has left')
  connections.silent(bytes(), () => closed.push('left'), () => false).over()
})

t.test('near the end of the room nothing stays open after its answer', async t => {
  const { connections } = stage({ room: () => 100, perAddress: set(1_000) })
  t.ok(connections.keeps(ONE, 75))
  t.notOk(connections.keeps(ONE, 76))
})

t.test('proxies open as many as they like, this machine too unless the limit was set', async t => {
  const many = (connections: Connections, peer: ArrayBuffer) => Array.from({ length: 50 }, (_, i) => connections.admits(peer, i)).filter(Boolean).length
  t.equal(many(stage().connections, bytes(10, 1, 1, 1)), 50)
  t.equal(many(stage().connections, LOOPBACK), 12)
  t.equal(many(stage({ perAddress: { most: 12, local: false } }).connections, LOOPBACK), 50)
  t.equal(many(stage({ perAddress: set(0) }).connections, ONE), 50)
})

t.test('nobody, proxies neither, opens more than there is room for', async t => {
  const { connections } = stage({ room: () => 100 })
  t.ok(connections.admits(bytes(10, 1, 1, 1), 100))
  t.notOk(connections.admits(bytes(10, 1, 1, 1), 101))
})

t.test('a flood is one line a second, and every refusal is counted by its kind', async t => {
  const { clock, lines, metrics, connections } = stage({ room: () => 100 })
  for (let i = 0; i < 1_012; i++) connections.admits(ONE, 1)
  for (let i = 0; i < 5; i++) connections.admits(OTHER, 101)
  t.same(lines, [])
  await clock.advance(1_000)
  t.same(lines, [['refused', { connections_per_address: 1_000, descriptors: 5 }]])
  await clock.advance(10_000)
  t.equal(lines.length, 1)
  connections.admits(OTHER, 101)
  await clock.advance(1_000)
  t.same(lines[1], ['refused', { descriptors: 1 }])
  t.match(await metrics.metrics(), /live_test_refused_total\{kind="connections_per_address"\} 1000\nlive_test_refused_total\{kind="descriptors"\} 6/)
})
