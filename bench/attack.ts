import { readdirSync, readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { printPosts } from '../protocol/posts.js'
import { number, table } from '../cli/table.js'
import { InternalClient } from '../runtime/peers/client.js'
import { count, countOrNone } from './arguments.js'
import { numberOf, type Benchmark, type Flags } from './benchmark.js'
import { workOf } from './fanout.js'
import { Attackers } from './load/attackers.js'
import { Histogram } from './measure/histogram.js'
import { descriptorLimit, memoryBytes, tcpMemoryBytes } from './measure/process-usage.js'
import type { Progress } from './report/progress.js'
import { fanOut, type Outcome } from './run.js'
import { LiveSystem } from './systems/live.js'

const SAMPLE_MS = 500
const HOLDING_MS = 20_000
const MEGABYTE = 1024 * 1024
/** Addresses of the attackers; viewers and posters are 127.0.0.1. */
const SOURCES = Array.from({ length: 20 }, (_, i) => `127.0.1.${i + 1}`)
const FLOOD_SOURCE = '127.0.2.1'
const READ_SOURCES = Array.from({ length: 10 }, (_, i) => `127.0.3.${i + 1}`)
const SHOUT_SOURCES = Array.from({ length: 10 }, (_, i) => `127.0.7.${i + 1}`)
const SILENT_SOURCES = Array.from({ length: 5 }, (_, i) => `127.0.5.${i + 1}`)
const PROXY_SOURCE = '127.0.6.1'
const PROXIED = '203.0.113.7'
const HISTORY = 'attack-history'
const HISTORY_COMMENTS = 1_200
/** Between two newcomers, of whom one joins at a time. */
const NEWCOMER_MS = 100

export const attack: Benchmark = {
  name: 'attack',
  question: 'how do thousands of malicious connections affect other viewers?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers that read', count, 300)
      .option('--rate <count>', 'comments per second', count, 50)
      .option('--headers <count>', 'connections that send one byte of a header per second', countOrNone, 5_000)
      .option('--bodies <count>', 'connections that send one byte of a body per second', countOrNone, 1_000)
      .option('--deaf <count>', 'viewers that never read', countOrNone, 1_000)
      .option('--silent <count>', 'connections that send nothing', countOrNone, 3_000)
      .option('--readers <count>', 'connections that read one page of history after the other', countOrNone, 100)
      .option('--resumers <count>', 'viewers that come back with an old cursor, again and again', countOrNone, 50)
      .option('--joiners <count>', 'viewers of one client behind a proxy that join again and again', countOrNone, 500)
      .option('--shouters <count>', 'WebSockets that send 200 posts per second each', countOrNone, 100)
      .option('--flood <count>', 'new connections per second from one address', countOrNone, 1_000)
      .option('--connections <count>', 'the gateway\'s CONNECTIONS_PER_ADDRESS', count, 800),
  async run(flags, progress) {
    const runs = [await attackOnce(flags, progress, false), await attackOnce(flags, progress, true)]
    return { text: textOf(runs), runs, correct: runs.every(({ outcome }) => outcome.correct) }
  },
}

/** The outcome of one run, and the most that the gateway used in it. */
interface Run {
  readonly attacked: boolean
  readonly outcome: Outcome
  readonly descriptors: number
  readonly descriptorLimit: number
  readonly memoryBytes: number
  /** TCP memory of the whole machine, both ends of each connection. */
  readonly kernelMemoryBytes: number
  /** The gateway's refusals, by kind. */
  readonly refused: Readonly<Record<string, number>>
  /** The attackers' connections: the most open at a time, and all that were opened and closed. */
  readonly held: number
  readonly opened: number
  readonly closed: number
  /** Pages that the attackers had, and that they were refused; times that they joined. */
  readonly pages: number
  readonly pagesRefused: number
  readonly joins: number
  /** Posts that they sent by WebSocket. */
  readonly messages: number
  /** How long a newcomer waits for its `ready`; undefined where none had it. */
  readonly newcomerMs: { readonly p50: number | undefined; readonly p99: number | undefined }
}

