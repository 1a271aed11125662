import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { delimiter, join } from 'node:path'
import t, { type Test } from 'tap'
import { commentEvent, gapEvent } from '../../protocol/sse.js'
import { completion, SHELLS } from '../../cli/completion.js'
import { harmless, harmlessIn, harmlessJson, paint, wantsColour } from '../../cli/output.js'
import { commentLine, tail } from '../../cli/tail.js'
import { Newsroom } from '../../cli/watch.js'
import { finished, runIn, startCluster } from '../support/cluster.js'
import { edgeNode } from '../support/nodes.js'
import { commands, operate, RunningCommand } from '../support/operator.js'
import { ENTRY, PROGRAM } from '../support/program.js'
import { startReview } from '../support/review-service.js'
import { until } from '../support/until.js'

const ENDLESS = ['watch', 'tail']
/** These say first what they change. */
const CHANGING = /^live-comments registry ((drain|undrain|secure|name|post|restore|pin|delete|ban|unban|approve|refuse|erase|rebalance)\b|expect --|settings \w+ --|spread \w|store [a-z])/
/** Of the comment in the examples. */
const EXAMPLE_ID = '243901510635520'
/** Of the held comment in the examples. */
const EXAMPLE_HELD = '0f1e2d3c4b5a69788796a5b4c3d2e1f0'

t.setTimeout(230_000)

