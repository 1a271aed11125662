import t, { type Test } from 'tap'
import { MAX_ZNODE_BYTES } from '../../../protocol/nodes.js'
import { Zk } from '../../../registry/zookeeper/client.js'
import { next, openZk, startZooKeeper } from '../../support/zookeeper.js'

const server = await startZooKeeper(t)

t.test('reads, writes and watches, all below the chroot', async t => {
  const root = await openZk(t, server.connect)
  const zk = await openZk(t, `${server.connect}/one/two`)
  await zk.ensure('/edges')
  t.type(await root.exists('/one/two/edges'), Object, 'the chroot is made with the rest')

  const events: string[] = []
  await zk.exists('/edges/a', path => events.push(path))
  await zk.create('/edges/a', Buffer.from('1'))
  await zk.sync('/')
  t.same(events, ['/edges/a'])

  const { data, stat } = await zk.getData('/edges/a')
  t.equal(data.toString(), '1')
  t.match(stat, { version: 0, ephemeralOwner: 0n })
  const written = await zk.setData('/edges/a', Buffer.alloc(0), 0)
  t.equal(written.version, 1)
  t.equal((await zk.getData('/edges/a')).data.length, 0)
  t.same((await zk.getChildren('/edges')).names, ['a'])
  await zk.remove('/edges/a', 1)
  t.equal(await zk.exists('/edges/a'), null)
})

t.test('the errors of ZooKeeper have its codes', async t => {
  const zk = await openZk(t, `${server.connect}/codes`)
  await t.rejects(zk.getData('/none'), { name: 'ZkError', code: 'NO_NODE', op: 'getData', path: '/none', retryable: false })
  await t.rejects(zk.create('/no/parent', Buffer.alloc(0)), { code: 'NO_NODE' })
  await zk.ensure('/there')
  await zk.ensure('/there')
  await t.rejects(zk.create('/there', Buffer.alloc(0)), { code: 'NODE_EXISTS' })
  await t.rejects(zk.setData('/there', Buffer.alloc(0), 5), { code: 'BAD_VERSION', ambiguous: false })
  await t.rejects(zk.exists('no slash'), { code: 'BAD_ARGUMENTS', sent: false })
})

t.test('a compare-and-set on version 0 fails once the node was written', async t => {
  const zk = await openZk(t, server.connect)
  await zk.create('/cas', Buffer.from('a'))
  await zk.setData('/cas', Buffer.from('b'))
  for (const op of ['check', 'remove'] as const) {
    await t.rejects(zk.multi([{ op, path: '/cas', version: 0 }]), { code: 'BAD_VERSION' })
  }
  await t.rejects(zk.multi([{ op: 'setData', path: '/cas', data: Buffer.from('c'), version: 0 }]), { code: 'BAD_VERSION' })
  t.equal((await zk.getData('/cas')).data.toString(), 'b')
  await zk.multi([
    { op: 'check', path: '/cas', version: 1 },
    { op: 'setData', path: '/cas', data: Buffer.from('c'), version: 1 },
    { op: 'create', path: '/cas/child', data: Buffer.alloc(0) },
  ])
  t.same((await zk.getChildren('/cas')).names, ['child'])
})

t.test('data over the limit is refused here, and costs nobody the connection', async t => {
  const zk = await openZk(t, server.connect, { onSuspended: () => t.fail('the connection was lost') })
  const tooBig = Buffer.alloc(MAX_ZNODE_BYTES + 1)
  const refused = { code: 'BAD_ARGUMENTS', sent: false }
  await t.rejects(zk.create('/too-big', tooBig), refused)
  await zk.create('/big', tooBig.subarray(1))
  await t.rejects(zk.setData('/big', tooBig), refused)
  const half = Buffer.alloc(MAX_ZNODE_BYTES / 2 + 1)
  await t.rejects(
    zk.multi([
      { op: 'create', path: '/half', data: half },
      { op: 'setData', path: '/big', data: half },
    ]),
    refused,
  )
  t.equal((await zk.getData('/big')).data.length, MAX_ZNODE_BYTES)
})

t.test('while disconnected a call fails at once and is never run', async t => {
  const zk = await openZk(t, server.connect)
  await zk.create('/stale', Buffer.from('before'))
  await server.kill()
  if (zk.connected) await next(zk, 'onSuspended')
  await t.rejects(zk.setData('/stale', Buffer.from('too late')), { code: 'CONNECTION_LOSS', sent: false, ambiguous: false })
  await server.start()
  await zk.ready(AbortSignal.timeout(5_000))
  t.equal((await zk.getData('/stale')).data.toString(), 'before')
})

t.test('a bad connect string is refused in words', (t: Test) => {
  t.throws(() => new Zk('localhost:99999'), { message: /not a ZooKeeper address: 'localhost:99999'/ })
  t.throws(() => new Zk('localhost:2181/a//b'), { message: /not a ZooKeeper path: '\/a\/\/b'/ })
  t.end()
})

t.end()
