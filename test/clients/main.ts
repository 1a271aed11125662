import { spawn, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Command } from 'commander'
import { Guard } from '../../cluster/guard.js'
import { Ports } from '../../cluster/ports.js'
import { projectRoot } from '../../runtime/root.js'
import { Cluster } from '../support/cluster.js'
import { find } from '../support/front.js'
import { until } from '../support/until.js'
import { CLIENTS, LANGUAGES, type StreamClient } from './list.js'
import { rowsOf, tableOf, type Trial } from './table.js'

/** Runs stream clients of five languages against a cluster and writes what they make of it into docs/clients.md. */

const SOURCES = join(projectRoot, 'test', 'clients')
const BUILT = join(projectRoot, '.build', 'clients')
const DOCUMENT = join(projectRoot, 'docs', 'clients.md')
/** How long a client has to see what was posted, or to come back. */
const PATIENCE_MS = 20_000
/** A comment is through at once if it is there sooner. */
const READ_MS = 5_000

const options = new Command('npm run clients --')
  .description('Tries stream clients of five languages, plain and gzip, directly and behind nginx and Caddy.')
  .option('--only <names...>', 'only these clients')
  .option('--write', 'put the table into docs/clients.md')
  .allowExcessArguments(false)
  .parse()
  .opts<{ only?: string[]; write?: boolean }>()

const say = (line: string) => void process.stderr.write(`${line}\n`)

interface Seen {
  readonly at: number
  readonly event?: string
  readonly id?: string
  readonly data?: string
  readonly error?: string
  readonly end?: boolean
}

/** One client's process. */
class Running {
  readonly seen: Seen[] = []
  readonly client: StreamClient
  readonly encoding: 'gzip' | 'identity'
  readonly video: string
  readonly said: string[] = []
  #rest = ''
  readonly #child

