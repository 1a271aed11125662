import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import Table from 'cli-table3'
import { Command, InvalidArgumentError } from 'commander'
import { Cluster } from '../support/cluster.js'
import { prepareNetwork, whyNoNetwork } from '../support/own-network.js'
import { until } from '../support/until.js'
import { PacedViewer } from './paced-viewer.js'

const VIDEO = 'stalled'
const COMMENTS_PER_SECOND = 100
/** With what surrounds it an event of about 800 bytes: a stream of 80 KB/s. */
const CONTENT = 'x'.repeat(650)
const READING = 100
const MOST_ALONE_SECONDS = 60
const STOPPED = 1_000
const SLOW = 20
const SLOW_BYTES_PER_SECOND = 5_000
const ONCE = 20
const ONCE_MS = 5_000
/** Each that stopped is closed after 6 s, which it does not see: another takes its place, as if it had come back. */
const REPLACE_MS = 10_000
/** Unbounded it would be 40 MB a second, at each. */
const MOST_GROWTH_MB = 32
/** The p99 may rise by so much, or be below what the design asks of it. */
const MOST_RATIO = 1.5
const MOST_P99_MS = 200

/** What one run saw of those who read all the time. */
interface Reading {
  readonly p50: number
  readonly p99: number
  readonly deliveries: number
}

const sleep = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))
const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** An edge, and a gateway, whose viewers do not read, under a kernel that holds little for them.
 * Exit status 1 when a check fails; 0 with the reason where there can be no network namespace of its own. */
async function main(): Promise<void> {
  const program = new Command('stalled')
    .description('1,000 viewers that stop reading, in a network namespace of their own: memory, and what the others see.')
    .option('--seconds <count>', 'of the run with them; of the one before at most 60', whole, 60)
    .option('--inside', 'this is the network namespace', false)
    .parse()
  const { seconds, inside } = program.opts<{ seconds: number; inside: boolean }>()
  const why = inside ? prepareNetwork() : whyNoNetwork()
  if (why !== undefined) return say(`skipped: no network namespace of its own can be had here: ${why}`)
  if (!inside) {
    const { status } = spawnSync('unshare', ['-rn', process.execPath, fileURLToPath(import.meta.url), '--inside', '--seconds', String(seconds)], { stdio: 'inherit' })
    process.exitCode = status ?? 1
    return
  }
  const data = mkdtempSync(join(tmpdir(), 'live-stalled-'))
  const cluster = new Cluster(data, ['--gateways', '1', '--dispatchers', '1', '--edges', '1', '--watchdog', '0'])
  const interrupted = () => void cluster.stop().then(() => process.exit(1))
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  try {
    await cluster.ready()
    process.exitCode = (await runs(cluster, seconds)) ? 0 : 1
  } finally {
    await cluster.stop()
    rmSync(data, { recursive: true, force: true })
  }
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('a whole number')
  return Number(text)
}

