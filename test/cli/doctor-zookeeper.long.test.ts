import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { peerPorts } from '../../cluster/ensemble.js'
import { Ports } from '../../cluster/ports.js'
import type { Diagnosis } from '../../cli/doctor/examination.js'
import { judgeServers, type AskedServer } from '../../cli/doctor/servers.js'
import { modeOf } from '../../registry/zookeeper/four-letter-word.js'
import { tempFolder } from '../support/folder.js'
import { openHole } from '../support/hole.js'
import { openOddZooKeeper } from '../support/odd-zookeeper.js'
import { operate } from '../support/operator.js'
import { until } from '../support/until.js'
import { startZooKeeper, TestZooKeeper } from '../support/zookeeper.js'

t.setTimeout(120_000)

/** Every command that asks ZooKeeper. */
const COMMANDS = ['edges', 'dispatchers', 'gateways', 'videos', 'video demo', 'watch', 'drain edge-1', 'undrain edge-1', 'secure', 'spread', 'spread demo 2', 'rebalance', 'name mine', 'expect', 'expect --edges 3', 'store', 'store accept dispatcher-1'].map(line => line.split(' '))
const FORBIDDEN = 'srvr is not executed because it is not in the whitelist.\n'
const NOT_SERVING = 'This ZooKeeper instance is not currently serving requests\n'

async function doctor(connect: string, env: NodeJS.ProcessEnv = {}) {
  const { status, stdout, stderr } = await operate(['doctor', '--json', '--zookeeper', connect], { env })
  t.same([status, stderr], [1, ''])
  const { zookeeper, findings } = JSON.parse(stdout) as Diagnosis
  const found = findings.filter(({ code }) => code.startsWith('zookeeper_')).flatMap(({ level, code, subjects }) => subjects.map(subject => `${level} ${code} ${subject}`))
  return { zookeeper, found: found.sort(), text: findings.map(({ what, advice }) => `${what}\n${advice}\n`).join('') }
}

t.test('what the servers of a list say is judged, each by itself and all together', async t => {
  const mode = (mode: string) => ({ answer: `Zookeeper version: 3.9.5\nZxid: 0x1\nMode: ${mode}\nNode count: 5\n` })
  const judge = (...said: AskedServer['said'][]) => judgeServers(said.map((said, i) => ({ server: `zk${i + 1}:2181`, said })), { connect: 'zk1,zk2/live', source: 'from the test', auth: undefined }).map(({ level, code, subjects }) => `${level} ${code} ${subjects.join()}`)
  t.same(judge(mode('standalone')), [])
  t.same(judge(mode('follower'), mode('leader'), mode('observer')), [])
  t.same(judge(mode('follower'), mode('standalone'), mode('leader')), ['problem zookeeper_split zk2:2181'])
  t.same(judge(mode('leader'), mode('leader')), ['problem zookeeper_split zk1:2181', 'problem zookeeper_split zk2:2181'])
  t.same(judge(mode('follower'), mode('follower')), ['note zookeeper_leaderless zk1,zk2'])
  t.same(judge(mode('follower'), { failure: 'SILENT' }), ['problem zookeeper_away zk2:2181', 'note zookeeper_leaderless zk1,zk2'])
  t.same(judge(mode('follower'), { answer: FORBIDDEN }), ['note zookeeper_untold zk2:2181'], 'it may be the leader')
  t.same(judge({ answer: NOT_SERVING }, mode('read-only')), ['problem zookeeper_not_serving zk1:2181', 'problem zookeeper_not_serving zk2:2181'])
  for (const failure of ['ECONNREFUSED', 'EHOSTUNREACH', 'NO_CONNECTION', 'HUNG_UP', 'EPROTO']) t.same(judge({ failure }), ['problem zookeeper_away zk1:2181'])
})

