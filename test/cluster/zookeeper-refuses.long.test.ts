import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Ports } from '../../cluster/ports.js'
import { tempFolder } from '../support/folder.js'
import { PROGRAM } from '../support/program.js'
import { until } from '../support/until.js'
import { startZooKeeper } from '../support/zookeeper.js'

t.setTimeout(120_000)
t.jobs = 2 // they wait nearly all the time

const ROLES = ['gateway', 'dispatcher', 'edge'] as const
const ports = new Ports()
const STRICT = ['-Dzookeeper.enforce.auth.enabled=true', '-Dzookeeper.enforce.auth.schemes=digest']
const WATCHED_SECONDS = 6

interface Line {
  readonly event: string
  readonly code?: string
}

/** A part in a process of its own. */
async function startPart(t: Test, role: string, connect: string, env: NodeJS.ProcessEnv = {}) {
  const internalPort = await ports.take('127.0.0.1')
  const child = spawn('env', [...PROGRAM, role], {
    env: { ...process.env, NODE_ID: `${role}-1`, PORT: '0', INTERNAL_PORT: String(internalPort), ZOOKEEPER_CONNECT: connect, STORE_URL: `sqlite:${tempFolder(t)}/comments.db`, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const lines = () => output.split('\n').slice(0, -1).map(line => JSON.parse(line) as Line)
  const ready = async () => {
    const response = await fetch(`http://127.0.0.1:${internalPort}/readyz`)
    return { status: response.status, message: ((await response.json()) as { error?: { message: string } }).error?.message }
  }
  const staleSeconds = async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${internalPort}/metrics`)).text()
    return Number(/^live_registry_staleness_seconds (\S+)$/m.exec(metrics)?.[1])
  }
  await until(() => ready().catch(() => undefined), { what: `${role} listens` })
  return { role, pid: child.pid!, lines, ready, staleSeconds, bytes: () => output.length }
}

/** The processor time of a process so far, s. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

t.test('parts whose first call ZooKeeper refuses are idle, not ready, and say why', async t => {
  const zookeeper = await startZooKeeper(t, { jvmFlags: STRICT })
  const parts = await Promise.all(ROLES.map(role => startPart(t, role, `${zookeeper.connect}/live`)))
  for (const { lines } of parts) await until(() => lines().some(({ event }) => event === 'zookeeper_lost'))
  await sleep(2_000) // a start takes processor time too
  const before = parts.map(({ pid, bytes }) => ({ cpu: cpuSeconds(pid), bytes: bytes() }))
  await sleep(WATCHED_SECONDS * 1_000)
  for (const [i, { role, pid, bytes, lines, ready }] of parts.entries()) {
    const share = (cpuSeconds(pid) - before[i]!.cpu) / WATCHED_SECONDS
    t.ok(share < 0.1, `${role} takes ${share.toFixed(3)} of a core`)
    t.ok(bytes() - before[i]!.bytes < 1_000, `${role} logs ${bytes() - before[i]!.bytes} bytes in ${WATCHED_SECONDS} s`)
    t.ok(lines().some(({ event, code }) => event === 'zookeeper_lost' && code === 'SESSION_CLOSED_REQUIRE_SASL_AUTH'), `${role}'s log has the reason`)
    t.match(await ready(), { status: 503, message: /registry.*; ZooKeeper at .*SESSION_CLOSED_REQUIRE_SASL_AUTH.*ZOOKEEPER_AUTH/ }, role)
  }
})

t.test('a part that ZooKeeper refuses later on stays ready with what it last saw, idle, and says why', async t => {
  const zookeeper = await startZooKeeper(t)
  const part = await startPart(t, 'gateway', `${zookeeper.connect}/live`)
  await until(async () => (await part.ready()).status === 200)
  await zookeeper.kill()
  await zookeeper.start({ jvmFlags: STRICT })
  await until(() => part.lines().some(({ event, code }) => event === 'zookeeper_lost' && code === 'SESSION_CLOSED_REQUIRE_SASL_AUTH'))
  const before = { cpu: cpuSeconds(part.pid), bytes: part.bytes() }
  await sleep(WATCHED_SECONDS * 1_000)
  const share = (cpuSeconds(part.pid) - before.cpu) / WATCHED_SECONDS
  t.ok(share < 0.1, `it takes ${share.toFixed(3)} of a core`)
  t.ok(part.bytes() - before.bytes < 1_000)
  t.equal((await part.ready()).status, 200)
  t.ok(await part.staleSeconds() > WATCHED_SECONDS)
})

t.test('the same ZooKeeper takes parts that have credentials', async t => {
  const zookeeper = await startZooKeeper(t, { jvmFlags: STRICT })
  const parts = await Promise.all(ROLES.map(role => startPart(t, role, `${zookeeper.connect}/live`, { ZOOKEEPER_AUTH: 'parts:right' })))
  for (const { ready, role } of parts) await until(async () => (await ready()).status === 200, { what: `${role} is ready` })
})

t.test('parts that may not write where they announce themselves say so once', async t => {
  const zookeeper = await startZooKeeper(t, { jvmFlags: ['-Djute.maxbuffer=200'] })
  const dispatcher = await startPart(t, 'dispatcher', `${zookeeper.connect}/live`)
  await until(() => dispatcher.lines().some(({ event }) => event === 'announcement_refused'))
  await sleep(WATCHED_SECONDS * 1_000)
  t.ok(dispatcher.bytes() < 4_000, `it logged ${dispatcher.bytes()} bytes`)
  t.match(await dispatcher.ready(), { status: 503, message: /not announced in the registry/ })
})
