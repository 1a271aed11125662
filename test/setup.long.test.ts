import { createHash } from 'node:crypto'
import { spawn } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { projectRoot } from '../runtime/root.js'
import { finished } from './support/cluster.js'
import type { Outcome } from './support/program.js'

t.setTimeout(120_000)

/** What setup.sh uses of any system. */
const TOOLS = ['basename', 'bash', 'cat', 'chmod', 'cmp', 'cp', 'diff', 'dirname', 'find', 'grep', 'id', 'ls', 'mkdir', 'mktemp', 'mv', 'rm', 'sed', 'sh', 'sha256sum', 'sort', 'tail', 'tr', 'uname', 'xargs']

/** Programs that are put where the real ones would be: shell scripts, which write what they were told into `calls`. */
const JAVA = `echo 'openjdk version "17.0.2" 2022-01-18' >&2`
const MVN = 'for word; do case $word in -DoutputDirectory=*) mkdir -p "${word#*=}" && echo jar >"${word#*=}/zookeeper.jar" ;; esac; done'
/** Of what that fetches. */
const SUMS = `${createHash('sha256').update('jar\n').digest('hex')}  zookeeper.jar\n`
/** Installs a database that opens, and builds a server that loads. */
const NPM = `prefix=.
while [ $# -gt 0 ]; do case $1 in
  --prefix) prefix=$2; shift ;;
  ci)
    [ "$2" = --ignore-scripts ] || exit 1
    for word; do [ "$word" != --prefix ] || prefix=.cache/run; done
    rm -rf $prefix/node_modules && mkdir -p $prefix/node_modules/better-sqlite3 $prefix/node_modules/.bin
    echo '{"name":"better-sqlite3","version":"1.0.0","type":"module","exports":"./index.js"}' >$prefix/node_modules/better-sqlite3/package.json
    echo 'import { readFileSync } from "node:fs"; export default class { constructor() { readFileSync(new URL("build/Release/better_sqlite3.node", import.meta.url)) } close() {} }' >$prefix/node_modules/better-sqlite3/index.js
    [ $prefix = . ] || cp $prefix/package-lock.json cut-lock.json
    printf '#!/bin/sh\\n' >$prefix/node_modules/.bin/tap && chmod +x $prefix/node_modules/.bin/tap ;;
  rebuild) mkdir -p node_modules/better-sqlite3/build/Release && echo binary >node_modules/better-sqlite3/build/Release/better_sqlite3.node ;;
  run) mkdir -p dist/runtime/http && echo >dist/runtime/http/uws.js; [ "$3" != build ] || mkdir -p dist/test ;;
esac; shift; done`
const WITHOUT_COMPILER = NPM.replace(/rebuild\) .* ;;/, 'rebuild) echo "gyp ERR! find Python"; exit 1 ;;')

/** What is there; a program that is undefined is not. */
interface Machine {
  readonly java?: string | undefined
  readonly mvn?: string | undefined
  readonly npm?: string | undefined
  /** Node's version, where it is not ours; none for 'none'. */
  readonly node?: string
  /** What getconf says of it. */
  readonly glibc?: string
  /** Further programs. */
  readonly more?: Readonly<Record<string, string>>
}

interface Setup {
  readonly folder: string
  run(...args: string[]): Promise<Outcome>
  /** What npm, Maven and the package manager were called with since the last look, one line each. */
  calls(): string[]
  replace(name: string, script: string): void
}

