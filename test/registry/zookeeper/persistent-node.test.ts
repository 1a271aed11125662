import { EventEmitter, once } from 'node:events'
import t, { type Test } from 'tap'
import { MAX_ZNODE_BYTES } from '../../../protocol/nodes.js'
import type { Zk } from '../../../registry/zookeeper/client.js'
import { connectionManagerOf } from '../../../registry/zookeeper/internals.js'
import { PersistentNode } from '../../../registry/zookeeper/persistent-node.js'
import { ZkError } from '../../../registry/zookeeper/zk-error.js'
import { expireSession } from '../../support/expire-session.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { until } from '../../support/until.js'
import { next, openZk, startZooKeeper } from '../../support/zookeeper.js'

const server = await startZooKeeper(t)
const observer = await openZk(t, server.connect)

const never = () => Promise.resolve(false)
const always = () => Promise.resolve(true)

interface NodeEvents {
  up: []
  down: []
  written: [data: Buffer]
  conflict: [data: Buffer]
}

/** A node, closed when `t` ends, and what it tells. */
function keep(t: Test, zk: Zk, path: string, data: string, mayReplace: (data: Buffer) => Promise<boolean> = never) {
  const events = new EventEmitter<NodeEvents>()
  const node = new PersistentNode({
    zk,
    path,
    data: Buffer.from(data),
    mayReplace,
    onUp: () => events.emit('up'),
    onDown: () => events.emit('down'),
    onWritten: data => events.emit('written', data),
    onConflict: data => events.emit('conflict', data),
    onWarning: error => t.fail(error.message),
  })
  t.after(() => node.close())
  /** Resolves once the node stands with what was set last. */
  const written = async () => {
    while (!node.current) await once(events, 'written', { signal: AbortSignal.timeout(5_000) })
  }
  return { node, events, written }
}

async function seen(path: string): Promise<string> {
  return (await observer.getData(path)).data.toString()
}

/** Counts the calls of a client by name. */
function countCalls(zk: Zk): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of ['getData', 'exists', 'getChildren', 'setData', 'create'] as const) {
    const call = zk[name].bind(zk) as (...args: unknown[]) => unknown
    Object.defineProperty(zk, name, {
      value: (...args: unknown[]) => {
        counts[name] = (counts[name] ?? 0) + 1
        return call(...args)
      },
    })
  }
  return counts
}

t.test('it makes its node, with its parents, and removes it when closed', async t => {
  const zk = await openZk(t, `${server.connect}/fresh`)
  const { node, events, written } = keep(t, zk, '/edges/e1', 'a')
  await once(events, 'up')
  await written()
  t.match((await observer.getData('/fresh/edges/e1')).stat, { version: 0, ephemeralOwner: zk.session.id })
  await node.close()
  t.equal(node.up, false)
  t.equal(await observer.exists('/fresh/edges/e1'), null)
})

t.test('sets that come faster than writes are written as one, the newest, at one round trip each', async t => {
  const zk = await openZk(t, server.connect)
  const { node, events, written } = keep(t, zk, '/busy', '0')
  await written()
  const counts = countCalls(zk)
  for (let i = 1; i <= 1_000; i++) node.set(Buffer.from(String(i)))
  await written()
  t.equal(await seen('/busy'), '1000')
  t.same(counts, { setData: 1 })

  for (let i = 0; i < 20; i++) {
    node.set(Buffer.from(`again ${i}`))
    await written()
  }
  t.same(counts, { setData: 21 })

  node.set(Buffer.from('again 19'))
  await once(events, 'written')
  t.same(counts, { setData: 21 }, 'what stands already is not written')
})

