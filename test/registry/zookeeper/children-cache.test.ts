import { EventEmitter, once } from 'node:events'
import zookeeper, { type ACL } from 'node-zookeeper-client'
import t, { type Test } from 'tap'
import { ChildrenCache, type ChildrenCacheOptions } from '../../../registry/zookeeper/children-cache.js'
import type { Zk } from '../../../registry/zookeeper/client.js'
import { connectionManagerOf } from '../../../registry/zookeeper/internals.js'
import { expireSession } from '../../support/expire-session.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { until } from '../../support/until.js'
import { next, openZk, startZooKeeper } from '../../support/zookeeper.js'

const server = await startZooKeeper(t)
const writer = await openZk(t, server.connect)

/** A cache, closed when `t` ends; `synced` resolves the next time that it is. */
function watchChildren(t: Test, zk: Zk, path: string, options: Partial<ChildrenCacheOptions> = {}) {
  const events = new EventEmitter()
  const cache = new ChildrenCache({ zk, path, onSynced: () => events.emit('synced'), ...options })
  t.after(() => cache.close())
  return { cache, synced: () => once(events, 'synced') }
}

function contents(cache: ChildrenCache): Record<string, string> {
  const sorted = [...cache.entries].sort(([a], [b]) => (a < b ? -1 : 1))
  return Object.fromEntries(sorted.map(([name, { data }]) => [name, data.toString()]))
}

/** Waits until the cache has exactly `wanted`. */
async function shows(cache: ChildrenCache, wanted: Record<string, string>): Promise<void> {
  const text = JSON.stringify(wanted)
  await until(() => cache.synced && JSON.stringify(contents(cache)) === text, { what: `the cache shows ${text}` })
}

t.test('it follows children that come, change and go, also before their parent is there', async t => {
  const zk = await openZk(t, server.connect)
  const events: string[] = []
  const { cache, synced } = watchChildren(t, zk, '/edges', {
    onSet: (name, { data }, previous) => events.push(`${name}=${data.toString()} was ${previous?.data.toString()}`),
    onDelete: (name, { data }) => events.push(`${name} gone, was ${data.toString()}`),
  })
  await synced()
  t.same(contents(cache), {})

  await writer.ensure('/edges')
  await writer.create('/edges/a', Buffer.from('1'))
  await shows(cache, { a: '1' })
  await writer.setData('/edges/a', Buffer.from('2'))
  await shows(cache, { a: '2' })
  await writer.remove('/edges/a')
  await shows(cache, {})
  await writer.create('/edges/a', Buffer.from('3'))
  await shows(cache, { a: '3' })
  t.same(events, ['a=1 was undefined', 'a=2 was 1', 'a gone, was 2', 'a=3 was undefined'])

  await writer.remove('/edges/a')
  await writer.remove('/edges')
  await shows(cache, {})
})

t.test('a thousand children and as many changes come to the last state', async t => {
  await writer.ensure('/many')
  const names = Array.from({ length: 1_000 }, (_, i) => String(i))
  await Promise.all(names.map(name => writer.create(`/many/${name}`, Buffer.from('0'))))
  const zk = await openZk(t, server.connect)
  const { cache, synced } = watchChildren(t, zk, '/many')
  await synced()
  t.equal(cache.entries.size, 1_000)
  await Promise.all(names.map(name => writer.setData(`/many/${name}`, Buffer.from('1'))))
  await Promise.all(names.map(name => writer.setData(`/many/${name}`, Buffer.from('2'))))
  await until(() => [...cache.entries.values()].every(({ data }) => data.toString() === '2'), { what: 'every change' })
})