t.test('against a cluster', async t => {
  const { url: REVIEW_URL } = await startReview(t, content => (content === 'perhaps' ? 'hold' : 'publish'))
  const cluster = await startCluster(t, ['--edges', '2', '--dispatchers', '1'], { env: { REVIEW_URL, REVIEW_FAILURE: 'publish' } })
  const folder = t.testdir()
  symlinkSync(cluster.data, join(folder, 'data'))
  const path = programs(join(folder, 'bin'))
  /** A command without an end. */
  const endless = (t: Test, ...argv: string[]) => {
    const command = new RunningCommand(argv, { folder })
    t.after(() => command.interrupt())
    return command
  }

  await t.test('a comment is posted, and tailed, and tailing goes on when the gateway is a new process', async t => {
    await cluster.say('cats', 'first')
    const people = endless(t, 'tail', 'cats')
    const script = endless(t, 'tail', 'cats', '--json', '--recent', '0')
    await until(() => people.stdout.includes('first'))
    await until(async () => ((await (await fetch(cluster.stream('cats', '/stats'))).json()) as { viewers: number }).viewers === 2)
    const { status, stdout } = await operate(['post', 'cats', 'second', '--author', 'me', '--json'], { folder })
    t.equal(status, 0)
    const second = JSON.parse(stdout) as { id: string }
    t.match(second, { videoId: 'cats', authorId: 'me', content: 'second' })
    await until(() => people.stdout.includes('second') && script.stdout !== '')
    const { videoId: _, ...event } = second as { id: string; videoId: string }
    t.same(JSON.parse(script.stdout), event)
    t.match(people.stdout, /^\d\d:\d\d:\d\d {2}anonymous {2}first\n\d\d:\d\d:\d\d {2}me {2}second\n$/)

    await cluster.again('gateway-1', cluster.kill('gateway-1'))
    t.match((await operate(['post', 'cats', 'third'], { folder })).stdout, /^posted: \d+\n$/)
    await until(() => [people, script].every(({ stdout }) => stdout.includes('third')))
    t.equal(people.stdout.split('\n').length, 3 + 1, 'each once')
    t.equal(people.stderr, 'connection lost; reconnecting\nconnected again\n')
    t.same(await Promise.all([people.interrupt(), script.interrupt()]), [0, 0])
  })

  await t.test('a reader that has seen enough ends it quietly', async t => {
    const child = spawn('env', [...PROGRAM, 'registry', 'tail', 'cats', '--json'], { cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] })
    t.after(() => child.kill('SIGKILL'))
    let stderr = ''
    child.stderr.on('data', (text: Buffer) => (stderr += text.toString()))
    await once(child.stdout, 'data')
    child.stdout.destroy()
    const closed = once(child, 'close')
    let open = true
    void closed.then(() => (open = false))
    await until(async () => {
      if (open) await cluster.say('cats', 'is anybody there?')
      return !open
    })
    t.same(await closed, [0, null])
    t.equal(stderr, '')
  })

  await t.test('what changes is watched', async t => {
    const people = endless(t, 'watch')
    const script = endless(t, 'watch', '--json')
    for (const command of [people, script]) await until(() => command.stderr === 'watching; press Ctrl-C to end\n')
    const viewer = endless(t, 'tail', 'dogs')
    await until(() => people.stdout.includes('dogs'))
    await viewer.interrupt()
    const pid = cluster.kill('edge-1')
    await cluster.again('edge-1', pid)
    const lines = () => script.stdout.split('\n').filter(line => line !== '').map(line => JSON.parse(line) as { at: number; event: string; id: string })
    await until(() => lines().some(({ event, id }) => ['restarted', 'joined'].includes(event) && id === 'edge-1'))
    t.match(lines().find(({ event }) => event === 'holdings'), { videoId: 'dogs', viewers: 1, before: 0 })
    for (const { at } of lines()) t.ok(Math.abs(Date.now() - at) < 60_000)
    await until(() => /^\d\d:\d\d:\d\d {2}edge-[12] holds dogs no more$/m.test(people.stdout))
    t.same(await Promise.all([people.interrupt(), script.interrupt()]), [0, 0])
  })

  await t.test('every example of --help works as it stands', async t => {
    const names = ['', ...commands().commands.map(command => command.name())]
    const helps = await Promise.all(names.map(name => operate([...(name === '' ? [] : [name]), '--help'])))
    const examples = new Set<string>()
    for (const [i, { stdout }] of helps.entries()) {
      const lines = (stdout.split('\nExamples:\n')[1] ?? '').split('\n').map(line => line.trim()).filter(line => line !== '')
      t.ok(lines.length > 0, `${names[i] || 'registry'} has examples`)
      for (const line of lines) examples.add(line)
    }
    const { id } = await cluster.say('demo', 'hello')
    const viewer = endless(t, 'tail', 'demo')
    await until(async () => ((await (await fetch(cluster.stream('demo', '/stats'))).json()) as { viewers: number }).viewers === 1)
    const inOwnProcess = async (example: string, isEndless: boolean) => {
      const child = spawn('sh', ['-c', `exec ${example}`], { cwd: folder, env: { PATH: path }, stdio: ['ignore', 'pipe', 'pipe'] })
      // Once: a second Ctrl-C ends a command that is ending already the hard way.
      if (isEndless) void Promise.race([once(child.stdout, 'data'), once(child.stderr, 'data')]).then(() => child.kill('SIGINT'))
      return finished(child)
    }
    /** With the arguments that a shell makes of it. */
    const here = async (example: string) => {
      const { stdout } = await finished(spawn('bash', ['-c', `live-comments() { printf '%s\\0' "$@"; }; ${example}`], { stdio: ['ignore', 'pipe', 'pipe'] }))
      const [part, ...argv] = stdout.split('\0').slice(0, -1)
      t.equal(part, 'registry', example)
      return operate(argv, { folder })
    }
    // A process of its own for each command that has not had one.
    const started = new Set<string>()
    const held = async () => {
      await cluster.post('demo', { content: 'perhaps' })
      return (JSON.parse((await operate(['held', 'demo', '--json'], { folder })).stdout) as { held: { id: string }[] }).held[0]!.id
    }
    const check = async (written: string, isEndless = false) => {
      const example = written.replace(EXAMPLE_ID, id).replace(EXAMPLE_HELD, written.includes(EXAMPLE_HELD) ? await held() : '')
      const name = example.split(' ')[2]!
      const isFirst = !started.has(name)
      started.add(name)
      const { status, stderr } = await (isEndless || isFirst ? inOwnProcess(example, isEndless) : here(example))
      t.equal(status, 0, example)
      t.match(stderr, CHANGING.test(example) ? /^(cluster \S+ \(\w+\)|the gateway) at \S+ \(from \.\/data\/cluster\.json\)\n$/ : /^(watching; press Ctrl-C to end\n|\d+ comments?; what comes later: --after \d+\n)?$/, example)
    }
    const isEndless = (example: string) => ENDLESS.some(name => example.startsWith(`live-comments registry ${name}`))
    await Promise.all([...examples].filter(isEndless).map(example => check(example, true)))
    const isSecure = (example: string) => example.startsWith('live-comments registry secure')
    for (const example of examples) if (!isEndless(example) && !isSecure(example)) await check(example)
    await viewer.interrupt()
    // Last of all: whoever has no credentials is shut out by it.
    writeFileSync(join(folder, 'zookeeper-auth'), 'operators:a-password\n', { mode: 0o600 })
    for (const example of examples) if (isSecure(example)) await check(example)
  })
})

