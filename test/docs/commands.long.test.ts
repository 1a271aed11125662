import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import t from 'tap'
import { Guard } from '../../cluster/guard.js'
import { readOptions as readClusterOptions } from '../../cluster/options.js'
import { Away } from '../../dispatcher/away.js'
import { DispatcherMetrics } from '../../dispatcher/metrics.js'
import { PublicPort } from '../../gateway/public-port.js'
import { Homes } from '../../registry/homes.js'
import { systemClock } from '../../runtime/clock.js'
import { projectRoot } from '../../runtime/root.js'
import { HttpServer } from '../../runtime/http/server.js'
import { TlsWatch } from '../../runtime/tls/watch.js'
import { Traces } from '../../runtime/traces/traces.js'
import { readOptions as readChaosOptions } from '../chaos/options.js'
import { makeCertificate } from '../support/certificate.js'
import { startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { commands as operatorsCommands } from '../support/operator.js'
import type { Outcome } from '../support/program.js'
import { commandsOf, documents, readDocument } from './documents.js'

t.setTimeout(230_000)

/** What is not run here, and why. */
const NOT_RUN: readonly (readonly [command: RegExp, why: string])[] = [
  [/^\.\/setup\.sh\b|^npm (ci|init|install)\b|^apt-get /, 'installs: .ci/run does so before every test run'],
  [/^npx live-comments /, 'an installed package: test/package.long.test.ts runs one'],
  [/^npm (version|publish)\b/, 'a release'],
  [/^docker |\$\(docker /, 'containers: test/deploy runs what it can of them'],
  [/^sudo (cp|systemctl) /, 'installs units: test/deploy has systemd read them'],
  [/^npm (test|run test:(long|bench))$/, 'is what runs this, or runs beside it'],
  [/^(TAP_TIMEOUT=\d+ )?node dist\/test\/\S+\.test\.js$/, 'a test, which is run anyway; references.test.ts sees that it is there'],
  [/^npm run registry -- store init /, 'needs a Cassandra: test/dispatcher/store/cassandra.long.test.ts makes a store'],
  [/^npm run registry -- restore /, 'replaces the store that all the others use: test/cli/store-copies.long.test.ts restores'],
  [/^npm run registry -- store copy /, 'needs two stores: test/cli/copy.test.ts and test/cluster/cassandra.long.test.ts copy'],
  [/^npm run -s audit$/, 'asks a service outside: .ci/run does so'],
  [/^npm run (-s )?(build|lint)$/, 'ran before this, and would replace what runs'],
  [/^node dist\/test\/page\/pictures\.js$/, 'writes into docs/'],
  [/^python3 -m http\.server /, 'serves an example until it is ended: test/page serves and uses it'],
]

/** What takes minutes: its words are read as it would read them, and it is not done. */
const ONLY_READ: readonly (readonly [command: RegExp, read: (argv: string[]) => unknown])[] = [
  [/^npm start(?: -- )?/, argv => readClusterOptions(argv)],
  [/^npm run chaos -- /, argv => readChaosOptions(argv)],
  [/^npm run bench -- (?!--help)/, ([name = '', ...argv]) => flagsIn(`bench/${name}.ts`, argv)],
  [/^npm run simulate -- (?=.*--mutants)/, argv => flagsIn('test/simulate/main.ts', argv)],
  [/^npm run fuzz -- /, argv => flagsIn('test/fuzz/main.ts', argv)],
  [/^npm run clients -- /, argv => flagsIn('test/clients/main.ts', argv)],
  [/^npm run mutation -- /, argv => flagsIn('test/mutation/main.ts', argv)],
  [/^node dist\/test\/chaos\/stalled\.js\b/, argv => flagsIn('test/chaos/stalled.ts', argv)],
  [/^node dist\/test\/chaos\/storm\.js\b/, argv => flagsIn('test/chaos/storm.ts', argv)],
]

/** What goes on until it is interrupted: it is, once it has said something. */
const ENDLESS = /^curl -N\b/
const AT_ONCE = 4

/** The examples of the operators' commands: test/cli/tools.long.test.ts runs each as it stands. */
const examples = new Set<string>()
const registry = operatorsCommands({ env: { npm_lifecycle_event: 'registry' } })
for (const command of [registry, ...registry.commands]) command.configureOutput({ writeOut: help => help.split('\n').forEach(line => examples.add(line.trim())) }).outputHelp()

/** `secure` wants credentials; with them, everything else is seen to work with them. */
const ZOOKEEPER_AUTH = 'parts:password'

/** Every command of the documents, once, and where it stands first. */
const commands = new Map<string, string>()
for (const { path, fences } of documents) {
  for (const fence of fences) {
    if (fence.language !== 'sh') continue
    for (const written of commandsOf(fence).flatMap(line => line.split(' && '))) {
      const command = written.replace(/^(npm run simulate -- .*--seeds) \d+/, '$1 2') // seeds cost a tenth of a second each
      if (!commands.has(command)) commands.set(command, `${path}:${fence.line}: ${written}`)
    }
  }
}

const { scripts } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
const throughNpm = new Set<string>()

/** Each script is run by npm once; from then on what it stands for is, since npm takes longer than most of them. */
function throughNpmOnce(command: string): string {
  const [start, name = ''] = /^npm run ([a-z]+) -- /.exec(command) ?? []
  if (start === undefined || !throughNpm.has(name)) {
    throughNpm.add(name)
    return command
  }
  return `npm_lifecycle_event=${name} ${scripts[name]} ${command.slice(start.length)}`
}

/** What starts costs a second or two; what it declares can be read. @throws Error where it has no such flag, or is not there */
function flagsIn(source: string, argv: readonly string[]): void {
  const declared = readFileSync(join(projectRoot, source), 'utf8')
  for (const flag of argv.filter(word => word.startsWith('--'))) if (!new RegExp(`\\.(option|requiredOption)\\('(-\\w, )?${flag}\\b`).test(declared)) throw new Error(`${source} has no flag ${flag}`)
}

/** A test that is cut short leaves no command running. */
const guard = new Guard()
t.teardown(() => guard.close())
const running = new Set<number>()

async function shell(command: string, cwd: string, env: NodeJS.ProcessEnv, endless = false): Promise<Outcome> {
  const child = spawn('bash', ['-c', `set -o pipefail; unset NODE_OPTIONS; ${command}`], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  running.add(child.pid!)
  guard.protect([...running])
  const said = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (text: Buffer) => (said[name] += text.toString()))
  if (endless) child.stdout.once('data', () => process.kill(-child.pid!, 'SIGINT'))
  const [status] = (await once(child, 'close')) as [number | null]
  running.delete(child.pid!)
  return { status, ...said }
}

/** A copy of the project as a reader of the documents has it, with a cluster that `npm start` has begun. */
function checkout(folder: string, { data }: Cluster): string {
  for (const name of readdirSync(projectRoot)) if (!['data', '.git', '.tap'].includes(name)) symlinkSync(join(projectRoot, name), join(folder, name))
  symlinkSync(data, join(folder, 'data'))
  return folder
}

t.test('a block of commands says that it is one', async t => {
  for (const { path, fences, prose } of documents) {
    for (const { language, text, line } of fences) if (!['sh', ''].includes(language)) t.notMatch(text, /^(npm|node|curl|\.\/setup\.sh) /m, `${path}:${line}`)
    for (const { language, text, line } of fences) if (language === '') t.notMatch(text, /^ *([A-Z_]+=\S+ )*(npm|npx|node|curl|\.\/setup\.sh|sudo|sysctl|docker)\b/m, `${path}:${line} is marked sh`)
    t.notMatch(prose, /^ {4,}(npm|node|curl|\.\/setup\.sh) /m, `${path} has no indented commands`)
  }
})

t.test('every command of the documents works as it stands', async t => {
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'], { env: { ZOOKEEPER_AUTH } })
  const folder = checkout(t.testdir(), cluster)
  const { gateways, dispatchers, edges } = cluster.record()
  const addresses: readonly (readonly [written: string, real: string])[] = [
    ['http://127.0.0.1:8080', gateways[0]!.url!],
    ['http://127.0.0.1:8081', edges[0]!.url!],
    ['http://127.0.0.1:9080', gateways[0]!.internalUrl!],
    ['http://127.0.0.1:9081', edges[0]!.internalUrl!],
    ['http://127.0.0.1:9082', dispatchers[0]!.internalUrl!],
    ['127.0.0.1:2181/live-comments', cluster.record().zookeeper[0]!.url!],
  ]
  const env = { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(TAP|npm_|CI$)/i.test(name))), INTERNAL_TOKEN: readFileSync(join(cluster.data, 'internal-token'), 'utf8').trim(), ZOOKEEPER_AUTH }
  await cluster.say('demo', 'hello')

  const check = async (written: string, where: string): Promise<void> => {
    const command = addresses.reduce((text, [from, to]) => text.replaceAll(from, to), written)
    const endless = ENDLESS.test(written)
    const outcome = await shell(throughNpmOnce(command), folder, env, endless)
    if (endless) t.not(outcome.stdout, '', where)
    else t.equal(outcome.status, 0, where, { stdout: outcome.stdout.slice(-500), stderr: outcome.stderr.slice(-500) })
  }
  const rest: (() => Promise<void>)[] = []
  for (const [written, where] of commands) {
    if (examples.has(written) || NOT_RUN.some(([command]) => command.test(written))) continue
    const read = ONLY_READ.find(([command]) => command.test(written))
    if (read) {
      const argv = written.replace(read[0], '').split(' ').filter(word => word !== '')
      rest.push(() => t.resolves(Promise.resolve().then(() => read[1](argv)), where).then(() => {}))
    } else rest.push(() => check(written, where))
  }
  t.ok(rest.length > 30)
  t.ok([...commands.keys()].filter(written => examples.has(written)).length > 5)
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (let next = rest.shift(); next; next = rest.shift()) await next()
  }))

  await t.test('the operators\' page names every metric of ours that is exported, and none that is not', async t => {
    const exported = new Set<string>()
    for (const { internalUrl } of [gateways[0]!, dispatchers[0]!, edges[0]!]) {
      const metrics = await (await fetch(`${internalUrl}/metrics`, { headers: { authorization: `Bearer ${env.INTERNAL_TOKEN}` } })).text()
      for (const [, name] of metrics.matchAll(/^# TYPE (\S+) /gm)) exported.add(name!)
    }
    // Exported only where TLS is on.
    const tls = new Registry()
    new TlsWatch({ files: makeCertificate(tempFolder(t)), clock: systemClock, log: pino({ enabled: false }), metrics: tls, renew() {} }).close()
    for (const { name } of await tls.getMetricsAsJSON()) exported.add(name)
    // Only where gateways share a port.
    const shared = new Registry()
    new PublicPort({ clock: systemClock, metrics: shared, server: new HttpServer({ onBug() {} }), redirect: undefined, host: '127.0.0.1', port: 1, redirectPort: undefined, shared: true })
    for (const { name } of await shared.getMetricsAsJSON()) exported.add(name)
    // Only where comments are traced.
    const traced = new Registry()
    await new Traces({ clock: systemClock, share: 1, metrics: traced, role: 'edge', node: { id: 'e', version: '0' }, send: () => Promise.resolve(), onTrouble() {} }).close()
    for (const { name } of await traced.getMetricsAsJSON()) exported.add(name)
    // Only where there are several clusters.
    const several = new Registry()
    const homes = new Homes('here', [{ name: 'there', urls: ['http://127.0.0.1:1'] }], undefined, new Map())
    new Away({ homes, client: { call: () => new Promise(() => {}) }, clock: systemClock, random: Math.random, metrics: new DispatcherMetrics(several), maxBytes: 0, viewersElsewhere: () => 0, forward() {}, forwardHint() {} }).close()
    for (const { name } of await several.getMetricsAsJSON()) exported.add(name)
    if (process.platform !== 'linux') exported.add('live_tcp_migrate_req')
    const page = readDocument('docs/operators.md')
    const named = new Set(page.text.match(/\blive_[a-z_]+|\b(process|nodejs)_[a-z0-9_]+/g))
    t.same([...exported].filter(name => name.startsWith('live_') && !named.has(name)), [], 'none is missing')
    t.same([...named].filter(name => !exported.has(name)), [], 'all exist')
  })
})

t.test('what is not run here is there at least', async t => {
  t.ok(existsSync(join(projectRoot, 'setup.sh')))
  t.same(NOT_RUN.filter(([command]) => ![...commands.keys()].some(each => command.test(each))), [], 'nothing is excepted that does not stand anywhere')
})