/** setup.sh in a checkout, on a machine that has nothing but what it is given. */
function machine(t: Test, { node, glibc = '2.38', more = {}, ...programs }: Machine): Setup {
  const folder = t.testdir({ bin: {}, checkout: { 'live-comments.ts': '', test: { 'setup.long.test.ts': '' } } })
  const bin = join(folder, 'bin')
  const checkout = join(folder, 'checkout')
  const log = join(folder, 'calls')
  const real = (name: string) => (process.env['PATH'] ?? '').split(delimiter).map(each => join(each, name)).find(path => existsSync(path))
  for (const name of TOOLS) symlinkSync(real(name)!, join(bin, name))
  for (const path of ['setup.sh', 'package.json', 'package-lock.json', 'registry/zookeeper/server-pom.xml', 'registry/zookeeper/fetch.sh', 'registry/zookeeper/check-jars.sh']) {
    mkdirSync(join(checkout, dirname(path)), { recursive: true })
    copyFileSync(join(projectRoot, path), join(checkout, path))
  }
  writeFileSync(join(checkout, 'registry', 'zookeeper', 'jars.sha256'), SUMS)
  const replace = (name: string, script: string): void => {
    rmSync(join(bin, name), { force: true }) // a link would have this machine's own program overwritten
    writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`)
    chmodSync(join(bin, name), 0o755)
  }
  const older = join(folder, 'older.cjs')
  if (node !== undefined) writeFileSync(older, `Object.defineProperty(process.versions, 'node', { value: '${node}' }); Object.defineProperty(process, 'version', { value: 'v${node}' })`)
  if (node !== 'none') replace('node', `if [ "$1" = --version ]; then echo v${node ?? process.versions.node}; else exec '${process.execPath}' ${node === undefined ? '' : `-r '${older}' `}"$@"; fi`)
  replace('getconf', `[ -n '${glibc}' ] && echo 'glibc ${glibc}'`)
  for (const [name, script] of Object.entries({ java: JAVA, mvn: MVN, npm: NPM, ...programs, ...more })) {
    if (script !== undefined) replace(name, `${['java', 'apt-cache', 'sudo', 'id', 'uname', 'shasum'].includes(name) ? '' : `echo "${name} $*" >>'${log}'\n`}${script}`)
  }
  return {
    folder: checkout,
    replace,
    run: (...args) => finished(spawn(join(bin, 'bash'), ['setup.sh', ...args], { cwd: checkout, env: { PATH: bin, HOME: folder }, stdio: ['ignore', 'pipe', 'pipe'] })),
    calls: () => {
      const lines = existsSync(log) ? readFileSync(log, 'utf8').trimEnd().split('\n') : []
      rmSync(log, { force: true })
      return lines
    },
  }
}

/** Where Debian's package manager is, and we are not root. */
const DEBIAN = { 'apt-get': '', 'apt-cache': `case $2 in openjdk-17-jre-headless | maven | chromium | nginx) echo '  Candidate: 17.0.1' ;; nodejs) echo '  Candidate: 18.20.4' ;; esac`, sudo: 'exit 1', id: 'echo 1000' }

/** A Mac has no sha256sum and no glibc, and of Homebrew's programs those that are on its shelf until they are installed. */
function mac(t: Test, { shelf = {}, more = {}, ...has }: Machine & { readonly shelf?: Readonly<Record<string, string>> }): Setup {
  const shasum = process.env['PATH']!.split(delimiter).map(each => join(each, 'sha256sum')).find(path => existsSync(path))!
  const brewed = Object.entries(shelf).map(([formula, program]) => `case " $* " in *" ${formula} "*) ${program} ;; esac`).join('\n')
  const setup = machine(t, { glibc: '', ...has, more: { uname: 'echo Darwin', shasum: `shift 2; exec ${shasum} "$@"`, ...(brewed === '' ? {} : { brew: brewed }), ...more } })
  rmSync(join(setup.folder, '..', 'bin', 'sha256sum'))
  return setup
}

t.test('it installs and builds what running needs, and when all is there it does nothing', async t => {
  const setup = machine(t, {})
  const first = await setup.run()
  t.same([first.status, first.stderr], [0, ''])
  t.same(first.stdout.trimEnd().split('\n').map(line => line.slice(0, 14)), ['==> Fetching Z', '==> Installing', '==> Fetching o', '==> Building', '==> Ready: npm'])
  t.notMatch(first.stdout, /Chromium|nginx|Caddy/i)
  const calls = setup.calls()
  t.ok(calls.some(call => /^npm ci .*--prefix \.cache\/run/.test(call)), 'of the packages those that running needs')
  const { packages } = JSON.parse(readFileSync(join(setup.folder, 'cut-lock.json'), 'utf8')) as { packages: Record<string, { dev?: boolean }> }
  t.same(Object.entries(packages).filter(([, { dev }]) => dev).map(([path]) => path.replace('node_modules/', '')).sort(),
    ['@types/better-sqlite3', '@types/node', '@types/node-zookeeper-client', '@types/ws', 'typescript', 'undici-types'], 'and of the others the compiler and its types: npm 9 installs all that a lock file lists')
  t.ok(calls.includes('npm run -s build:run -- --noCheck'))
  t.ok(existsSync(join(setup.folder, '.cache/zookeeper/server-pom.xml')))
  t.match(await setup.run(), { status: 0, stdout: '==> Ready: npm start runs a whole cluster, npm test tests it\n', stderr: '' })
  t.same(setup.calls(), [])

  writeFileSync(join(setup.folder, 'package-lock.json'), readFileSync(join(setup.folder, 'package-lock.json'), 'utf8').replace('\n', '\n\n'))
  t.equal((await setup.run()).status, 0)
  t.notOk(setup.calls().some(call => call.startsWith('npm rebuild')), 'the database is not compiled for each change of the lock')
})

t.test('--for-tests adds what testing needs, and from then on both are kept', async t => {
  const setup = machine(t, { more: { chromium: '', nginx: '', caddy: '', cc: '' } })
  t.equal((await setup.run()).status, 0)
  setup.calls()
  const { status, stdout, stderr } = await setup.run('--for-tests')
  t.same([status, stderr], [0, ''])
  t.match(stdout, /npm packages[\s\S]*test runner's plugins[\s\S]*Building/)
  t.same(setup.calls().map(call => call.replace(/ --no-audit.*/, '')), ['npm ci --ignore-scripts', 'npm run -s build'], 'and the database is not compiled again')
  for (const args of [['--for-tests'], []]) t.match(await setup.run(...args), { status: 0, stderr: '' })
  t.same(setup.calls(), [])
})

t.test('what is missing is said in one line, before anything is installed', async t => {
  const cases: [Machine, RegExp][] = [
    [{ node: 'none' }, /^Live comments needs npm and Node 20\.19 or later, 22, 23, 24 or 26; found no Node, .*run \.\/setup\.sh again\.$/],
    [{ node: '18.20.4' }, /found v18\.20\.4/],
    [{ node: '20.10.0' }, /found v20\.10\.0/],
    [{ node: '25.1.0' }, /found v25\.1\.0/],
    [{ node: '18.20.4', more: DEBIAN }, /found v18\.20\.4/],
    [{ npm: undefined }, /needs npm and Node/],
    [{ node: '24.11.0', glibc: '2.36' }, /no build for Node 24 and this system's glibc 2\.36 \(.*need 2\.38.*\): use Node 22, then run \.\/setup\.sh again\.$/],
    [{ node: '26.0.0', glibc: '2.9' }, /no build for Node 26 and this system's glibc 2\.9/],
    [{ node: '22.20.0', glibc: '' }, /needs glibc, and this system has none/],
    [{ node: '24.11.0', glibc: '2.37' }, /no build for Node 24/],
    [{ java: undefined }, /^Missing: Java \(default-jre-headless\)\. Install it/],
    [{ java: `echo 'openjdk version "11.0.2" 2019-01-15' >&2` }, /^Missing: Java/],
    [{ java: undefined, more: DEBIAN }, /^Missing: Java 17\. As root run apt-get update && apt-get install -y --no-install-recommends openjdk-17-jre-headless; then \.\/setup\.sh again\.$/],
    [{ mvn: undefined, more: DEBIAN }, /^Missing: Maven \(it fetches ZooKeeper\)\. As root run .* maven;/],
    [{ java: undefined, mvn: undefined, more: DEBIAN }, /^Missing: Java 17, Maven .* openjdk-17-jre-headless maven;/],
  ]
  for (const [has, said] of cases) {
    await t.test(String(said), async t => {
      const setup = machine(t, has)
      const { status, stdout, stderr } = await setup.run()
      t.same([status, stdout], [1, ''])
      t.match(stderr.trimEnd(), said)
      t.notMatch(stderr.trimEnd(), '\n')
      t.same(setup.calls(), [])
    })
  }
  await t.test('of Node 24 where glibc is new enough, nothing', async t => {
    t.match(await machine(t, { node: '24.11.0' }).run(), { status: 0, stderr: '' })
  })
})

t.test('on a Mac Homebrew brings what is missing, and what it cannot bring is said', async t => {
  const bin = (t: Test) => join(t.testdirName, 'bin')
  const put = (t: Test, name: string, script: string) => `printf '%s\\n' '#!/bin/sh' ${JSON.stringify(script).replaceAll('$', '\\$')} >${bin(t)}/${name} && chmod +x ${bin(t)}/${name}`
  await t.test('Java and Maven', async t => {
    const setup = mac(t, { java: undefined, mvn: undefined, shelf: { 'openjdk@17': put(t, 'java', JAVA), maven: put(t, 'mvn', MVN) } })
    t.match(await setup.run(), { status: 0, stderr: '' })
    t.ok(setup.calls().includes('brew install openjdk@17 maven'))
    t.ok(existsSync(join(setup.folder, '.cache/zookeeper/server-pom.xml')), 'by the sums that shasum makes')
    t.same([(await setup.run()).status, setup.calls()], [0, []])
  })
  await t.test('Node, of whose folder it says that it is not in the PATH', async t => {
    const keg = join(t.testdirName, 'keg', 'bin')
    const setup = mac(t, { node: '18.20.4', shelf: { 'node@24': `if [ "$1" = --prefix ]; then echo ${join(keg, '..')}; else mkdir -p ${keg} && printf '#!/bin/sh\\nexec ${process.execPath} "$@"\\n' >${keg}/node && chmod +x ${keg}/node; fi` } })
    const { status, stdout, stderr } = await setup.run()
    t.same([status, stderr], [0, ''])
    t.match(stdout, `Homebrew keeps node@24 out of the PATH; add ${join(keg, '..')}/bin to yours`)
    t.ok(setup.calls().includes('brew install node@24'))
  })
  await t.test('without Homebrew, and without a compiler', async t => {
    t.match(await mac(t, { java: undefined }).run(), { status: 1, stdout: '', stderr: 'Missing: Java. Install Homebrew (https://brew.sh), which has it, then run ./setup.sh again.\n' })
    t.match(await mac(t, { node: 'none' }).run(), { status: 1, stderr: /found no Node, .*nvm install 22/ })
    t.match(await mac(t, { npm: WITHOUT_COMPILER }).run(), { status: 1, stderr: /: run xcode-select --install, then \.\/setup\.sh again\.\n$/ })
  })
})

t.test('a missing compiler is said in one line, and only where it is needed', async t => {
  const setup = machine(t, { npm: WITHOUT_COMPILER, more: DEBIAN })
  const { status, stdout, stderr } = await setup.run()
  t.equal(status, 1)
  t.match(stderr, /^Missing: a compiler for better-sqlite3, .*As root run apt-get update && apt-get install -y --no-install-recommends python3 make g\+\+; then \.\/setup\.sh again\.\n$/)
  t.notMatch(stdout, /gyp/)
  setup.replace('npm', NPM)
  t.match(await setup.run(), { status: 0, stderr: '' }, 'the next run takes it up where it was left')
  const withOne = machine(t, { npm: WITHOUT_COMPILER, more: { python3: '', make: '', 'g++': '' } })
  t.match(await withOne.run(), { status: 1, stderr: /gyp ERR! find Python\n[\s\S]*could be neither fetched nor compiled; see above\.\n$/ })
})

t.test('what lacks is installed while better-sqlite3 compiles', async t => {
  const setup = machine(t, { java: undefined, npm: WITHOUT_COMPILER, more: { ...DEBIAN, id: 'echo 0' } })
  const bin = join(setup.folder, '..', 'bin')
  for (const name of ['env', 'sleep']) symlinkSync(`/usr/bin/${name}`, join(bin, name))
  // Each waits for the other to have begun.
  setup.replace('npm.later', NPM.replace('rebuild)', 'rebuild) : >compiling; until [ -e installing ]; do sleep 0.05; done;'))
  setup.replace('java.later', JAVA)
  setup.replace('apt-get', `case " $* " in
  *' g++ '*) mv ${bin}/npm.later ${bin}/npm ;;
  *' openjdk-17-jre-headless '*) : >installing; until [ -e compiling ]; do sleep 0.05; done; mv ${bin}/java.later ${bin}/java ;;
esac`)
  t.match(await setup.run(), { status: 0, stderr: '' })
})

t.test('an argument that it does not know is said', async t => {
  t.match(await machine(t, {}).run('--for-test'), { status: 2, stdout: '', stderr: 'Usage: ./setup.sh [--for-tests | --for-long-tests]\n' })
})

t.test('jars that are not those that were written down stop it, and nothing of them is kept', async t => {
  const setup = machine(t, { mvn: MVN.replace('echo jar', 'echo other') })
  const { status, stderr } = await setup.run()
  t.equal(status, 1)
  t.match(stderr, /What Maven fetched is not what jars\.sha256 names/)
  t.notOk(existsSync(join(setup.folder, '.cache/zookeeper')))
})