t.test('one write is in flight at a time, and what is set meanwhile goes in the next', async t => {
  const proxy = await TcpProxy.open(t, server.port)
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`)
  const { node, events, written } = keep(t, zk, '/slow', 'a')
  await written()
  const writes: string[] = []
  events.on('written', data => writes.push(data.toString()))
  const counts = countCalls(zk)
  proxy.delayMs = 20
  node.set(Buffer.from('b'))
  await until(() => counts.setData === 1, { what: 'the first write' })
  node.set(Buffer.from('c'))
  node.set(Buffer.from('d'))
  await written()
  t.same(writes, ['b', 'd'])
  t.same(counts, { setData: 2 })
})

t.test('it is current again after a disconnect', async t => {
  const proxy = await TcpProxy.open(t, server.port)
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`)
  const { node, events, written } = keep(t, zk, '/cut-off', 'a')
  await written()
  let downs = 0
  events.on('down', () => downs++)
  proxy.refusing = true
  proxy.cut()
  await next(zk, 'onSuspended')
  node.set(Buffer.from('b'))
  proxy.refusing = false
  await until(async () => (await seen('/cut-off')) === 'b' && node.current)

  const counts = countCalls(zk)
  const checked = once(events, 'written')
  proxy.cut()
  await checked
  t.same(counts, { getChildren: 1 }, 'a reconnect alone writes nothing')
  t.equal(downs, 0)
})

t.test('a write whose answer was lost is settled', async t => {
  const proxy = await TcpProxy.open(t, server.port)
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`, { sessionTimeoutMs: 1_000 })
  const { node, written } = keep(t, zk, '/unknown', '0')
  for (let i = 1; i <= 10; i++) {
    await written()
    proxy.cutAfter(1 + i * 7)
    node.set(Buffer.from(String(i)))
    await written()
    t.equal(await seen('/unknown'), String(i))
  }
})

t.test('an expired session is replaced, without asking anyone', async t => {
  const zk = await openZk(t, server.connect)
  const { node, events, written } = keep(t, zk, '/expiring', 'a', () => Promise.reject(new Error('not to be asked')))
  await written()
  const told: string[] = []
  events.on('down', () => told.push('down')).on('up', () => told.push('up'))
  await expireSession(zk.session.client, server.port)
  node.set(Buffer.from('b'))
  await until(async () => (await observer.exists('/expiring')) && (await seen('/expiring')) === 'b')
  await written()
  t.same(told, ['down', 'up'])
  t.equal((await observer.exists('/expiring'))?.ephemeralOwner, zk.session.id)
})

t.test('deleted by somebody, it is made again at once', async t => {
  const zk = await openZk(t, server.connect)
  const { events, written } = keep(t, zk, '/deleted', 'a')
  await written()
  for (let i = 0; i < 3; i++) {
    const up = once(events, 'up', { signal: AbortSignal.timeout(2_000) })
    await observer.remove('/deleted')
    await up
    t.equal(await seen('/deleted'), 'a')
  }
})

t.test('overwritten by somebody, it is right again with the next set', async t => {
  const zk = await openZk(t, server.connect)
  const { node, written } = keep(t, zk, '/overwritten', 'a')
  await written()
  await observer.setData('/overwritten', Buffer.from('rubbish'))
  node.set(Buffer.from('b'))
  await written()
  t.equal(await seen('/overwritten'), 'b')
})

t.test("another session's node is replaced in one step where that is allowed", async t => {
  await observer.create('/left-over', Buffer.from('old'), { ephemeral: true })
  const before = await observer.exists('/left-over')
  const asked: string[] = []
  const zk = await openZk(t, server.connect)
  const { written } = keep(t, zk, '/left-over', 'new', data => {
    asked.push(data.toString())
    return always()
  })
  await written()
  t.same(asked, ['old'])
  const after = await observer.exists('/left-over')
  t.match(after, { ephemeralOwner: zk.session.id, version: 0 })
  t.not(after?.czxid, before?.czxid)
})

t.test("another's node stays while it may not be replaced, and is reported once", async t => {
  await observer.create('/taken', Buffer.from('theirs'), { ephemeral: true })
  let asked = 0
  const conflicts: string[] = []
  const zk = await openZk(t, server.connect)
  const { node, events, written } = keep(t, zk, '/taken', 'ours', () => {
    asked++
    return asked === 1 ? never() : Promise.reject(new Error('cannot tell'))
  })
  events.on('conflict', data => conflicts.push(data.toString()))
  await until(() => asked === 2, { what: 'a second question' })
  t.equal(node.up, false)
  t.equal(await seen('/taken'), 'theirs')
  t.same(conflicts, ['theirs'])

  await observer.remove('/taken')
  await written()
  t.equal(await seen('/taken'), 'ours')
})

t.test('made anew by a write whose answer was lost, it is not taken for the node that was there before', async t => {
  const zk = await openZk(t, server.connect)
  const getChildren = zk.getChildren.bind(zk)
  const create = zk.create.bind(zk)
  let [looks, creations] = [0, 0]
  zk.getChildren = async (...args) => {
    if (++looks === 2) {
      node.set(Buffer.from('b'))
      await observer.remove('/again')
    }
    return getChildren(...args)
  }
  zk.create = async (...args) => {
    await create(...args)
    if (++creations === 1) return
    node.set(Buffer.from('a'))
    throw new ZkError('CONNECTION_LOSS', 'create', '/again', true)
  }
  const { node, written } = keep(t, zk, '/again', 'a')
  await written()
  t.equal(creations, 2)
  t.equal(await seen('/again'), 'a')
})

t.test('a write at which the server hangs up is tried seldom, and what else is on the connection goes on', async t => {
  const narrow = await startZooKeeper(t, { jvmFlags: ['-Djute.maxbuffer=4096'] })
  const proxy = await TcpProxy.open(t, narrow.port)
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`)
  const other = await openZk(t, narrow.connect)
  const warnings: string[] = []
  const node = new PersistentNode({ zk, path: '/narrow', data: Buffer.from('short'), mayReplace: never, onWarning: error => warnings.push(error.message) })
  t.after(() => node.close())
  await until(() => node.current)
  node.set(Buffer.alloc(5_000))
  await until(() => warnings.length === 3, { what: 'three writes were given up' })
  t.same(new Set(warnings), new Set(['setData /narrow: CONNECTION_LOSS']))
  t.ok(node.up)
  const { accepted } = proxy
  await zk.ready(AbortSignal.timeout(5_000))
  let fired = false
  await zk.exists('/news', () => (fired = true))
  await other.create('/news', Buffer.alloc(0))
  await until(() => fired, { what: 'a watch on the same connection fires' })
  t.ok(proxy.accepted <= accepted + 1, 'the connection was kept meanwhile')
  node.set(Buffer.from('short again'))
  await until(() => node.current, { what: 'what fits is written' })
})

