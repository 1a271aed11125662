import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { z } from 'zod'
import { INTERNAL_PORTS } from '../../cluster/watchdog.js'
import { dispatcherVariables } from '../../dispatcher/config.js'
import { edgeVariables } from '../../edge/config.js'
import { gatewayVariables } from '../../gateway/config.js'
import { startCluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { isAlive } from '../support/process.js'
import { ENTRY, plainNode } from '../support/program.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(230_000)
/** Each has processes of its own, and most of them wait: they do so together. */
t.jobs = 3

/** What a process loads first, as NODE_OPTIONS has it. */
const planted = (script: string) => `--import=data:text/javascript,${encodeURIComponent(script)}`
const BLOCKS = planted("process.on('SIGUSR2', () => { for (;;); })")
const NEVER_LISTENS = planted("if (!process.argv.includes('watchdog')) for (;;);")
const THROWS = planted("process.on('SIGUSR2', () => { throw new Error('planted') })")
/** Takes the store's write lock, and keeps it for ever. */
const BLOCKS_IN_TRANSACTION = planted(`import { createRequire } from 'node:module'
process.on('SIGUSR2', () => {
  const Database = createRequire(${JSON.stringify(ENTRY)})('better-sqlite3')
  new Database(process.env.STORE_URL.replace('sqlite:', '')).exec('BEGIN IMMEDIATE')
  for (;;);
})`)

/** A part under a watchdog with a limit of 2 s, as an image or a unit runs it. It needs no ZooKeeper to be well. */
async function watched(t: Test, { part = 'edge', env = {}, options = '', listens = true }: { part?: string; env?: NodeJS.ProcessEnv; options?: string; listens?: boolean } = {}) {
  const child = spawn('env', [...plainNode(options), ENTRY, 'watchdog', part], {
    env: { PATH: process.env['PATH'], NODE_ID: 'watched', PORT: '0', INTERNAL_PORT: '0', ZOOKEEPER_CONNECT: '127.0.0.1:1/away', STORE_URL: `sqlite:${tempFolder(t)}/comments.db`, WATCHDOG_SECONDS: '2', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (text: Buffer) => (said[name] += text.toString()))
  const lines = () => said.stdout.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as { event: string; role: string; pid: number; internalUrl: string })
  const listening = listens ? await until(() => lines().find(({ event }) => event === 'listening'), { timeoutMs: 30_000, what: `${part} listens` }) : undefined
  const { pid = 0, internalUrl = '' } = listening ?? {}
  const isWell = () => fetch(`${internalUrl}/healthz`).then(({ ok }) => ok, () => false)
  if (listens) t.ok(await isWell())
  return { child, exited, said, lines, pid, isWell }
}

t.test('a part that is frozen is ended, and its watchdog ends as it did', async t => {
  const { child, exited, lines, pid } = await watched(t)
  process.kill(pid, 'SIGSTOP')
  t.same(await exited, [null, 'SIGKILL'])
  t.notOk(isAlive(pid))
  t.not(child.pid, pid)
  t.match(lines().at(-1), { level: 'error', role: 'watchdog', node: 'watched', pid, event: 'silent_part_ended', silentMs: /^\d+$/ })
})

t.test('so is one whose main thread is blocked', async t => {
  const { exited, pid } = await watched(t, { part: 'gateway', options: BLOCKS })
  process.kill(pid, 'SIGUSR2')
  t.same(await exited, [null, 'SIGKILL'])
  t.notOk(isAlive(pid))
})

t.test('so is one that never becomes healthy, after a longer time', async t => {
  const since = performance.now()
  const { exited, lines } = await watched(t, { env: { WATCHDOG_SECONDS: '0.5' }, options: NEVER_LISTENS, listens: false })
  t.same(await exited, [null, 'SIGKILL'])
  t.ok(performance.now() - since > 2_000, 'four limits')
  t.match(lines(), [{ event: 'silent_part_ended' }])
})

t.test('a part that ends by itself gives its watchdog its status', async t => {
  const { exited, pid, lines } = await watched(t, { options: THROWS })
  process.kill(pid, 'SIGUSR2')
  t.same(await exited, [70, null])
  t.equal(lines().at(-1)?.event, 'bug')
  const bad = await watched(t, { env: { LOG_LEVEL: 'loud' }, listens: false })
  t.same(await bad.exited, [2, null])
  t.match(bad.said.stderr, /^edge: bad configuration\nLOG_LEVEL/)
  const killed = await watched(t)
  process.kill(killed.pid, 'SIGKILL')
  t.same(await killed.exited, [null, 'SIGKILL'])
})

t.test('a signal is passed on, and counts once where part and watchdog both get it', async t => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const { child, exited, lines } = await watched(t)
    child.kill(signal)
    t.same(await exited, [0, null])
    t.equal(lines().at(-1)?.event, 'stopped', signal)
  }
  const { child, exited, lines, pid } = await watched(t, { part: 'dispatcher' })
  process.kill(pid, 'SIGTERM')
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
  t.equal(lines().at(-1)?.event, 'stopped')
})