async function runs(cluster: Cluster, seconds: number): Promise<boolean> {
  const direct = `${cluster.record().edges[0]!.url!}/comments/${VIDEO}`
  const relayed = cluster.stream(VIDEO)
  const posts = new Posts(cluster)
  const everywhere = (count: number, bytesPerSecond = Infinity) => Array.from({ length: count }, (_, i) => new PacedViewer(i % 2 ? direct : relayed, bytesPerSecond))
  const readers = everywhere(READING)
  await until(() => readers.every(({ ready }) => ready), { timeoutMs: 30_000, what: 'all who read are ready' })
  posts.start()

  await sleep(3_000)
  const aloneSeconds = Math.min(seconds, MOST_ALONE_SECONDS)
  say(`${READING} viewers read for ${aloneSeconds} s, nobody else is there`)
  const alone = await read(readers, aloneSeconds, () => undefined)
  say(`${STOPPED} that stop reading, ${SLOW} that read ${SLOW_BYTES_PER_SECOND} B/s, and ${ONCE} that stop once for ${ONCE_MS} ms come`)
  const slow = everywhere(SLOW, SLOW_BYTES_PER_SECOND)
  const once = everywhere(ONCE)
  const stopped = everywhere(STOPPED, 0)
  let turn = 0
  const replacing = setInterval(() => {
    for (let i = 0; i < STOPPED / 20; i++, turn = (turn + 1) % STOPPED) {
      stopped[turn]!.close()
      stopped[turn] = new PacedViewer(turn % 2 ? direct : relayed, 0)
    }
  }, REPLACE_MS / 20)
  setTimeout(() => once.forEach(viewer => viewer.pace(0)), 2_000)
  setTimeout(() => once.forEach(viewer => viewer.pace(Infinity)), 2_000 + ONCE_MS)
  const memory: { edge: number; gateway: number }[] = []
  const among = await read(readers, seconds, () => memory.push({ edge: rssMb(cluster.member('edge-1').pid!), gateway: rssMb(cluster.member('gateway-1').pid!) }))
  clearInterval(replacing)
  for (const viewer of stopped) viewer.close()
  const acknowledged = await posts.stop()
  await until(() => [...readers, ...once].every(viewer => viewer.closedBy !== undefined || viewer.last >= acknowledged.at(-1)!), { what: 'all who read have all' }).catch(() => undefined)

  const table = new Table({ head: ['what', 'measured', 'bound', ''], style: { head: [], border: [] } })
  let good = true
  const check = (what: string, measured: string, bound: string, holds: boolean) => {
    good &&= holds
    table.push([what, measured, bound, holds ? 'ok' : 'FAILS'])
  }
  for (const part of ['edge', 'gateway'] as const) {
    const all = memory.map(each => each[part])
    // A collector lets what is not used any more lie for a while: quarters are compared by the most that each had.
    const quarters = [0, 1, 2, 3].map(i => Math.max(...all.slice((i * all.length) / 4, ((i + 1) * all.length) / 4)))
    check(`${part}: RSS at first, and the most in each quarter`, `${[all[0]!, ...quarters].map(Math.round).join(', ')} MB`, `last − second ≤ ${MOST_GROWTH_MB} MB`, quarters[3]! - quarters[1]! <= MOST_GROWTH_MB)
  }
  const ratio = among.p99 / alone.p99
  check('p99 of who reads, alone and among them', `${alone.p99.toFixed(1)} and ${among.p99.toFixed(1)} ms: ×${ratio.toFixed(2)}`, `×${MOST_RATIO} or ${MOST_P99_MS} ms`, ratio <= MOST_RATIO || among.p99 <= MOST_P99_MS)
  table.push(['p50 of who reads, alone and among them', `${alone.p50.toFixed(1)} and ${among.p50.toFixed(1)} ms`, '', ''])
  table.push(['deliveries to who reads', `${alone.deliveries} and ${among.deliveries}`, '', ''])
  for (const [name, all, whole] of [['read all the time', readers, true], [`read ${SLOW_BYTES_PER_SECOND} B/s`, slow, false], [`stop once for ${ONCE_MS} ms`, once, true]] as const) {
    for (const [i, way] of ['gateway', 'edge'].entries()) {
      const viewers = all.filter((_, n) => n % 2 === i)
      const closed = viewers.filter(({ closedBy, ready }) => closedBy !== undefined || !ready)
      const missed = viewers.reduce((sum, viewer) => sum + viewer.missed(acknowledged, whole), 0)
      const gaps = viewers.reduce((sum, viewer) => sum + viewer.gaps.length, 0)
      const wrong = viewers.flatMap(viewer => viewer.wrong)
      check(`${viewers.length} that ${name}, at the ${way}`, `${closed.length} closed or never ready, ${missed} missed, ${gaps} gaps, ${wrong.length} wrong`, '0, 0, any, 0', closed.length + missed + wrong.length === 0)
    }
  }
  for (const viewer of [...readers, ...slow, ...once]) viewer.close()
  say(table.toString())
  return good
}

/** Looks at those who read for so long, and calls `each` every second. */
async function read(readers: readonly PacedViewer[], seconds: number, each: () => unknown): Promise<Reading> {
  for (const reader of readers) reader.latencies.length = 0
  for (let second = 0; second < seconds; second++) {
    await sleep(1_000)
    each()
  }
  const all = Float64Array.from(readers.flatMap(({ latencies }) => latencies)).sort()
  return { p50: all[Math.floor(all.length * 0.5)]!, p99: all[Math.floor(all.length * 0.99)]!, deliveries: all.length }
}

function rssMb(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024
}

/** Posts at an even rate, whatever the answers take, and notes what was acknowledged. */
class Posts {
  readonly #cluster: Cluster
  readonly #acknowledged: number[] = []
  readonly #open = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  start(): void {
    let at = performance.now()
    let due = 0
    let posted = 0
    const one = () => {
      posted++
      const post = this.#post(`post-${posted}`).then(id => void this.#acknowledged.push(id))
      this.#open.add(post)
      void post.finally(() => this.#open.delete(post))
    }
    this.#timer = setInterval(() => {
      const now = performance.now()
      // What a held-up process left out is not made up for in one heap.
      due = Math.min(due + ((now - at) / 1_000) * COMMENTS_PER_SECOND, COMMENTS_PER_SECOND / 10 + 1)
      at = now
      for (; due >= 1; due--) one()
    }, 1_000 / COMMENTS_PER_SECOND)
  }

  /** A connection may close as it is used again: the key makes a second try safe. */
  async #post(key: string): Promise<number> {
    const say = () => this.#cluster.post(VIDEO, { content: CONTENT }, { 'idempotency-key': key })
    const answer = await say().catch(say)
    if (answer.status !== 201) throw new Error(`a post was answered ${answer.status}`)
    return Number(((await answer.json()) as { id: string }).id)
  }

  /** @returns the ids, ascending. @throws Error when one was refused */
  async stop(): Promise<number[]> {
    clearInterval(this.#timer)
    await Promise.all(this.#open)
    return this.#acknowledged.sort((a, b) => a - b)
  }
}

await main()