t.test('a gateway that is away is named, with where that address came from', async t => {
  for (const argv of [['tail', 'demo'], ['post', 'demo', 'x']]) {
    const { status, stdout, stderr } = await operate([...argv, '--gateway', 'http://127.0.0.1:1/', '--json'])
    t.same([status, stdout], [1, ''])
    const { error } = JSON.parse(stderr.trimEnd().split('\n').at(-1)!) as { error: { message: string } }
    t.match(error.message, /no answer from the gateway at http:\/\/127\.0\.0\.1:1 \(from --gateway\)\.\nIs the cluster running \((npm start|live-comments cluster)\)\?/)
  }
})

t.test('what the stream leaves out is read from history, each comment once', async t => {
  const said = Array.from({ length: 300 }, (_, i) => ({ id: String(i + 1), videoId: 'v', authorId: 'a', content: `${i + 1}`, createdAt: 1 }))
  const event = (id: number) => commentEvent(id, JSON.stringify(said[id - 1]))
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url!, 'http://x')
    if (searchParams.has('cursor')) {
      const rest = said.filter(({ id }) => Number(id) > Number(searchParams.get('cursor')))
      return response.end(JSON.stringify({ comments: rest.slice(0, 200), nextCursor: rest.length > 200 ? rest[199]!.id : null }))
    }
    asked.push(request.headers['last-event-id'] as string | undefined)
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.end(asked.length === 1 ? `retry: 10\n\n${event(1)}${gapEvent(1, 290)}${event(291)}` : event(292))
  })
  t.after(() => server.close())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const ids: string[] = []
  const end = new AbortController()
  const gateway = { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, source: 'the test' }
  await tail({
    gateway,
    videoId: 'v',
    recent: 10,
    signal: end.signal,
    show: async ({ id }) => {
      ids.push(id)
      if (id === '292') end.abort()
    },
    showAct: () => Promise.resolve(),
    notice: () => {},
  })
  t.same(ids, said.slice(0, 292).map(({ id }) => id))
  t.same(asked, [undefined, '291'])
})

t.test('news is what was not told before', async t => {
  const room = new Newsroom()
  const edge = (given = {}) => room.news({ kind: 'edge', id: 'e', node: edgeNode('e', given) })
  t.match(edge(), [{ event: 'joined', kind: 'edge', id: 'e' }])
  t.same(edge({ viewers: 7 }), [], 'counts are told with holdings')
  t.match(edge({ state: 'draining' }), [{ event: 'draining' }])
  t.match(edge(), [{ event: 'up' }])
  t.match(edge({ instance: 'i2' }), [{ event: 'restarted', instance: 'i2' }])
  const gone = { kind: 'edge', id: 'e', node: undefined } as const
  t.match(room.news(gone), [{ event: 'left' }])
  t.same(room.news(gone), [], 'a view tells it twice')
  const holds = (videos: Record<string, number>) => room.news({ kind: 'holdings', id: 'e', holdings: { instance: 'i1', videos: new Map(Object.entries(videos)) } })
  t.match(holds({ a: 1, b: 2 }), [{ videoId: 'a', viewers: 1, before: 0 }, { videoId: 'b', viewers: 2, before: 0 }])
  t.match(holds({ b: 5 }), [{ videoId: 'a', viewers: 0, before: 1 }, { videoId: 'b', viewers: 5, before: 2 }])
})