t.test('a part that is frozen and told to stop is ended all the same', async t => {
  const { child, exited, pid } = await watched(t)
  process.kill(pid, 'SIGSTOP')
  child.kill('SIGTERM')
  t.same(await exited, [null, 'SIGKILL'])
})

t.test('a watchdog that is killed leaves no part, not even a frozen one', async t => {
  const { child, exited, pid } = await watched(t)
  process.kill(pid, 'SIGSTOP')
  child.kill('SIGKILL')
  await exited
  await until(() => !isAlive(pid), { what: 'the part is gone' })
})

t.test('a watchdog that did not run itself ends nobody', async t => {
  const { child, pid, isWell, exited } = await watched(t)
  child.kill('SIGSTOP')
  await sleep(3_000)
  child.kill('SIGCONT')
  await sleep(500)
  t.ok(isAlive(pid))
  t.ok(await isWell())
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
})

t.test('it can be switched off, and takes no limit that is none', async t => {
  const { child, exited, pid } = await watched(t, { env: { WATCHDOG_SECONDS: '0' } })
  t.equal(pid, child.pid, 'one process')
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
  const bad = await watched(t, { env: { WATCHDOG_SECONDS: 'soon' }, listens: false })
  t.same(await bad.exited, [2, null])
  t.equal(bad.said.stderr, 'watchdog: bad configuration\nWATCHDOG_SECONDS: must be seconds, 0 or more\n')
  const port = await watched(t, { env: { INTERNAL_PORT: 'http' }, listens: false })
  t.same(await port.exited, [2, null])
  t.match(port.said.stderr, /^edge: bad configuration\nINTERNAL_PORT: must be a port/)
})

t.test('it knows where the parts listen that are not told', async t => {
  const defaults = Object.entries({ gateway: gatewayVariables, edge: edgeVariables, dispatcher: dispatcherVariables }).map(([part, { INTERNAL_PORT }]) => [part, (INTERNAL_PORT as z.ZodType).safeParse(undefined).data])
  t.same(INTERNAL_PORTS, Object.fromEntries(defaults))
})

t.test('it is small', async t => {
  const { child } = await watched(t)
  if (process.platform !== 'linux') return t.pass('no /proc to measure it by')
  const own = /^Private_Dirty: +(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/smaps_rollup`, 'utf8'))?.[1]
  t.ok(Number(own) < 20_000, `${own} KB of its own`)
})

t.test('a dispatcher that is frozen in a transaction stops posts no longer than its watchdog takes', async t => {
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '2', '--watchdog', '1'], { env: { NODE_OPTIONS: BLOCKS_IN_TRANSACTION } })
  const viewer = await watchReady(t, cluster.stream('demo', '?recent=10'))
  const said = [await cluster.say('demo', 'before')]
  const pid = cluster.kill('dispatcher-1', 'SIGUSR2')
  const response = await until(async () => {
    const response = await cluster.post('demo', { content: 'meanwhile' }, { 'idempotency-key': 'meanwhile' })
    return response.status === 201 ? ((await response.json()) as { id: string }) : undefined
  }, { timeoutMs: 20_000, what: 'a post is taken' })
  await cluster.again('dispatcher-1', pid)
  t.match(cluster.output, /dispatcher-1 answered no health check for \d\.\d s and is killed by the watchdog\ndispatcher-1 was killed by SIGKILL; restarting it in 1 s/)
  t.notOk(isAlive(pid))
  said.push(response as never, await cluster.say('demo', 'after'))
  await until(() => viewer.ids.length >= said.length, { what: 'the viewer has all' })
  t.same(viewer.ids, said.map(({ id }) => id))
})
