import t from 'tap'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DataFolder, type Member } from '../../cluster/folder.js'

const member: Member = { id: 'gateway-1', pid: 1, url: 'http://127.0.0.1:8080', internalUrl: null }

t.test('a folder belongs to one supervisor at a time', async t => {
  const path = t.testdir()
  const first = new DataFolder(path)
  first.writeRecord({ zookeeper: [], gateways: [member], dispatchers: [], edges: [] })
  t.throws(() => new DataFolder(path), /a cluster is already running on .*: http:\/\/127\.0\.0\.1:8080/)
  first.unlock()
  new DataFolder(path).unlock()
})

t.test('the record and the token are for their owner alone', async t => {
  const path = t.testdir()
  const folder = new DataFolder(path)
  t.after(() => folder.unlock())
  const token = folder.newToken()
  folder.writeRecord({ zookeeper: [], gateways: [member], dispatchers: [], edges: [] })
  t.equal(folder.readToken(), token)
  t.not(folder.newToken(), token, 'a new one each time')
  t.same(folder.readRecord()?.gateways, [member])
  for (const name of ['cluster.json', 'internal-token']) t.equal(statSync(join(path, name)).mode & 0o777, 0o600, name)
})

t.test('a log that has grown large is set aside', async t => {
  const path = t.testdir({ logs: { 'edge-1.log': 'x'.repeat(10_000_001), 'edge-2.log': 'small' } })
  const folder = new DataFolder(path)
  t.after(() => folder.unlock())
  writeFileSync(`${folder.logFile('edge-1')}.log`, 'new')
  t.equal(statSync(join(path, 'logs', 'edge-1.log.1')).size, 10_000_001)
  t.equal(readFileSync(`${folder.logFile('edge-2')}.log`, 'utf8'), 'small')
})

t.test('a folder is one cluster for good: what it is called, and where its registry is', async t => {
  const path = join(t.testdir(), 'live', 'data')
  const first = new DataFolder(path)
  first.unlock()
  const { id, name, chroot } = first.identity
  t.match(id, /^[0-9a-f]{8}$/)
  t.same([name, chroot], ['live', `/live-comments-${id}`])
  writeFileSync(first.comments, '')
  const again = new DataFolder(path)
  again.unlock()
  t.same(again.identity, first.identity)
  const other = new DataFolder(join(t.testdir(), 'other'))
  other.unlock()
  t.equal(other.identity.name, 'other')
  t.not(other.identity.chroot, chroot, 'no two share a registry')
})

t.test('data of before there were identities keep their place in ZooKeeper', async t => {
  for (const left of ['comments.db', 'zookeeper']) {
    const path = t.testdir()
    mkdirSync(join(path, left))
    const folder = new DataFolder(path)
    folder.unlock()
    t.equal(folder.identity.chroot, '/live-comments', left)
  }
})

t.test('an identity that somebody broke is told, not replaced', async t => {
  const path = t.testdir({ 'identity.json': '{' })
  t.throws(() => new DataFolder(path), { name: 'ConfigError', message: /--data: .*identity\.json was not written by a local cluster/ })
  t.equal(readFileSync(join(path, 'identity.json'), 'utf8'), '{')
})