t.test('colours are for terminals that have them and people who want them; comments cannot steer a terminal', async t => {
  t.same([wantsColour(true, {}), wantsColour(false, {}), wantsColour(true, { NO_COLOR: '1' }), wantsColour(true, { TERM: 'dumb' })], [true, false, false, false])
  t.equal(paint(true)('red', 'x'), '\x1b[31mx\x1b[39m')
  t.equal(harmless('\x1b]0;title\x07\u009b31m a\tb'), '\ufffd]0;title\ufffd\ufffd31m a\tb')
  t.match(commentLine({ id: '1', authorId: 'a\x1b[2J', content: 'one\ntwo', createdAt: 0 }, paint(false)), /^\S{8} {2}a\ufffd\[2J {2}one\n {10}two\n$/)
  const turned = '\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'
  t.match(commentLine({ id: '1', authorId: 'a', authorName: `b\n00:00:00  c\u2028\t${turned}d`, content: `one${turned}\u2028two\u2029three`, createdAt: 0 }, paint(false)), /^\S{8} {2}b 00:00:00 c d {2}one\n {10}two\n {10}three\n$/)
  t.same(harmlessIn({ rows: [{ [`a\x1b`]: `b\x9b${turned}`, n: 1, none: null }], yes: true }), { rows: [{ 'a\ufffd': 'b\ufffd', n: 1, none: null }], yes: true })
  const odd = { text: `\0\x1b\x7f\x85\x9b${turned}\u2028é😀` }
  t.match(harmlessJson(odd), /^[^\p{Cc}\u2028-\u202e\u2066-\u2069]+$/u)
  t.same(JSON.parse(harmlessJson(odd)), odd, 'and says the same')
})

t.test('shells complete commands and flags', async t => {
  const registry = commands()
  for (const shell of SHELLS) for (const command of registry.commands) t.match(completion(shell, registry), command.name(), shell)
  const complete = async (...line: string[]) => {
    const script = `${completion('bash', registry)}\nCOMP_WORDS=(${line.map(word => `'${word}'`).join(' ')}); COMP_CWORD=${line.length - 1}; _live_comments; printf '%s ' "\${COMPREPLY[@]}"`
    return (await finished(spawn('bash', ['-c', script], { stdio: ['ignore', 'pipe', 'pipe'] }))).stdout.trim().split(' ')
  }
  t.same(await complete('live-comments', 're'), ['registry'])
  t.same(await complete('live-comments', 'registry', 'd'), ['dispatchers', 'drain', 'doctor', 'delete'])
  t.same(await complete('live-comments', 'registry', '--json', 'tail', '--re'), ['--recent'])
  t.same(await complete('live-comments', 'registry', 'completion', 'z'), ['zsh'])
  const { stdout } = await runIn(t.testdir(), ['--help'])
  for (const [, part] of stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)) t.ok((await complete('live-comments', part!)).includes(part!), `${part} completes`)
})

/** A PATH on which `live-comments` is the program under test. */
function programs(folder: string): string {
  mkdirSync(folder)
  const file = join(folder, 'live-comments')
  writeFileSync(file, `#!/bin/sh\nunset NODE_OPTIONS\nexec '${process.execPath}' '${ENTRY}' "$@"\n`)
  chmodSync(file, 0o755)
  return `${folder}${delimiter}${process.env['PATH']}`
}