t.test('each server of a list is named with what is wrong with it', async t => {
  const http = createServer((_, response) => response.end()).listen(0, '127.0.0.1')
  t.after(() => http.close())
  await once(http, 'listening')
  const closing = createServer().on('connection', socket => socket.destroy()).listen(0, '127.0.0.1')
  t.after(() => closing.close())
  await once(closing, 'listening')
  const at = (server: typeof http) => `127.0.0.1:${(server.address() as AddressInfo).port}`
  const hole = `127.0.0.1:${await openHole(t)}`
  const { found, text } = await doctor(['127.0.0.1:1', 'no-such-host.invalid:2181', hole, at(http), at(closing)].join() + '/live')
  t.same(found, [...['127.0.0.1:1', 'no-such-host.invalid:2181', hole, at(closing)].map(server => `problem zookeeper_away ${server}`), `problem zookeeper_is_another ${at(http)}`].sort())
  t.match(text, /nothing listens where ZooKeeper should \(ECONNREFUSED, from --zookeeper\)/)
  t.match(text, /host name (is unknown|cannot be looked up) \(E|no connection within 1 s[^]*no connection within 1 s/)
  t.match(text, 'no connection within 1 s (NO_CONNECTION')
  t.match(text, /hangs up without a word|cannot be asked \(ECONNRESET/)
  t.match(text, /is no ZooKeeper: it answers "HTTP\/1\.1 400 Bad Request"[^]*\nSomething else listens there/)
  t.equal(text.match(/omething else listens there/g)!.length, 2, 'which is said of none that may be frozen')
})

t.test('of an ensemble the dead server is named while the others serve, and so is each one when most of them do not', async t => {
  const servers = await peerPorts(new Ports(), 3)
  const members = await Promise.all(servers.map(async (_, i) => {
    const member = await TestZooKeeper.launch(join(tempFolder(t), 'zookeeper'), { ensemble: { number: i + 1, servers } })
    t.after(() => member.close())
    return member
  }))
  const mode = ({ port }: TestZooKeeper) => modeOf('127.0.0.1', port)
  await until(async () => (await Promise.all(members.map(mode))).every(mode => mode !== undefined), { what: 'all serve' })
  const connect = (list: readonly TestZooKeeper[]) => `${list.map(({ connect }) => connect).join()}/live`
  const healthy = await doctor(connect(members))
  t.same(healthy.found, [])
  const modes = await Promise.all(members.map(mode))
  const followers = members.filter((_, i) => modes[i] === 'follower')
  t.same((await doctor(connect(followers))).found, [`note zookeeper_leaderless ${connect(followers).replace('/live', '')}`])

  const [dead, frozen] = followers as [TestZooKeeper, TestZooKeeper]
  const rest = members.find(member => !followers.includes(member))!
  await dead.kill()
  const one = await doctor(connect(members))
  t.same(one.found, [`problem zookeeper_away ${dead.connect}`])
  t.type(one.zookeeper.readMs, 'number', 'the registry is examined')

  frozen.freeze()
  await until(async () => (await mode(rest)) === undefined, { what: 'there is no majority' })
  const most = await doctor(connect(members))
  t.same(most.found, [`problem zookeeper_away ${dead.connect}`, `problem zookeeper_away ${frozen.connect}`, `problem zookeeper_not_serving ${rest.connect}`].sort())
  t.match(most.text, /accepts connections but does not answer \(SILENT/)
  t.match(most.text, 'its ensemble has no majority')
  t.notMatch(most.text, /omething else listens there/)
  t.equal(most.zookeeper.readMs, null)
})

t.test('a server that takes only those with credentials, and no long calls, is a finding of doctor\'s and a message of each command', async t => {
  const zookeeper = await startZooKeeper(t, { jvmFlags: ['-Dzookeeper.enforce.auth.enabled=true', '-Dzookeeper.enforce.auth.schemes=digest', '-Djute.maxbuffer=4096'] })
  const connect = `${zookeeper.connect}/live`
  const refused = await doctor(connect)
  t.same(refused.found, [`problem zookeeper_refuses ${zookeeper.connect}`])
  t.match(refused.text, 'SESSION_CLOSED_REQUIRE_SASL_AUTH, it serves nobody without credentials')
  await Promise.all(COMMANDS.map(async argv => {
    const { status, stdout, stderr } = await operate([...argv, '--zookeeper', connect])
    t.same([status, stdout], [1, ''], argv.join(' '))
    t.match(stderr, argv[0] === 'secure' ? /^registry: there are no credentials/ : /^registry: .*SESSION_CLOSED_REQUIRE_SASL_AUTH, it serves nobody without credentials: set ZOOKEEPER_AUTH or ZOOKEEPER_AUTH_FILE\n$/, argv.join(' '))
  }))
  const small = await doctor(connect, { ZOOKEEPER_AUTH: 'a:b' })
  t.same(small.found, [`problem zookeeper_small ${zookeeper.connect}`])
  t.match(small.text, /hangs up at a call of 1,000,000 bytes\nIts jute\.maxbuffer/)
})

t.test('a server that does not take our credentials is named', async t => {
  const zookeeper = await startZooKeeper(t, { jvmFlags: ['-Dzookeeper.DigestAuthenticationProvider.enabled=false'] })
  const env = { ZOOKEEPER_AUTH: 'a:b' }
  const { found, text } = await doctor(`${zookeeper.connect}/live`, env)
  t.same(found, [`problem zookeeper_refuses ${zookeeper.connect}`])
  t.match(text, 'AUTH_FAILED, it does not take our credentials')
  t.match(await operate(['edges', '--zookeeper', `${zookeeper.connect}/live`], { env }), { status: 1, stdout: '', stderr: /^registry: .*AUTH_FAILED, it does not take our credentials\.?\n/ })
})

t.test('any other error of ZooKeeper\'s is told with its code, the call and the path', async t => {
  for (const [error, code] of [[-42, 'UNKNOWN'], [-127, 'THROTTLED_OP'], [-4, 'CONNECTION_LOSS']] as const) {
    const server = await openOddZooKeeper(t, { error, srvr: FORBIDDEN })
    const { found, text } = await doctor(`${server}/live`)
    t.same(found, [`note zookeeper_untold ${server}`, `problem zookeeper_fails ${server}`])
    t.match(text, `getChildren / fails with ${code}`)
    await Promise.all(COMMANDS.map(async argv => {
      const { status, stdout, stderr } = await operate([...argv, '--zookeeper', `${server}/live`], { env: { ZOOKEEPER_AUTH: 'a:b' } })
      t.same([status, stdout], [1, ''], argv.join(' '))
      t.match(stderr, new RegExp(`^registry: ZooKeeper at ${server}/live \\(from --zookeeper\\): getChildren / fails with ${code}`), argv.join(' '))
    }))
  }
})