t.test('what changed while it was disconnected is seen after the reconnect', async t => {
  await writer.ensure('/away')
  for (const name of ['stays', 'changes', 'goes']) await writer.create(`/away/${name}`, Buffer.from('1'))
  const proxy = await TcpProxy.open(t, server.port)
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`)
  const { cache, synced } = watchChildren(t, zk, '/away')
  await synced()
  proxy.refusing = true
  proxy.cut()
  await next(zk, 'onSuspended')
  t.equal(cache.synced, false)
  t.equal(cache.entries.size, 3, 'it goes on showing what it last saw')
  await writer.setData('/away/changes', Buffer.from('2'))
  await writer.remove('/away/goes')
  await writer.create('/away/comes', Buffer.from('1'))
  const reconnected = next(zk, 'onConnected')
  proxy.refusing = false
  await reconnected
  t.equal(cache.synced, false, 'it does not pass old news for new')
  await synced()
  t.same(contents(cache), { changes: '2', comes: '1', stays: '1' })
})

t.test('after an expired session all is watched again, and only what changed is told', async t => {
  await writer.ensure('/expired')
  for (const name of ['a', 'b', 'c']) await writer.create(`/expired/${name}`, Buffer.from('1'))
  const zk = await openZk(t, server.connect)
  const told: string[] = []
  const { cache, synced } = watchChildren(t, zk, '/expired', {
    onSet: name => told.push(`set ${name}`),
    onDelete: name => told.push(`delete ${name}`),
  })
  await synced()
  told.length = 0
  void next(zk, 'onLost').then(() => writer.setData('/expired/a', Buffer.from('2')))
  await expireSession(zk.session.client, server.port)
  await shows(cache, { a: '2', b: '1', c: '1' })
  t.same(told, ['set a'])

  await writer.setData('/expired/b', Buffer.from('2'))
  await writer.remove('/expired/c')
  await writer.create('/expired/d', Buffer.from('1'))
  await shows(cache, { a: '2', b: '2', d: '1' })
})

t.test('changes whose watches were lost are seen when all is looked at again, and watched from then on', async t => {
  await writer.ensure('/lost')
  for (const name of ['stays', 'changes', 'goes']) await writer.create(`/lost/${name}`, Buffer.from('1'))
  const zk = await openZk(t, server.connect)
  const reads: string[] = []
  const getData = zk.getData.bind(zk)
  zk.getData = (path, watch) => (reads.push(path), getData(path, watch))
  const { cache, synced } = watchChildren(t, zk, '/lost', { lookAgainMs: 4_000 })
  await synced()
  const { watcherManager } = connectionManagerOf(zk.session.client)
  const emit = watcherManager.emit.bind(watcherManager)
  let swallowed = 0
  watcherManager.emit = () => swallowed++
  reads.length = 0
  await writer.setData('/lost/changes', Buffer.from('2'))
  await writer.remove('/lost/goes')
  await writer.create('/lost/comes', Buffer.from('1'))
  await until(() => swallowed === 3, { what: 'the notices are lost' })
  watcherManager.emit = emit
  t.same(contents(cache), { changes: '1', goes: '1', stays: '1' })
  await shows(cache, { changes: '2', comes: '1', stays: '1' })
  t.notOk(reads.includes('/lost/stays'), 'what has not changed is not read')

  await writer.setData('/lost/changes', Buffer.from('3'))
  await until(() => cache.entries.get('changes')?.data.toString() === '3', { timeoutMs: 3_000, what: 'a change is seen before the next look' })
})

t.test('a parent and children that may not be read are asked for more and more seldom, and read once they may be', async t => {
  const owner = await openZk(t, server.connect, { auth: ['parts:right'] })
  await owner.ensure('/closed')
  const zk = await openZk(t, server.connect)
  const refusals: number[] = []
  const { cache } = watchChildren(t, zk, '/closed', { onRefused: () => refusals.push(performance.now()) })
  await until(() => refusals.length === 3)
  t.ok(refusals[2]! - refusals[1]! > 1.5 * (refusals[1]! - refusals[0]!), 'the second pause is longer')
  t.equal(cache.synced, false)
  await new Promise(resolve => owner.session.client.setACL('/closed', (zookeeper.ACL as unknown as { OPEN_ACL_UNSAFE: ACL[] }).OPEN_ACL_UNSAFE, resolve))
  await until(() => cache.synced)
})

t.test('it converges through cuts in the middle of answers', async t => {
  await writer.ensure('/rough')
  const proxy = await TcpProxy.open(t, server.port)
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`)
  const { cache } = watchChildren(t, zk, '/rough')
  for (let round = 0; round < 20; round++) {
    const name = `n${round % 5}`
    if (await writer.exists(`/rough/${name}`)) await writer.remove(`/rough/${name}`)
    proxy.cutAfter(1 + round * 13)
    await writer.create(`/rough/${name}`, Buffer.from(String(round)))
  }
  await shows(cache, { n0: '15', n1: '16', n2: '17', n3: '18', n4: '19' })
})

t.test('no more children are read than it may, those that it has read stay, and long data is not kept', async t => {
  const zk = await openZk(t, server.connect)
  const crowds: number[] = []
  const read = new Map<string, number>()
  await writer.ensure('/crowd')
  for (const name of ['m', 'n']) await writer.create(`/crowd/${name}`, Buffer.from('1'))
  const { cache } = watchChildren(t, zk, '/crowd', { most: 3, onCrowded: children => crowds.push(children), onSet: (name, { data }) => read.set(name, data.length) })
  await shows(cache, { m: '1', n: '1' })
  for (let i = 0; i < 20; i++) await writer.create(`/crowd/a${i}`, Buffer.from('2'))
  await until(() => crowds.includes(22) && cache.synced)
  t.equal(cache.entries.size, 3)
  t.ok(cache.entries.has('m') && cache.entries.has('n'))
  for (let i = 0; i < 20; i++) await writer.remove(`/crowd/a${i}`)
  await writer.create('/crowd/long', Buffer.alloc(100_000, 'x'))
  await shows(cache, { long: '', m: '1', n: '1' })
  t.equal(read.get('long'), 100_000)
})

t.test('it converges after a restart of the server, and after one that lost its data', async t => {
  const zk = await openZk(t, server.connect, { sessionTimeoutMs: 1_000 })
  await writer.ensure('/restart')
  await writer.create('/restart/a', Buffer.from('1'))
  const { cache } = watchChildren(t, zk, '/restart')
  await shows(cache, { a: '1' })

  await server.kill()
  await server.start()
  await writer.ready(AbortSignal.timeout(5_000))
  await writer.setData('/restart/a', Buffer.from('2'))
  await shows(cache, { a: '2' })

  await server.kill()
  server.wipe()
  await server.start()
  const fresh = await openZk(t, server.connect)
  await fresh.ensure('/restart')
  await fresh.create('/restart/b', Buffer.from('3'))
  await shows(cache, { b: '3' })
})

t.end()