  constructor(client: StreamClient, encoding: 'gzip' | 'identity', url: string, video: string) {
    this.client = client
    this.encoding = encoding
    this.video = video
    const [program, ...args] = LANGUAGES[client.language].run
    this.#child = spawn(program, [...args, client.name, `${url}/comments/${video}`, encoding], { cwd: join(BUILT, client.language), stdio: ['ignore', 'pipe', 'ignore'], detached: true })
    guard.protect([...pids, this.#child.pid!])
    pids.push(this.#child.pid!)
    this.#child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n')
      this.#rest = lines.pop()!
      for (const line of lines) this.seen.push({ ...(JSON.parse(line) as Omit<Seen, 'at'>), at: performance.now() })
    })
  }

  /** The comments that it saw, by content. */
  get comments(): string[] {
    return this.seen.flatMap(({ event, data }) => (event === 'message' && data ? [(JSON.parse(data) as { content: string }).content] : []))
  }

  has(content: string): boolean {
    return this.comments.includes(content)
  }

  since(at: number): readonly Seen[] {
    return this.seen.filter(each => each.at >= at)
  }

  stop(): void {
    this.#child.kill('SIGKILL')
  }
}

const guard = new Guard()
const pids: number[] = []

/** Waits until all of them are done, or for so long. */
async function allOr(ms: number, running: readonly Running[], done: (each: Running) => boolean): Promise<void> {
  const by = performance.now() + ms
  while (performance.now() < by && !running.every(done)) await sleep(20)
}

function build(languages: readonly (keyof typeof LANGUAGES)[]): (keyof typeof LANGUAGES)[] {
  return languages.filter(language => {
    const { name, program, build } = LANGUAGES[language]
    if (spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0) {
      say(`${name}: no ${program} here, its clients are left out`)
      return false
    }
    say(`${name}: building`)
    const folder = join(BUILT, language)
    mkdirSync(folder, { recursive: true })
    cpSync(join(SOURCES, language), folder, { recursive: true })
    for (const [command, ...args] of build) {
      const { status } = spawnSync(command, args, { cwd: folder, stdio: ['ignore', 2, 2] })
      if (status !== 0) throw new Error(`${name}: ${command} ${args.join(' ')} failed`)
    }
    return true
  })
}

/** A proxy in as few words as it takes: HTTP/1.1, and the next gateway where one is away. */
async function front(name: 'nginx' | 'caddy', upstreams: readonly string[], folder: string): Promise<string | undefined> {
  const program = find(name)?.path
  if (program === undefined) {
    say(`no ${name} here: nothing is tried behind it`)
    return undefined
  }
  const port = await new Ports().take('127.0.0.1')
  const file = join(folder, name)
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(each => `${each}_temp_path ${folder}/${each};`).join(' ')
  if (name === 'nginx') writeFileSync(file, `daemon off; pid ${folder}/pid; error_log stderr crit; events {} http { ${temp} access_log off; upstream gateways { ${upstreams.map(url => `server ${new URL(url).host} max_fails=0;`).join(' ')} } server { listen 127.0.0.1:${port}; location / { proxy_pass http://gateways; proxy_http_version 1.1; proxy_set_header Connection ""; } } }\n`)
  else writeFileSync(file, `{\n\tadmin off\n\tauto_https off\n}\nhttp://127.0.0.1:${port} {\n\tencode gzip\n\treverse_proxy ${upstreams.map(url => new URL(url).host).join(' ')} {\n\t\tlb_try_duration 5s\n\t}\n}\n`)
  const args = name === 'nginx' ? ['-p', folder, '-e', join(folder, 'error.log'), '-c', file] : ['run', '--config', file, '--adapter', 'caddyfile']
  const child = spawn(program, args, { stdio: 'ignore', detached: true, env: { ...process.env, HOME: folder } })
  pids.push(child.pid!)
  guard.protect(pids)
  const url = `http://127.0.0.1:${port}`
  await until(() => fetch(`${url}/healthz`).then(({ ok }) => ok, () => false), { timeoutMs: 20_000, what: `${name} answers` })
  return url
}

const chosen = CLIENTS.filter(({ name }) => options.only === undefined || options.only.includes(name))
const languages = build([...new Set(chosen.map(({ language }) => language))])
const clients = chosen.filter(({ language }) => languages.includes(language))
const folder = mkdtempSync(join(tmpdir(), 'live-clients-'))
const cluster = new Cluster(join(folder, 'data'), ['--gateways', '3', '--edges', '2', '--dispatchers', '1'])
const trials: Trial[] = []
try {
  await cluster.ready()
  // Clients are at the first, or behind a proxy at the first two, which end and are restarted. The third takes the posts.
  const [watched, other] = ['gateway-1', 'gateway-2'].map(id => cluster.member(id).url!) as [string, string]
  const post = async (video: string, content: string) => {
    const response = await fetch(`${cluster.member('gateway-3').url!}/comments/${video}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ content }) })
    if (response.status !== 201) throw new Error(`a post is answered ${response.status}: ${await response.text()}`)
  }
  const routes = { direct: watched, nginx: await front('nginx', [watched, other], folder), Caddy: await front('caddy', [watched, other], folder) }
  for (const [route, url] of Object.entries(routes)) {
    if (url === undefined) continue
    for (const encoding of ['identity', 'gzip'] as const) {
      say(`${route}, ${encoding}`)
      const running = clients.filter(({ gzip }) => gzip || encoding === 'identity').map((client, i) => new Running(client, encoding, url, `${route}-${encoding}-${i}`))
      await allOr(PATIENCE_MS, running, each => each.seen.some(({ event }) => event === 'ready'))
      const ready = new Set(running.filter(each => each.seen.some(({ event }) => event === 'ready')))
      // One comment, and no other after it.
      const firstMs = new Map<Running, number | undefined>()
      for (const each of running) {
        const since = performance.now()
        await post(each.video, 'one')
        await allOr(READ_MS, [each], () => each.has('one'))
        firstMs.set(each, each.has('one') ? performance.now() - since : undefined)
      }
      const gateways = route === 'direct' ? ['gateway-1'] : ['gateway-1', 'gateway-2']
      /** Ends each in turn, and posts while it is away. */
      const end = async (signal: NodeJS.Signals, content: string) => {
        for (const id of gateways) {
          const pid = cluster.kill(id, signal)
          if (id === gateways.at(-1)) for (const each of running) await post(each.video, content)
          await cluster.again(id, pid)
        }
      }
      say('  the gateway is killed')
      await end('SIGKILL', 'two')
      for (const each of running) await post(each.video, 'three')
      await allOr(PATIENCE_MS, running, each => each.has('two') && each.has('three'))
      const resumed = new Map(running.map(each => [each, each.comments.join(' ')]))
      say('  the gateway is stopped in order')
      const at = performance.now()
      await end('SIGTERM', 'four')
      await allOr(PATIENCE_MS, running, each => each.has('four'))
      for (const each of running) {
        const { client, video } = each
        const after = each.since(at)
        trials.push({
          client, route, encoding, ready: ready.has(each), firstMs: firstMs.get(each),
          resumed: resumed.get(each)!,
          ended: after.find(({ end, error }) => end === true || error !== undefined)?.error ?? (after.some(({ end }) => end) ? 'end' : 'nothing'),
          back: each.has('four'), complete: each.comments.join(' '),
          empty: each.seen.some(({ event, data }) => event !== undefined && !data),
          refused: undefined,
        })
        each.stop()
        say(`  ${client.name}: ${video} ${firstMs.get(each) === undefined ? 'nothing' : `${Math.round(firstMs.get(each)!)} ms`}; ${resumed.get(each)}; ${trials.at(-1)!.ended}; ${trials.at(-1)!.complete}`)
      }
      if (route !== 'direct' || encoding !== 'identity') continue
      say('  a video that cannot be')
      const refused = clients.map(client => new Running(client, encoding, url, 'not.one'))
      await allOr(PATIENCE_MS, refused, each => each.seen.length > 0)
      await sleep(3_000)
      for (const each of refused) {
        const trial = trials.find(({ client }) => client === each.client)!
        trial.refused = { said: each.seen[0]?.error ?? (each.seen[0]?.end ? 'end' : 'nothing'), times: each.seen.length }
        each.stop()
      }
    }
  }
} finally {
  for (const pid of pids) try { process.kill(-pid, 'SIGKILL') } catch { /* it has ended */ }
  guard.close()
  await cluster.stop()
  rmSync(folder, { recursive: true, force: true })
}
const table = tableOf(rowsOf(trials))
process.stdout.write(`${table}\n`)
if (options.write) {
  const [before, after] = ['<!-- made by npm run clients -->', '<!-- end -->']
  const text = readFileSync(DOCUMENT, 'utf8')
  writeFileSync(DOCUMENT, `${text.slice(0, text.indexOf(before) + before.length)}\n\n${table}\n\n${text.slice(text.indexOf(after))}`)
}
process.exit()
