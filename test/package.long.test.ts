import { spawn } from 'node:child_process'
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import t from 'tap'
import { Guard } from '../cluster/guard.js'
import { findJars, PACKAGED_FOLDERS } from '../registry/zookeeper/jars.js'
import { projectRoot } from '../runtime/root.js'
import { finished } from './support/cluster.js'
import { tempFolder } from './support/folder.js'
import type { Outcome } from './support/program.js'
import { until } from './support/until.js'

t.setTimeout(230_000)

const scratch = tempFolder(t)
const checkout = join(scratch, 'checkout')
const folder = join(scratch, 'empty')
const cache = join(scratch, 'cache')
/** Whether this system has a package of ZooKeeper, which is used in place of what Maven would fetch. */
const isPackaged = isThere(PACKAGED_FOLDERS)
const SQLITE = join('node_modules', 'better-sqlite3', 'build', 'Release', 'better_sqlite3.node')

/** As a shell has it that no npm script and no test runner started. */
const env: NodeJS.ProcessEnv = { ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(TAP|npm_|NODE_OPTIONS$|INIT_CWD$)/i.test(name))), XDG_CACHE_HOME: cache }

function isThere(folders: readonly string[]): boolean {
  try {
    return findJars(folders) !== ''
  } catch {
    return false
  }
}

const inFolder = (cwd: string, command: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): Promise<Outcome> => finished(spawn(command, args, { cwd, env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] }))
const live = (...args: string[]) => inFolder(folder, 'npx', ['live-comments', ...args])

/** Every program of the PATH but these, by links in a folder of their own. */
function pathWithout(...names: string[]): string {
  const path = mkdtempSync(join(scratch, 'path-'))
  for (const from of (process.env['PATH'] ?? '').split(delimiter).filter(each => existsSync(each))) {
    for (const name of readdirSync(from)) if (!names.includes(name) && !existsSync(join(path, name))) symlinkSync(join(from, name), join(path, name))
  }
  return path
}

t.test('npm pack holds what runs, and nothing else', async t => {
  const left = ['node_modules', 'dist', 'data', '.git', '.tap', '.cache']
  mkdirSync(checkout)
  for (const name of readdirSync(projectRoot)) if (!left.includes(name)) cpSync(join(projectRoot, name), join(checkout, name), { recursive: true })
  symlinkSync(join(projectRoot, 'node_modules'), join(checkout, 'node_modules'))
  mkdirSync(join(checkout, 'dist', 'test'), { recursive: true })
  writeFileSync(join(checkout, 'dist', 'removed.js'), '') // what a former build left
  const { status, stdout, stderr } = await inFolder(checkout, 'npm', ['pack', '--json', '--loglevel=error'])
  t.equal(status, 0, stderr)
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as [{ filename: string; files: { path: string }[] }]
  const paths = files.map(({ path }) => path)
  for (const path of ['dist/live-comments.js', 'dist/edge/main.js', 'gateway/page/index.html', 'dist/gateway/page/page.js', 'README.md', 'CHANGELOG.md', 'LICENSE']) t.ok(paths.includes(path), path)
  t.same(paths.filter(path => /\.(ts|map|test\.js)$|^dist\/(test|bench|removed|\.)|^(test|bench|setup|start)\b/.test(path)), [])
  mkdirSync(folder)
  copyFileSync(join(checkout, filename), join(folder, filename))
  const [, documented] = /### From the package\n[\s\S]*?```sh\n([\s\S]*?)npx /.exec(readFileSync(join(projectRoot, 'docs', 'operators.md'), 'utf8'))!
  // Compiling the store's library takes a minute, and is npm's affair: it is put where npm would.
  const installed = await inFolder(folder, 'sh', ['-ec', documented!], { npm_config_ignore_scripts: 'true', npm_config_prefer_offline: 'true', npm_config_loglevel: 'error' })
  t.equal(installed.status, 0, installed.stderr)
  t.notOk(existsSync(join(folder, 'node_modules', 'typescript')), 'nothing that only builds or tests')
})

t.test('what is missing is said in one line, with what to do', async t => {
  const cluster = (more: NodeJS.ProcessEnv = {}) => inFolder(folder, process.execPath, [join(folder, 'node_modules', '.bin', 'live-comments'), 'cluster', '--port', '0'], more)
  const oneLine = ({ status, stderr }: Outcome, said: RegExp) => {
    t.equal(status, 1)
    t.match(stderr, said)
    t.notMatch(stderr.trimEnd(), '\n')
    t.notMatch(stderr, 'setup.sh')
  }
  oneLine(await cluster(), /^better-sqlite3, the comment store, is not installed for Node .*: npm rebuild better-sqlite3 /)
  mkdirSync(join(folder, SQLITE, '..'), { recursive: true })
  copyFileSync(join(projectRoot, SQLITE), join(folder, SQLITE))
  oneLine(await cluster({ PATH: pathWithout('java'), JAVA_HOME: '' }), /^ZooKeeper needs Java, and 'java' cannot be run: install Java 17 or later .*--zookeeper HOST:PORT/)
  if (!isPackaged) oneLine(await cluster({ PATH: pathWithout('mvn') }), /^ZooKeeper is not installed: install Maven, .*--zookeeper HOST:PORT/)
  t.same(await live('bench'), { status: 2, stdout: '', stderr: 'An installed package has no benchmarks: they are in a checkout of the sources\n' })
})

t.test('an installed package runs a cluster, and its hints name the command that was called', async t => {
  const help = await live('--help')
  t.match(help, { status: 0, stdout: /^ {2}cluster /m })
  t.notMatch(help.stdout, /^ {2}bench/m)
  t.match(await live('token', '--help'), { status: 0, stdout: /^Usage: npx live-comments token / })
  t.match(await live('cluster', '--help'), { status: 0, stdout: /^Usage: npx live-comments cluster / })

  let output = ''
  const cluster = spawn('npx', ['live-comments', 'cluster', '--port', '0', '--edges', '1', '--dispatchers', '1'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const guard = new Guard()
  guard.protect([cluster.pid!])
  for (const stream of [cluster.stdout, cluster.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  t.after(() => guard.close())
  await until(() => /is ready: http/.test(output) || cluster.exitCode !== null, { timeoutMs: 180_000, what: 'the cluster is ready' })
  t.match(output, /is ready: http/)
  if (!isPackaged) t.match(output, `fetching ZooKeeper with Maven into ${cache}`)
  t.match(output, 'npx live-comments registry videos')
  t.notMatch(output, /npm (run|start)|setup\.sh/)

  t.match(await live('registry', 'post', 'demo', 'hello from a package'), { status: 0, stdout: /^posted: / })
  const tail = spawn('npx', ['live-comments', 'registry', 'tail', 'demo'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let seen = ''
  tail.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text))
  await until(() => seen.includes('hello from a package'), { timeoutMs: 60_000, what: 'the comment is seen' })
  process.kill(-tail.pid!, 'SIGINT')
  await new Promise(resolve => tail.once('close', resolve))
  t.match(await live('registry', 'doctor'), { status: 0, stdout: /No problem|healthy/i })
  const lost = await live('registry', 'edges', '--zookeeper', '127.0.0.1:1/x')
  t.match(lost.stderr, 'Is the cluster running (npx live-comments cluster)?')

  process.kill(-cluster.pid!, 'SIGINT')
  await until(() => !existsSync(join(folder, 'data', 'cluster.json')), { timeoutMs: 30_000, what: 'Ctrl-C has stopped the cluster' })
})
