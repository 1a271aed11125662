import { once } from 'node:events'
import t, { type Test } from 'tap'
import { maxDataBytes, type Zk } from '../../../registry/zookeeper/client.js'
import { PersistentNode } from '../../../registry/zookeeper/persistent-node.js'
import { expireSession } from '../../support/expire-session.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { until } from '../../support/until.js'
import { openZk, startZooKeeper } from '../../support/zookeeper.js'

const server = await startZooKeeper(t)
const observer = await openZk(t, server.connect)

const never = () => Promise.resolve(false)
const always = () => Promise.resolve(true)

function keep(t: Test, zk: Zk, path: string, data: string, mayReplace: (data: Buffer) => Promise<boolean> = never) {
  const node = new PersistentNode(zk, path, Buffer.from(data), { mayReplace })
  t.after(() => node.close())
  node.on('warn', error => t.fail(error.message))
  return node
}

async function written(node: PersistentNode): Promise<void> {
  while (!node.current) await once(node, 'written', { signal: AbortSignal.timeout(5_000) })
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
  const node = keep(t, zk, '/edges/e1', 'a')
  await once(node, 'up')
  await written(node)
  t.match((await observer.getData('/fresh/edges/e1')).stat, { version: 0, ephemeralOwner: zk.sessionId })
  await node.close()
  t.equal(node.up, false)
  t.equal(await observer.exists('/fresh/edges/e1'), null)
})

t.test('sets that come faster than writes are written as one, the newest, at one round trip each', async t => {
  const zk = await openZk(t, server.connect)
  const node = keep(t, zk, '/busy', '0')
  await written(node)
  const counts = countCalls(zk)
  for (let i = 1; i <= 1_000; i++) node.set(Buffer.from(String(i)))
  await written(node)
  t.equal(await seen('/busy'), '1000')
  t.same(counts, { setData: 1 })

  for (let i = 0; i < 20; i++) {
    node.set(Buffer.from(`again ${i}`))
    await written(node)
  }
  t.same(counts, { setData: 21 })

  node.set(Buffer.from('again 19'))
  await once(node, 'written')
  t.same(counts, { setData: 21 }, 'what stands already is not written')
})

t.test('one write is in flight at a time, and what is set meanwhile goes in the next', async t => {
  const proxy = await TcpProxy.open(t, server.port)
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`)
  const node = keep(t, zk, '/slow', 'a')
  await written(node)
  const writes: string[] = []
  node.on('written', data => writes.push(data.toString()))
  const counts = countCalls(zk)
  proxy.delayMs = 20
  node.set(Buffer.from('b'))
  await until(() => counts.setData === 1, { what: 'the first write' })
  node.set(Buffer.from('c'))
  node.set(Buffer.from('d'))
  await written(node)
  t.same(writes, ['b', 'd'])
  t.same(counts, { setData: 2 })
})

t.test('it is current again after a disconnect', async t => {
  const proxy = await TcpProxy.open(t, server.port)
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`)
  const node = keep(t, zk, '/cut-off', 'a')
  await written(node)
  let downs = 0
  node.on('down', () => downs++)
  proxy.refusing = true
  proxy.cut()
  await once(zk, 'suspended')
  node.set(Buffer.from('b'))
  proxy.refusing = false
  await until(async () => (await seen('/cut-off')) === 'b' && node.current)

  const counts = countCalls(zk)
  const checked = once(node, 'written')
  proxy.cut()
  await checked
  t.same(counts, { getChildren: 1 }, 'a reconnect alone writes nothing')
  t.equal(downs, 0)
})

t.test('a write whose answer was lost is settled', async t => {
  const proxy = await TcpProxy.open(t, server.port)
  const zk = await openZk(t, `127.0.0.1:${proxy.port}`)
  const node = keep(t, zk, '/unknown', '0')
  for (let i = 1; i <= 10; i++) {
    await written(node)
    proxy.cutAfter(1 + i * 7)
    node.set(Buffer.from(String(i)))
    await written(node)
    t.equal(await seen('/unknown'), String(i))
  }
})