async function attackOnce(flags: Flags, progress: Progress, attacked: boolean): Promise<Run> {
  const given = (name: string) => numberOf(flags, name)
  progress.title(attacked ? `the same beside ${given('headers')} slow headers, ${given('bodies')} slow bodies, ${given('deaf')} viewers that never read, ${given('silent')} silent connections, ${given('readers')} readers, ${given('resumers')} viewers with old cursors, ${given('joiners')} that join in a loop, ${given('shouters')} that post by WebSocket without pause, ${given('flood')} connections a second` : `${given('viewers')} viewers, ${given('rate')} comments/s`)
  progress.step('starting a cluster')
  await using system = await LiveSystem.start({
    via: 'gateway',
    profile: flags.profile,
    // Set, so that the limits hold for this machine too.
    env: { CONNECTIONS_PER_ADDRESS: String(given('connections')), STREAMS_PER_ADDRESS: '1000', POST_RATE_LIMIT_PER_ADDRESS: String(given('rate') * 2), TRUSTED_PROXIES: PROXY_SOURCE },
  })
  const gateway = system.cluster.record().gateways[0]!
  const { host, port } = system.streams[0]!
  await fillHistory(system)
  const most = { descriptors: 0, memoryBytes: 0, kernelMemoryBytes: 0, held: 0 }
  const attackers = attacked ? new Attackers({ host, port, sources: SOURCES, floodSource: FLOOD_SOURCE, silentSources: SILENT_SOURCES, readSources: READ_SOURCES, shoutSources: SHOUT_SOURCES, proxySource: PROXY_SOURCE, proxied: PROXIED, history: HISTORY, silent: given('silent'), readers: given('readers'), resumers: given('resumers'), joiners: given('joiners'), shouters: given('shouters'), headers: given('headers'), bodies: given('bodies'), deaf: given('deaf'), floodRate: given('flood'), videos: 1 }) : undefined
  const sampling = setInterval(() => {
    const sample = {
      descriptors: readdirSync(`/proc/${gateway.pid}/fd`).length,
      memoryBytes: memoryBytes(gateway.pid!),
      kernelMemoryBytes: tcpMemoryBytes(),
      held: attackers ? attackers.get('opened') - attackers.get('closed') : 0,
    }
    for (const [name, value] of Object.entries(sample) as [keyof typeof most, number][]) most[name] = Math.max(most[name], value)
  }, SAMPLE_MS)
  try {
    progress.step('the attackers come')
    await attackers?.holding(HOLDING_MS)
    const newcomers = new Newcomers(host, port)
    const outcome = await fanOut(system, workOf(flags, { viewers: given('viewers'), rate: given('rate') }), progress)
    await newcomers.stop()
    const refused: Record<string, number> = {}
    for (const kind of ['connections_per_address', 'descriptors', 'silent_connections', 'streams_per_address', 'posts_per_address', 'reads', 'read_bytes']) refused[kind] = await system.cluster.metric(gateway.id, `live_gateway_refused_total{kind="${kind}"}`)
    return { attacked, outcome, descriptorLimit: descriptorLimit(), refused, opened: attackers?.get('opened') ?? 0, closed: attackers?.get('closed') ?? 0, pages: attackers?.get('pages') ?? 0, pagesRefused: attackers?.get('pagesRefused') ?? 0, joins: attackers?.get('joins') ?? 0, messages: attackers?.get('messages') ?? 0, newcomerMs: newcomers.waits, ...most }
  } finally {
    clearInterval(sampling)
    await attackers?.close()
  }
}

/** Gives the attackers something to read, by the dispatcher's internal port: for the public one it would be too fast. */
async function fillHistory({ cluster }: LiveSystem): Promise<void> {
  const client = new InternalClient(readFileSync(join(cluster.data, 'internal-token'), 'utf8').trim())
  const { internalUrl } = cluster.record().dispatchers[0]!
  for (let from = 0; from < HISTORY_COMMENTS; from += 200) {
    const posts = Array.from({ length: 200 }, (_, i) => ({ videoId: HISTORY, authorId: 'ann', content: `a comment of usual length, and its number: ${from + i}`, key: `fill-${from + i}`, leftMs: 10_000 }))
    await client.call(internalUrl!, { path: '/internal/posts', body: printPosts({ passedOn: true, posts }), timeoutMs: 10_000 })
  }
  await client.close()
}

/** Newcomers who mean well, one at a time. */
class Newcomers {
  readonly #joins = new Histogram()
  readonly #done: Promise<void>
  #stopped = false

  constructor(host: string, port: number) {
    this.#done = this.#run(host, port)
  }

  get waits(): { p50: number | undefined; p99: number | undefined } {
    return { p50: this.#joins.quantile(0.5), p99: this.#joins.quantile(0.99) }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#done
  }

  async #run(host: string, port: number): Promise<void> {
    for (let n = 0; !this.#stopped; n++) {
      const since = performance.now()
      await new Promise<void>(resolve => {
        const socket = connect(port, host, () => socket.write(`GET /comments/newcomer-${n % 5} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n`))
        let text = ''
        socket.on('data', (chunk: Buffer) => {
          text += chunk.toString('latin1')
          if (text.includes('event: ready')) socket.destroy()
        })
        socket.on('end', () => socket.destroy())
        socket.on('error', () => {})
        socket.once('close', resolve)
      })
      this.#joins.record(performance.now() - since)
      await sleep(NEWCOMER_MS)
    }
  }
}

function textOf(runs: readonly Run[]): string {
  const ms = (value: number | undefined) => value?.toFixed(1) ?? '-'
  const mb = (bytes: number) => (bytes / MEGABYTE).toFixed(0)
  const right = (head: string) => ({ head, align: 'right' as const })
  const rows = runs.map(({ attacked, outcome: { latencyMs, postLatencyMs, correct, faults, refused, firstError }, newcomerMs, descriptors, memoryBytes, kernelMemoryBytes, held, opened, refused: kept }) => [
    attacked ? 'under attack' : 'quiet',
    ...[latencyMs?.p50, latencyMs?.p99, latencyMs?.max, postLatencyMs?.p50, postLatencyMs?.p99, postLatencyMs?.max, newcomerMs.p50, newcomerMs.p99].map(ms),
    correct ? 'nothing' : (firstError ?? JSON.stringify({ ...faults, refused })),
    mb(memoryBytes),
    number(descriptors),
    mb(kernelMemoryBytes),
    number(held),
    number(opened),
    number(Object.values(kept).reduce((sum, each) => sum + each, 0)),
  ])
  const columns = [{ head: '' }, right('viewers p50 ms'), right('p99'), right('max'), right('posts p50 ms'), right('p99'), right('max'), right('joins p50 ms'), right('p99'), { head: 'lost' }, right('gateway MB'), right('descriptors'), right('TCP MB'), right('held'), right('opened'), right('refused')]
  const kinds = Object.entries(runs.at(-1)!.refused).filter(([, times]) => times > 0).map(([kind, times]) => `${kind} ${number(times)}`).join(', ')
  const { pages, pagesRefused, joins, messages } = runs.at(-1)!
  return `${table(columns, rows, false)}Of ${number(runs[0]!.descriptorLimit)} descriptors. Refused: ${kinds || 'nobody'}. The attackers read ${number(pages)} pages, were refused ${number(pagesRefused)}, joined ${number(joins)} times, and sent ${number(messages)} posts by WebSocket.\n`
}
