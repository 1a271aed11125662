import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse } from 'yaml'
import { projectRoot } from '../../runtime/root.js'
import { readDocument } from '../docs/documents.js'
import { readCompose, readImage, stageImage } from '../support/container.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'
import { startZooKeeper } from '../support/zookeeper.js'

const image = readImage()
const compose = readCompose({ INTERNAL_TOKEN: 'a-token-for-this-test-alone' })

/** What is in the image and nothing else, development packages neither. */
function stage(t: Test): string {
  const folder = t.testdir()
  stageImage(folder)
  return folder
}

/** Its entrypoint, as the container runs it. */
function command(folder: string, ...args: string[]): [program: string, args: string[]] {
  const [, ...entry] = image.entrypoint
  return [process.execPath, [...entry.map(part => part.replace('/app', folder)), ...args]]
}

t.test('what the image copies is in the build context, and the build needs no more', async t => {
  const ignored = readFileSync(join(projectRoot, '.dockerignore'), 'utf8').split('\n').filter(line => line !== '' && !line.startsWith('#'))
  t.equal(ignored[0], '*')
  const context = ignored.slice(1).map(line => line.replace('!', ''))
  const isSent = (path: string) => context.some(name => (name === '*.ts' ? /^[^/]+\.ts$/.test(path) : path === name || path.startsWith(`${name}/`)))
  for (const { built, source } of image.copies) if (!built) t.ok(isSent(source), source)
  for (const name of ['package.json', 'package-lock.json', '.npmrc', 'tsconfig.json', 'live-comments.ts', 'cluster.ts']) t.ok(isSent(name), name)
  const { include } = JSON.parse(readFileSync(join(projectRoot, 'tsconfig.json'), 'utf8')) as { include: string[] }
  for (const name of [...include, 'cluster']) t.ok(context.includes(name), name)
  for (const name of ['.env', 'data', 'node_modules', 'dist', '.git']) t.notOk(isSent(name), `${name} stays out`)
})

t.test('the probes of deploy/README.md ask what the image answers, and end a frozen part as soon as the table says', async t => {
  const yaml = readDocument('deploy/README.md').fences.find(({ language }) => language === 'yaml')!.text
  const { livenessProbe, startupProbe, readinessProbe } = parse(yaml) as Record<string, { httpGet: { path: string; port: number }; periodSeconds: number; timeoutSeconds?: number; failureThreshold?: number; terminationGracePeriodSeconds?: number }>
  for (const probe of [livenessProbe!, startupProbe!, readinessProbe!]) t.equal(String(probe.httpGet.port), image.env['INTERNAL_PORT'])
  t.same([livenessProbe, startupProbe, readinessProbe].map(probe => probe!.httpGet.path), ['/healthz', '/healthz', '/readyz'])
  const { periodSeconds, timeoutSeconds, failureThreshold, terminationGracePeriodSeconds } = livenessProbe!
  const [least, most] = [(failureThreshold! - 1) * periodSeconds + timeoutSeconds!, failureThreshold! * periodSeconds + timeoutSeconds! + terminationGracePeriodSeconds!]
  t.match(readDocument('deploy/README.md').text, `${least}–${most} s, ${terminationGracePeriodSeconds} s of it the grace period`)
})

t.test('the first argument names the part', async t => {
  const folder = stage(t)
  const run = (...args: string[]) => {
    const [program, argv] = command(folder, ...args)
    return spawnSync(program, argv, { cwd: folder, encoding: 'utf8', env: {} })
  }
  t.match(run('--help'), { status: 0, stdout: /dispatcher +stores comments/ })
  t.match(run('gateway', '--help'), { status: 0, stdout: /live-comments gateway[^]*INTERNAL_TOKEN/ })
  t.match(run('registry', '--help'), { status: 0, stdout: /doctor/ })
  t.match(run('edges'), { status: 2, stderr: /has no part "edges"/ })
})

t.test('the parts run from what is in the image, and its health check tells them from dead ones', async t => {
  const folder = stage(t)
  const zookeeper = await startZooKeeper(t)
  const start = async (name: string) => {
    const service = compose.services[name]!
    const [program, argv] = command(folder, ...service.command!)
    const child = spawn(program, argv, {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: {
        ...image.env,
        ...(service.environment as Record<string, string>),
        ZOOKEEPER_CONNECT: `${zookeeper.connect}/image`,
        STORE_URL: `sqlite:${zookeeper.folder}/comments.db`,
        HOST: '127.0.0.1', PORT: '0', INTERNAL_HOST: '127.0.0.1', INTERNAL_PORT: '0', INTERNAL_URL: '', PUBLIC_URL: '',
      },
    })
    t.after(() => child.kill('SIGKILL'))
    let output = ''
    child.stdout.on('data', chunk => (output += String(chunk)))
    const listening = await until(() => /^.*"event":"listening".*$/m.exec(output)?.[0], { timeoutMs: 60_000, what: `${name} listens` })
    const { internalUrl, publicUrl, pid } = JSON.parse(listening) as { internalUrl: string; publicUrl: string; pid: number }
    await until(async () => (await fetch(`${internalUrl}/readyz`)).ok, { timeoutMs: 60_000, what: `${name} is ready` })
    return { child, internalUrl, publicUrl, pid, output: () => output }
  }
  const [dispatcher, edge, gateway] = await Promise.all(['dispatcher-1', 'edge-1', 'gateway-1'].map(start))

  for (const path of ['/', '/docs', '/openapi.json']) t.equal((await fetch(`${gateway!.publicUrl}${path}`)).status, 200, path)
  const viewer = await watchReady(t, `${gateway!.publicUrl}/comments/demo`)
  const posted = await fetch(`${gateway!.publicUrl}/comments/demo`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"content":"hello"}' })
  t.equal(posted.status, 201)
  await viewer.waitFor(({ id, event }) => event === 'message' && id !== '')

  const isHealthy = ({ internalUrl }: { internalUrl: string }) => {
    const [program, ...args] = image.healthcheck
    t.equal(program, 'node')
    return spawnSync(process.execPath, args, { env: { INTERNAL_PORT: new URL(internalUrl).port } }).status === 0
  }
  for (const part of [dispatcher!, edge!, gateway!]) t.ok(isHealthy(part))
  viewer.close()
  // One whose watchdog has heard from it: before that a part has the patience of a start.
  process.kill(edge!.pid, 'SIGSTOP')
  t.same(await once(edge!.child, 'exit'), [null, 'SIGKILL'], 'its entry point ends with it, so that it is started again')
  t.match(edge!.output(), /"event":"silent_part_ended"/)
  t.notOk(isHealthy(edge!))
  for (const { child } of [gateway!, dispatcher!]) {
    child.kill('SIGTERM')
    t.same(await once(child, 'exit'), [0, null])
  }
  t.notOk(isHealthy(gateway!))
})
