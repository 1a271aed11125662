import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { DIRECTORIES } from '../../registry/access.js'
import { judgeAccess, judgeOpen, judgeReachable } from '../../cli/doctor/access.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'

const server = await startZooKeeper(t)
const codes = (found: Iterable<{ level: string; code: string; subjects: readonly string[] }>) => [...found].map(({ level, code, subjects }) => `${level} ${code} ${subjects.join()}`)

t.test('an open znode is a problem where strangers come, and a note on a machine that serves itself alone', async t => {
  t.same(codes(judgeOpen(['/edges'], [], false)), ['note znode_open /edges'])
  t.same(codes(judgeOpen(['/edges'], [{ at: '10.0.0.5:2181', isPublic: false }], false)), ['problem znode_open /edges'])
  t.match([...judgeOpen(['/edges'], [], false)], [{ advice: /ZOOKEEPER_AUTH[^]*command secure/ }])
  t.match([...judgeOpen(['/edges'], [], true)], [{ advice: /^Once every part has these credentials, run the command secure/ }])
})

t.test('a ZooKeeper at a public address is a problem, at a private one a note', async t => {
  t.same(codes(judgeReachable([{ at: '198.51.100.7:2181', isPublic: true }, { at: '10.0.0.5:2181', isPublic: false }])), ['problem zookeeper_exposed 198.51.100.7:2181', 'note zookeeper_exposed 10.0.0.5:2181'])
})

t.test('what was made without credentials is found open, what was made with them is not, and loopback alone is not exposed', async t => {
  const open = await openZk(t, `${server.connect}/open`)
  const closed = await openZk(t, `${server.connect}/closed`, { auth: ['a:b'] })
  for (const zk of [open, closed]) for (const path of DIRECTORIES) await zk.ensure(path)
  await open.create('/edges/a', Buffer.alloc(0))
  const address = (chroot: string) => ({ connect: `${server.connect}${chroot}`, source: '', auth: undefined })
  t.same(codes(await judgeAccess(open, address('/open'))), [...DIRECTORIES, '/edges/a'].map(path => `note znode_open ${path}`))
  t.same(codes(await judgeAccess(closed, address('/closed'))), [])
})

t.test('one that is named by loopback and listens everywhere is found at the other addresses of this machine', async t => {
  const zk = await openZk(t, `${server.connect}/closed`, { auth: ['a:b'] })
  const everywhere = createServer(socket => socket.on('error', () => {}))
  everywhere.listen(0, '0.0.0.0')
  await once(everywhere, 'listening')
  t.after(() => everywhere.close())
  const { port } = everywhere.address() as AddressInfo
  const own = Object.values(networkInterfaces()).flatMap(list => (list ?? []).filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => `${address}:${port}`))
  const found = await judgeAccess(zk, { connect: `127.0.0.1:${port}/closed`, source: '', auth: undefined })
  t.same(found.flatMap(({ code, subjects }) => (code === 'zookeeper_exposed' ? subjects : [])).sort(), own.sort())
})

t.end()
