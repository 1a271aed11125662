import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import zookeeper, { type ACL } from 'node-zookeeper-client'
import t from 'tap'
import { ChildrenCache } from '../../../registry/zookeeper/children-cache.js'
import { CREDENTIALS_RULE, parseCredentials, readCredentials } from '../../../registry/zookeeper/credentials.js'
import { PersistentNode } from '../../../registry/zookeeper/persistent-node.js'
import { expireSession } from '../../support/expire-session.js'
import { until } from '../../support/until.js'
import { next, openZk, startZooKeeper } from '../../support/zookeeper.js'

const server = await startZooKeeper(t)
const ours = { auth: ['parts:right'] }
const mayReplace = async () => true

t.test('credentials are read from text and from a file, and a bad one is refused without being quoted', async t => {
  t.same(parseCredentials('a:b'), ['a:b'])
  t.same(parseCredentials('new:p:w,old:x'), ['new:p:w', 'old:x'], 'a password may hold a colon')
  for (const bad of ['', 'a', ':b', 'a:', 'a:b,', 'a:b c', 'a :b', 'a:b\nc:d']) t.throws(() => parseCredentials(bad), { message: CREDENTIALS_RULE }, JSON.stringify(bad))
  const file = join(t.testdir(), 'auth')
  t.throws(() => readCredentials(file), { message: 'cannot be read: ENOENT' })
  writeFileSync(file, 'a:b\n')
  t.same(readCredentials(file), ['a:b'])
  writeFileSync(file, 'secret')
  t.throws(() => readCredentials(file), { message: `the file ${CREDENTIALS_RULE}` })
})

t.test('with credentials whatever is made is ours alone, the chroot included', async t => {
  const zk = await openZk(t, `${server.connect}/closed/deep`, ours)
  await zk.ensure('/edges')
  await zk.create('/edges/a', Buffer.from('1'), { ephemeral: true })
  await zk.multi([{ op: 'create', path: '/edges/b', data: Buffer.from('2'), ephemeral: true }])
  const root = await openZk(t, server.connect, ours)
  for (const path of ['/closed', '/closed/deep', '/closed/deep/edges', '/closed/deep/edges/a', '/closed/deep/edges/b']) {
    t.match(await root.getAcl(path), [{ scheme: 'digest', id: /^parts:/, mayChange: true }], path)
  }
  for (const options of [{}, { auth: ['parts:wrong'] }]) {
    const stranger = await openZk(t, `${server.connect}/closed/deep`, options)
    const refused = { name: 'ZkError', code: 'NO_AUTH', retryable: false }
    await t.rejects(stranger.getData('/edges/a'), refused)
    await t.rejects(stranger.getChildren('/edges'), refused)
    await t.rejects(stranger.setData('/edges/a', Buffer.from('x')), refused)
    await t.rejects(stranger.remove('/edges/a'), refused)
    await t.rejects(stranger.create('/edges/c', Buffer.alloc(0)), refused)
    await t.rejects(stranger.setAcl('/edges/a'), refused)
    await t.rejects(stranger.multi([{ op: 'remove', path: '/edges/a' }]), refused)
  }
})

t.test('without credentials what is made is open to all, as before', async t => {
  const zk = await openZk(t, `${server.connect}/open`)
  await zk.ensure('/edges')
  t.same(await zk.getAcl('/edges'), [{ scheme: 'world', id: 'anyone', mayChange: true }])
})

t.test('the credentials are shown again after a reconnect and in every new session, ahead of all that waits', async t => {
  const zk = await openZk(t, `${server.connect}/again`, ours)
  await zk.ensure('/edges')
  const node = new PersistentNode({ zk, path: '/edges/a', data: Buffer.from('1'), mayReplace, onWarning: error => t.fail(error.message) })
  t.after(() => node.close())
  const cache = new ChildrenCache({ zk, path: '/edges', onRefused: () => t.fail('the cache was refused') })
  t.after(() => cache.close())
  await until(() => cache.entries.has('a'))

  await server.kill()
  await server.start()
  await zk.ready(AbortSignal.timeout(5_000))
  await zk.setData('/edges/a', Buffer.from('2'))
  await until(() => cache.entries.get('a')?.data.toString() === '2')

  const session = next(zk, 'onSession')
  await expireSession(zk.session.client, server.port)
  await session
  await until(() => node.up && cache.entries.get('a')?.stat.ephemeralOwner === zk.session.id, { what: 'the node stands in the new session' })
})

t.test('while credentials are changed, those with the old ones and those with both see each other', async t => {
  const connect = `${server.connect}/change`
  const old = await openZk(t, connect, { auth: ['parts:old'] })
  await old.ensure('/edges')
  const both = await openZk(t, connect, { auth: ['parts:new', 'parts:old'] })
  await both.create('/edges/b', Buffer.from('both'))
  t.equal((await old.getData('/edges/b')).data.toString(), 'both')
  for (const path of ['/', '/edges']) await both.setAcl(path)
  const young = await openZk(t, connect, { auth: ['parts:new'] })
  t.same((await young.getChildren('/edges')).names, ['b'])
  await young.setAcl('/edges')
  await t.rejects(old.getChildren('/edges'), { code: 'NO_AUTH' })
})

t.test('a child that may not be read is passed over, and read once it may be', async t => {
  const connect = `${server.connect}/mixed`
  const zk = await openZk(t, connect)
  await zk.ensure('/edges')
  await zk.create('/edges/open', Buffer.from('1'))
  const other = await openZk(t, connect, ours)
  await other.create('/edges/closed', Buffer.from('2'))
  const refused: (string | undefined)[] = []
  const cache = new ChildrenCache({ zk, path: '/edges', onRefused: name => refused.push(name) })
  t.after(() => cache.close())
  await until(() => cache.synced)
  t.same([...cache.entries.keys()], ['open'])
  t.same(refused, ['closed'])
  const open = (zookeeper.ACL as unknown as { OPEN_ACL_UNSAFE: ACL[] }).OPEN_ACL_UNSAFE
  await new Promise(resolve => other.session.client.setACL('/mixed/edges/closed', open, resolve))
  await until(() => cache.entries.has('closed'))
})

t.end()