t.test('an expired session is replaced, without asking anyone', async t => {
  const zk = await openZk(t, server.connect)
  const node = keep(t, zk, '/expiring', 'a', () => Promise.reject(new Error('not to be asked')))
  await written(node)
  const events: string[] = []
  node.on('down', () => events.push('down')).on('up', () => events.push('up'))
  await expireSession(zk.client, server.port)
  node.set(Buffer.from('b'))
  await until(async () => (await observer.exists('/expiring')) && (await seen('/expiring')) === 'b')
  await written(node)
  t.same(events, ['down', 'up'])
  t.equal((await observer.exists('/expiring'))?.ephemeralOwner, zk.sessionId)
})

t.test('deleted by somebody, it is made again at once', async t => {
  const zk = await openZk(t, server.connect)
  const node = keep(t, zk, '/deleted', 'a')
  await written(node)
  for (let i = 0; i < 3; i++) {
    const up = once(node, 'up', { signal: AbortSignal.timeout(2_000) })
    await observer.remove('/deleted')
    await up
    t.equal(await seen('/deleted'), 'a')
  }
})

t.test('overwritten by somebody, it is right again with the next set', async t => {
  const zk = await openZk(t, server.connect)
  const node = keep(t, zk, '/overwritten', 'a')
  await written(node)
  await observer.setData('/overwritten', Buffer.from('rubbish'))
  node.set(Buffer.from('b'))
  await written(node)
  t.equal(await seen('/overwritten'), 'b')
})

t.test("another session's node is replaced in one step where that is allowed", async t => {
  await observer.create('/left-over', Buffer.from('old'), { ephemeral: true })
  const before = await observer.exists('/left-over')
  const asked: string[] = []
  const zk = await openZk(t, server.connect)
  const node = keep(t, zk, '/left-over', 'new', data => {
    asked.push(data.toString())
    return always()
  })
  await written(node)
  t.same(asked, ['old'])
  const after = await observer.exists('/left-over')
  t.match(after, { ephemeralOwner: zk.sessionId, version: 0 })
  t.not(after?.czxid, before?.czxid)
})

t.test("another's node stays while it may not be replaced, and is reported once", async t => {
  await observer.create('/taken', Buffer.from('theirs'), { ephemeral: true })
  let asked = 0
  const conflicts: string[] = []
  const zk = await openZk(t, server.connect)
  const node = keep(t, zk, '/taken', 'ours', () => {
    asked++
    return asked === 1 ? never() : Promise.reject(new Error('cannot tell'))
  })
  node.on('conflict', data => conflicts.push(data.toString()))
  await until(() => asked === 2, { what: 'a second question' })
  t.equal(node.up, false)
  t.equal(await seen('/taken'), 'theirs')
  t.same(conflicts, ['theirs'])

  await observer.remove('/taken')
  await written(node)
  t.equal(await seen('/taken'), 'ours')
})

t.test('data over the limit is refused where it is set', async t => {
  const zk = await openZk(t, server.connect)
  const node = keep(t, zk, '/limit', 'a')
  t.throws(() => node.set(Buffer.alloc(maxDataBytes + 1)), { code: 'BAD_ARGUMENTS' })
  node.set(Buffer.alloc(maxDataBytes))
  await written(node)
  t.equal((await observer.getData('/limit')).data.length, maxDataBytes)
})

t.test('it is there again after the server lost all its data', async t => {
  const zk = await openZk(t, `${server.connect}/lost`, { sessionTimeoutMs: 1_000 })
  const node = keep(t, zk, '/edges/e1', 'a')
  await written(node)
  await server.kill()
  server.wipe()
  await server.start()
  await once(node, 'up', { signal: AbortSignal.timeout(8_000) })
  t.equal((await zk.getData('/edges/e1')).data.toString(), 'a')
})

t.end()
