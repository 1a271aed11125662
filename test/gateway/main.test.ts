import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { PROGRAM } from '../support/program.js'
import { until } from '../support/until.js'
import { watch } from '../support/viewer.js'
import { startZooKeeper } from '../support/zookeeper.js'


interface Running {
  readonly process: ChildProcess
  readonly output: () => { stdout: string; stderr: string }
  /** Of the public port. */
  readonly url: () => Promise<string>
  /** Exit status. */
  readonly exited: Promise<number | null>
}

function run(t: Test, env: NodeJS.ProcessEnv, ...argv: string[]): Running {
  const child = spawn('env', [...PROGRAM, 'gateway', ...argv], { env: { ...process.env, PORT: '0', INTERNAL_PORT: '0', ...env } })
  t.after(() => child.kill('SIGKILL'))
  const output = { stdout: '', stderr: '' }
  child.stdout.on('data', chunk => (output.stdout += String(chunk)))
  child.stderr.on('data', chunk => (output.stderr += String(chunk)))
  return {
    process: child,
    output: () => output,
    url: () => until(() => /"publicUrl":"([^"]+)"/.exec(output.stdout)?.[1], { what: 'the gateway listens' }),
    exited: once(child, 'close').then(([status]) => status as number | null),
  }
}

t.test('a bad configuration is told whole, and nothing is started', async t => {
  const { exited, output } = run(t, { PORT: 'x', ALLOWED_ORIGINS: 'nothing' })
  t.equal(await exited, 2)
  t.match(output().stderr, /^gateway: bad configuration\nPORT: .*\nALLOWED_ORIGINS: .*\n$/)
  t.equal(output().stdout, '')
  t.equal(await run(t, {}, '--verbose').exited, 2)
})

t.test('--help lists the variables', async t => {
  const { exited, output } = run(t, {}, '--help')
  t.equal(await exited, 0)
  for (const name of ['PORT', 'EDGE_VIDEO_SHARE', 'ALLOWED_ORIGINS', 'DRAIN_MS']) t.match(output().stdout, new RegExp(`^ +${name} `, 'm'))
})

t.test('started while ZooKeeper is away it waits for it, and meanwhile answers what it can', async t => {
  const zookeeper = await startZooKeeper(t)
  await zookeeper.kill()
  const gateway = run(t, { ZOOKEEPER_CONNECT: `${zookeeper.connect}/test`, DRAIN_MS: '100' })
  const url = await gateway.url()
  t.equal((await fetch(`${url}/healthz`)).status, 200)
  t.equal((await fetch(`${url}/`)).status, 200)
  t.equal((await fetch(`${url}/readyz`)).status, 503)
  const viewer = watch(t, `${url}/comments/demo`)
  await until(() => viewer.retryMs !== undefined)
  const posted = await fetch(`${url}/comments/demo`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"content":"hello"}' })
  t.equal(posted.status, 503)
  t.match(await posted.json(), { error: { code: 'UNAVAILABLE' } })
  await until(() => gateway.output().stdout.includes('"event":"waiting_for_zookeeper"'))
  t.notOk(viewer.isClosed)
  await zookeeper.start()
  await until(async () => (await fetch(`${url}/readyz`)).ok)
  await zookeeper.kill()
  await until(() => gateway.output().stdout.includes('"event":"zookeeper_lost"'))
  t.equal((await fetch(`${url}/readyz`)).status, 200, 'it goes on from what it knows')
  gateway.process.kill('SIGTERM')
  await viewer.closed
  t.equal(await gateway.exited, 0)
  t.notMatch(gateway.output().stdout, /hello/)
})
