import t from 'tap'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
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
