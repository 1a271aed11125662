import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { DISPATCHERS, DRAIN, EDGES, HOLDINGS, parseDrain, PLACEMENT, printHoldings, printNode } from '../../protocol/nodes.js'
import type { Zk } from '../../registry/zookeeper/client.js'
import { finished } from '../support/cluster.js'
import { dispatcherNode, edgeNode } from '../support/nodes.js'
import { commands, operate } from '../support/operator.js'
import { PROGRAM } from '../support/program.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'

t.setTimeout(230_000)

/** What a command with --json says on stderr when it fails. */
interface ErrorLine {
  readonly error: { readonly code: string; readonly message: string }
}

/** A command in a process of its own. */
function start(args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}) {
  return spawn('env', [...PROGRAM, 'registry', ...args], { cwd, env: { PATH: process.env['PATH'], ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
}

async function addEdge(zk: Zk, id: string, videos: Record<string, number>, given: Parameters<typeof edgeNode>[1] = {}) {
  const viewers = Object.values(videos).reduce((sum, count) => sum + count, 0)
  await zk.create(`${EDGES}/${id}`, printNode(edgeNode(id, { viewers, ...given })))
  await zk.create(`${HOLDINGS}/${id}`, printHoldings({ instance: given.instance ?? 'i1', videos: new Map(Object.entries(videos)) }))
}

/** A registry of its own: `run` asks it, as an operator would. */
async function cluster(t: Test) {
  const server = await startZooKeeper(t)
  const connect = `${server.connect}/c`
  const zk = await openZk(t, connect)
  for (const path of [EDGES, HOLDINGS, DISPATCHERS]) await zk.ensure(path)
  return { connect, zk, run: (...args: string[]) => operate(['--zookeeper', connect, ...args]) }
}

t.test('who is there and who watches what', async t => {
  const { zk, run } = await cluster(t)
  await addEdge(zk, 'edge-2', { cats: 1_200, dogs: 3 }, { startedAt: Date.now() - 7_262_000 })
  await addEdge(zk, 'edge-1', { cats: 15_000, birds: 3 }, { state: 'draining' })
  await zk.create(`${DISPATCHERS}/d1`, printNode(dispatcherNode('d1')))
  const json = async (...args: string[]) => {
    const { status, stdout, stderr } = await run(...args, '--json')
    t.same([status, stderr], [0, ''])
    return JSON.parse(stdout) as unknown
  }

  await t.test('edges', async t => {
    const rows = (await json('edges')) as { id: string; startedAt: number }[]
    t.match(rows, [
      { id: 'edge-1', state: 'draining', viewers: 15_003, capacity: 1_000, videos: 2, version: '0.1.0', startedAt: 1_750_000_000_000 },
      { id: 'edge-2', state: 'up', viewers: 1_203, capacity: 1_000, videos: 2, version: '0.1.0' },
    ])
    t.same(Object.keys(rows[0]!), ['id', 'state', 'viewers', 'capacity', 'videos', 'version', 'startedAt'])
    const { stdout } = await run('edges')
    t.match(stdout, /^EDGE {4}STATE {5}VIEWERS {2}CAPACITY {2}VIDEOS +UP FOR {2}VERSION$/m)
    t.match(stdout, /^edge-1 {2}draining {3}15,003 /m)
    t.match(stdout, /^edge-2 {2}up {10}1,203 .* 2h 1m /m, 'right-aligned')
    t.match(stdout, /^2 edges, 16,206 viewers$/m)
    t.notMatch(stdout, '\x1b', 'no colours in a pipe')
  })

  await t.test('dispatchers', async t => {
    t.same(await json('dispatchers'), [{ id: 'd1', state: 'up', url: 'http://127.0.0.1:9081', version: '0.1.0', startedAt: 1_750_000_000_000 }])
    t.match((await run('dispatchers')).stdout, /^d1 +up +http:\/\/127\.0\.0\.1:9081 /m)
  })

  await t.test('videos', async t => {
    const cats = { videoId: 'cats', viewers: 16_200, edges: [{ id: 'edge-1', viewers: 15_000 }, { id: 'edge-2', viewers: 1_200 }] }
    const birds = { videoId: 'birds', viewers: 3, edges: [{ id: 'edge-1', viewers: 3 }] }
    const dogs = { videoId: 'dogs', viewers: 3, edges: [{ id: 'edge-2', viewers: 3 }] }
    t.same(await json('videos'), [cats, birds, dogs])
    t.same(await json('videos', '--top', '1'), [cats])
    t.same(await json('videos', '--edge', 'edge-2'), [cats, dogs])
    t.same(await json('video', 'dogs'), dogs)
    const { stdout } = await run('videos')
    t.match(stdout, /^cats {4}16,200 {2}edge-1 \(15,000\), edge-2 \(1,200\)$/m)
    t.match(stdout, /^birds {8}3 {2}edge-1$/m)
    t.match((await run('video', 'cats')).stdout, /^cats: 16,200 viewers on 2 edges$/m)
  })

  await t.test('an unknown video or edge is a problem found', async t => {
    for (const [args, said] of [[['video', 'fish'], 'no edge holds the video fish'], [['videos', '--edge', 'edge-9'], 'there is no edge edge-9'], [['drain', 'edge-9'], 'there is no edge edge-9'], [['undrain', 'edge-9'], 'there is no edge edge-9']] as const) {
      const { status, stdout, stderr } = await run(...args, '--json')
      t.same([status, stdout], [1, ''], args.join(' '))
      t.match(stderr, said)
    }
  })

  await t.test('drain and undrain', async t => {
    /** What changes says which cluster it changes, beside its answer. */
    const change = async (...args: string[]) => {
      const { status, stdout, stderr } = await run(...args, '--json')
      t.equal(status, 0)
      t.match(stderr, /^cluster without a name at 127\.0\.0\.1:\d+\/c \(from --zookeeper\)\n$/)
      return JSON.parse(stdout) as unknown
    }
    t.same(await change('drain', 'edge-2'), { id: 'edge-2', instance: 'i1' })
    const { data, stat } = await zk.getData(`${DRAIN}/edge-2`)
    t.same(parseDrain(data), { instance: 'i1' })
    t.equal(stat.version, 0, 'made with its data: an edge that reads an empty wish logs rubbish')
    t.match((await run('drain', 'edge-2')).stdout, 'edge-2 is asked to drain', 'asking again does no harm')
    t.same(await change('undrain', 'edge-2'), { id: 'edge-2', instance: null })
    t.equal(await zk.exists(`${DRAIN}/edge-2`), null)
    t.equal((await run('undrain', 'edge-2')).status, 0)
  })

  await t.test('spread and rebalance', async t => {
    const read = async (path: string) => JSON.parse((await zk.getData(`${PLACEMENT}/${path}`)).data.toString()) as unknown
    const changed = async (...args: string[]) => JSON.parse((await run(...args, '--json')).stdout) as unknown
    t.match((await run('spread')).stdout, /^No video is spread/)
    t.same(await changed('spread', 'cats', '3'), [{ videoId: 'cats', wanted: 3, edges: 2, viewers: 16_200, most: 15_000 }])
    t.same(await read('spread:cats'), { edges: 3 })
    t.match((await run('spread', 'fish', '2')).stdout, /^VIDEO +WANTED +EDGES +VIEWERS +MOST ON ONE\ncats +3 +2 +16,200 +15,000\nfish +2 +0 +0 +0\n$/)
    t.match((await run('spread', 'fish', 'auto')).stdout, /^VIDEO.*\ncats.*\n$/)
    t.same(await changed('spread', 'cats', 'auto'), [])
    t.equal((await run('spread', 'cats', 'auto')).status, 0, 'twice does no harm')
    t.same(await json('spread'), [])
    const { until } = await changed('rebalance') as { until: number }
    t.ok(until > Date.now() + 290_000 && until <= Date.now() + 300_000)
    t.same(await read('rebalance'), { until })
    t.match((await run('rebalance')).stdout, /^The gateways level the edges every half minute until \d\d:\d\d:\d\d UTC/)
  })

  await t.test('rubbish is named beside the rest', async t => {
    await zk.create(`${EDGES}/odd`, Buffer.from('rubbish'))
    const { status, stdout, stderr } = await run('edges', '--json')
    t.equal(status, 0)
    t.equal((JSON.parse(stdout) as unknown[]).length, 2)
    t.match(stderr, '/edges/odd')
  })
})

t.test('an empty registry is no problem, nor is one that does not exist yet', async t => {
  const { connect, run: ask } = await cluster(t)
  for (const command of ['edges', 'dispatchers', 'videos']) {
    t.match(await ask(command, '--json'), { status: 0, stdout: '[]\n' })
    t.match(await ask(command), { status: 0, stdout: /^No / })
  }
  t.match(await operate(['edges', '--json', '--zookeeper', `${connect}/other`]), { status: 0, stdout: '[]\n' }, 'options after the command')
})

t.test('10,000 videos are listed, and a reader that has seen enough ends it quietly', async t => {
  const { zk, run: ask, connect } = await cluster(t)
  for (const edge of [0, 1, 2]) await addEdge(zk, `edge-${edge}`, Object.fromEntries(Array.from({ length: 3_334 }, (_, i) => [`video-${i * 3 + edge}`, i % 97])))
  t.equal((JSON.parse((await ask('videos', '--json')).stdout) as unknown[]).length, 10_002)
  const { stdout } = await ask('videos', '--all')
  t.equal(stdout.split('\n').length, 10_002 + 4)
  const { stdout: few } = await ask('videos')
  t.equal(few.split('\n').length, 20 + 4)
  t.match(few, /^10,002 videos, [\d,]+ viewers; these are the most watched 20, videos --all lists all$/m)

  for (const flags of [['--all'], ['--json']]) {
    const child = start(['videos', ...flags, '--zookeeper', connect], t.testdir())
    const stderr: Buffer[] = []
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    child.stdout.once('data', () => child.stdout.destroy())
    t.equal(await new Promise(resolve => child.once('close', resolve)), 0)
    t.equal(Buffer.concat(stderr).toString(), '')
  }
})

t.test('ZooKeeper is found by flag, environment and the cluster in this folder, in that order', async t => {
  const { zk, connect } = await cluster(t)
  await addEdge(zk, 'edge-1', {})
  const folder = t.testdir()
  const json = (url: string) => JSON.stringify({ zookeeper: [{ id: 'zookeeper', pid: 1, url, internalUrl: null }], gateways: [], dispatchers: [], edges: [] })
  mkdirSync(join(folder, 'data'))
  writeFileSync(join(folder, 'data', 'cluster.json'), json(connect))
  const found = { status: 0, stdout: /"edge-1"/ }
  t.match(await operate(['edges', '--json'], { folder }), found, 'cluster.json')
  writeFileSync(join(folder, 'data', 'cluster.json'), json('127.0.0.1:1/wrong'))
  t.match(await operate(['edges', '--json'], { folder, env: { ZOOKEEPER_CONNECT: connect } }), found, 'environment first')
  t.match(await operate(['edges', '--json', '--zookeeper', connect], { folder, env: { ZOOKEEPER_CONNECT: '127.0.0.1:1/wrong' } }), found, 'flag first')
  writeFileSync(join(folder, 'data', 'cluster.json'), '{')
  t.match(await operate(['edges', '--json'], { folder }), { status: 1, stdout: '', stderr: /cluster\.json was not written by a local cluster/ })
})

t.test('ZooKeeper away is said within 5 s, with the address tried', async t => {
  const cwd = t.testdir()
  const silent = createServer(() => {})
  await new Promise<void>(resolve => silent.listen(0, '127.0.0.1', resolve))
  t.after(() => silent.close())
  const addresses = ['127.0.0.1:1/live-comments', `127.0.0.1:${(silent.address() as { port: number }).port}/live-comments`]
  await Promise.all(
    addresses.map(async address => {
      const started = performance.now()
      const { status, stdout, stderr } = await finished(start(['edges', '--json'], cwd, { ZOOKEEPER_CONNECT: address }))
      t.same([status, stdout], [1, ''])
      t.match(stderr, `no answer from ZooKeeper at ${address} (from ZOOKEEPER_CONNECT) within 5 s`)
      t.match(stderr, /Is the cluster running \((npm start|live-comments cluster)\)[\s\S]*--zookeeper/)
      t.notMatch(stderr, / at .*\.js:/, 'no stack')
      t.ok(performance.now() - started < 8_000)
    }),
  )
})

t.test('with --json every command says why it fails in one line of JSON on stderr, and nothing on stdout', async t => {
  const argumentsOf: Readonly<Record<string, string[]>> = { video: ['demo'], home: ['demo'], drain: ['edge-1'], undrain: ['edge-1'], name: ['x'], restore: ['x.db'], backup: ['x.db'], export: ['demo'], tail: ['demo'], post: ['demo', 'x'], pin: ['demo', 'none'], delete: ['demo', '1'], settings: ['demo'], ban: ['demo', 'troll'], unban: ['demo', 'troll'], held: ['demo'], approve: ['demo', '0'.repeat(32)], refuse: ['demo', '0'.repeat(32)], erase: ['--author', 'ann', '--yes'] }
  const folder = t.testdir()
  const place = { folder, env: { ZOOKEEPER_AUTH: 'a:b' } }
  const nowhere = ['--zookeeper', '127.0.0.1:1/c', '--data', join(folder, 'absent')]
  const seen = await Promise.all(
    commands().commands.map(async command => {
      const name = command.name()
      const flags = ['tail', 'post', 'export'].includes(name) ? ['--gateway', 'http://127.0.0.1:1'] : name === 'backup' ? [] : nowhere.slice(0, 2)
      const { status, stdout, stderr } = await operate([name, ...(argumentsOf[name] ?? []), ...flags, ...(name === 'restore' ? ['--store', 'x.db'] : []), '--json'], place)
      if (name === 'doctor') {
        t.match(JSON.parse(stdout), { healthy: false, findings: [{ level: 'problem' }] })
        return { name, status, code: 'none' }
      }
      t.equal(stdout, '', name)
      const last = stderr.trimEnd().split('\n').at(-1)!
      const { error, ...rest } = JSON.parse(last) as ErrorLine
      t.same([typeof error.message, Object.keys(error).sort(), rest], ['string', ['code', 'message'], {}], name)
      t.notMatch(error.message, /\n {4}at /, name)
      return { name, status, code: error.code }
    }),
  )
  const codes = Object.fromEntries(seen.map(({ name, status, code }) => [name, `${status} ${code}`]))
  const away = '1 ZOOKEEPER_AWAY'
  const gateway = '1 GATEWAY_AWAY'
  t.same(codes, {
    edges: away, dispatchers: away, gateways: away, videos: away, video: away, watch: away, drain: away, undrain: away, spread: away, rebalance: away, home: away, secure: away, name: away, expect: away, store: away,
    pin: away, delete: away, settings: away, ban: away, unban: away, held: away, approve: away, refuse: away, erase: away,
    restore: '1 NO_BACKUP', backup: '2 BAD_USAGE', doctor: '1 none', plan: '2 BAD_USAGE', tail: gateway, post: gateway, export: gateway, completion: '2 BAD_USAGE',
  })
  t.match(await operate(['edges', '--json', ...nowhere.slice(2)], place), { status: 1, stderr: /^\{"error":\{"code":"NO_CLUSTER","message":"no local cluster runs on / })
})

t.test('wrong usage is named, with status 2 and nothing on stdout', async t => {
  const cases: [string[], RegExp][] = [
    [[], /Usage: live-comments registry/],
    [['egdes'], /unknown command 'egdes'[\s\S]*Did you mean edges/],
    [['edges', 'more'], /too many arguments/],
    [['edges', '--jsn'], /unknown option '--jsn'[\s\S]*Did you mean --json/],
    [['tial', 'demo'], /Did you mean tail/],
    [['tail', 'demo', '--recent', '201'], /0 to 200/],
    [['tail', 'demo', '--gateway', 'localhost'], /http or https URL/],
    [['post', 'demo'], /missing required argument/],
    [['completion', 'tcsh'], /Allowed choices are bash, zsh, fish/],
    [['videos', '--top', '0'], /whole number above 0/],
    [['videos', '--top', 'x'], /whole number above 0/],
    [['videos', '--top', '1.5'], /whole number above 0/],
    [['videos', '--edge', 'a/b'], /1 to 64 of A-Z/],
    [['video'], /missing required argument/],
    [['video', 'a/b'], /1 to 64 of A-Z/],
    [['drain', '..'], /1 to 64 of A-Z/],
    [['spread', 'demo'], /on how many edges is it to be\?/],
    [['spread', 'demo', '0'], /from 1 to 10,000, or auto/],
    [['spread', 'a/b', '2'], /1 to 64 of A-Z/],
    [['spread', 'demo', '10001'], /from 1 to 10,000/],
    [['expect', '--edges', 'x'], /--edges <N>.*a whole number from 0 to 10,000/],
    [['expect', '--gateways', '-1'], /--gateways <N>.*a whole number from 0 to 10,000/],
    [['expect', '--dispatchers', '10001'], /--dispatchers <N>.*a whole number from 0 to 10,000/],
    [['expect', '3'], /too many arguments/],
    [['delete', 'demo', '0'], /must be a comment's id/],
    [['pin', 'demo', 'x'], /must be a comment's id/],
    [['settings', 'demo', '--slow-mode', '31536000'], /a whole number from 0 to 3,600/],
    [['settings', 'demo', '--open', '--closed'], /cannot be used with/],
    [['ban', 'demo', 'troll', '--for', '2y'], /a number with a unit/],
    [['approve', 'demo', '1'], /must be a held comment's id/],
    [['refuse', 'demo', 'x'.repeat(32)], /must be a held comment's id/],
    [['erase'], /required option '--author <ID>'/],
    [['erase', '--author', 'ann'], /nothing was deleted: .* --yes/],
    [['edges', '--zookeeper', 'http://x'], /not a ZooKeeper address/],
  ]
  await Promise.all(
    cases.map(async ([args, said]) => {
      const { status, stdout, stderr } = await operate(args)
      t.same([status, stdout], [2, ''], args.join(' '))
      t.match(stderr, said, args.join(' '))
      const json = await operate([...args, '--json'])
      t.same([json.status, json.stdout], [2, ''], args.join(' '))
      const { error } = JSON.parse(json.stderr) as ErrorLine
      t.equal(error.code, 'BAD_USAGE')
      t.match(error.message, args.length === 0 ? /no command is given/ : said, args.join(' '))
    }),
  )
  t.same(JSON.parse((await operate(['edges', '--json'], { env: { ZOOKEEPER_CONNECT: 'nowhere at all' } })).stderr), { error: { code: 'BAD_CONFIGURATION', message: 'bad configuration\nZOOKEEPER_CONNECT: must be HOST:PORT[,HOST:PORT...][/CHROOT]' } })
  t.match(await operate(['--help', '--json']), { status: 0, stderr: '', stdout: /^Usage: / })
  t.match(await operate(['edges'], { env: { ZOOKEEPER_CONNECT: 'nowhere at all' } }), { status: 2, stdout: '', stderr: /bad configuration\nZOOKEEPER_CONNECT: must be HOST:PORT/ })
})

t.test('--help lists the commands, with status 0', async t => {
  t.match(await operate(['--help']), { status: 0, stderr: '', stdout: /edges[\s\S]*dispatchers[\s\S]*videos[\s\S]*video <ID>[\s\S]*drain <NODE>[\s\S]*undrain <NODE>/ })
  t.match(await operate(['videos', '--help']), { status: 0, stdout: /--top <N>[\s\S]*--edge <ID>[\s\S]*--json/ })
})