t.test('what happens to the node without a word is put right when it is looked at again', async t => {
  const zk = await openZk(t, server.connect)
  const node = new PersistentNode({ zk, path: '/silently', data: Buffer.from('a'), mayReplace: never, lookAgainMs: 300 })
  t.after(() => node.close())
  await until(() => node.current)
  const { watcherManager } = connectionManagerOf(zk.session.client)
  watcherManager.emit = () => {}
  await observer.remove('/silently')
  await until(async () => (await observer.exists('/silently'))?.ephemeralOwner === zk.session.id, { what: 'it stands again' })
})

t.test('data over the limit is refused where it is set', async t => {
  const zk = await openZk(t, server.connect)
  const { node, written } = keep(t, zk, '/limit', 'a')
  t.throws(() => node.set(Buffer.alloc(MAX_ZNODE_BYTES + 1)), { code: 'BAD_ARGUMENTS' })
  node.set(Buffer.alloc(MAX_ZNODE_BYTES))
  await written()
  t.equal((await observer.getData('/limit')).data.length, MAX_ZNODE_BYTES)
})

t.test('it is there again after the server lost all its data', async t => {
  const zk = await openZk(t, `${server.connect}/lost`, { sessionTimeoutMs: 1_000 })
  const { events, written } = keep(t, zk, '/edges/e1', 'a')
  await written()
  await server.kill()
  server.wipe()
  await server.start()
  await once(events, 'up', { signal: AbortSignal.timeout(8_000) })
  t.equal((await zk.getData('/edges/e1')).data.toString(), 'a')
})

t.end()
