import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EChartsOption } from 'echarts'
import { counted, number, table } from '../cli/table.js'
import { Ports } from '../cluster/ports.js'
import { ENTRY } from '../test/support/program.js'
import { count, positive } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { countAll, ManyViewers } from './load/many-viewers.js'
import type { ManyViewersCount } from './load/many-viewers-worker.js'
import { wallMs } from './load/schedule.js'
import { streamRequest, type PostTarget, type StreamTarget } from './load/target.js'
import { Histogram, quantiles, type Quantiles } from './measure/histogram.js'
import { cpuSeconds, memoryAvailable, memoryBytes, tcpMemoryBytes } from './measure/process-usage.js'
import type { Progress } from './report/progress.js'
import { ms } from './report/result-table.js'
import { startBare } from './systems/bare.js'
import { Child } from './systems/child.js'
import { LiveSystem } from './systems/live.js'

/** A gateway holds 19,125 with 20,000 descriptors, a process of viewers nearly as many. */
const PER_PROCESS = 18_500
const EDGES = 3
const VIDEO = 'million'
const STARTED_AT_ONCE = 4
const POLL_MS = 250
/** Nobody has become ready for this long: no more will. */
const STALLED_MS = 45_000
/** Connecting ends while so much memory is left, or the machine would begin to swap, or kill. */
const SPARE_BYTES = 1.2 * 2 ** 30
const DELIVERY_MS = 90_000
const BARE_COMMENTS = 3

/** What became of one comment. */
interface Delivery {
  readonly number: number
  readonly viewers: number
  readonly have: number
  /** The fullest edge was killed just before it. */
  readonly afterDeath: boolean
  readonly ms: Quantiles | undefined
  readonly lastMs: number
  /** Of all the system's processes, until the last viewer had it. */
  readonly cpuSeconds: number
}

export const million: Benchmark = {
  name: 'million',
  question: 'does every one of a million viewers of one video get each comment, once and in order?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers, over as many gateways and processes of viewers as their descriptors need', count, 1_000_000)
      .option('--joins <count>', 'joins a second attempted', count, 5_000)
      .option('--comments <count>', 'comments; before the middle one the fullest edge is killed', count, 6)
      .option('--every <seconds>', 'time between comments', positive, 10),
  async run(flags, progress) {
    const wanted = numberOf(flags, 'viewers')
    progress.title(`${number(wanted)} viewers of one video`)
    const bare = await bareLoop(Math.min(wanted, PER_PROCESS), progress)
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via: 'gateway', edges: EDGES, capacity: 4_000_000 })
    await using audience = new Audience(system)
    await audience.start(Math.ceil(wanted / PER_PROCESS), progress)
    const before = { memory: audience.serverMemory(), kernel: tcpMemoryBytes(), free: memoryAvailable() }
    const joined = await audience.fill(wanted, numberOf(flags, 'joins'), progress)
    const viewers = joined.count.ready
    const memory = {
      serversPerViewer: (audience.serverMemory() - before.memory) / viewers,
      clientsPerViewer: audience.clientMemory() / viewers,
      tcpPerViewer: (tcpMemoryBytes() - before.kernel) / viewers,
      allPerViewer: (before.free - memoryAvailable()) / viewers,
    }
    const comments = numberOf(flags, 'comments')
    const deliveries: Delivery[] = []
    for (let i = 1; i <= comments; i++) {
      const afterDeath = i === Math.ceil(comments / 2)
      const due = wallMs() + numberOf(flags, 'every') * 1000
      if (afterDeath) await audience.killFullestEdge()
      deliveries.push(await audience.deliver(i, viewers, afterDeath, progress))
      await sleep(Math.max(0, due - wallMs()))
    }
    const end = await audience.count()
    progress.end()
    const correct = viewers > 0 && end.lost === 0 && end.misplaced === 0 && deliveries.every(({ have }) => have === viewers) && joined.stoppedBy === undefined
    const outcome = { wanted, viewers, gateways: audience.gateways, edges: EDGES, joinsPerSecond: viewers / joined.seconds, stoppedBy: joined.stoppedBy, turnedAway: end.turnedAway, lost: end.lost, misplaced: end.misplaced, memory, deliveries, bare }
    return { text: report(outcome), runs: [outcome], chart: millionChart(outcome), correct }
  },
}

/** Gateways and processes, one for the other, beside a cluster that has the rest. */
class Audience implements AsyncDisposable {
  readonly #system: LiveSystem
  readonly #gateways: { readonly child: Child; readonly port: number }[] = []
  readonly #processes: ManyViewers[] = []

  constructor(system: LiveSystem) {
    this.#system = system
  }

  get gateways(): number {
    return this.#gateways.length
  }

  /** Gateways outside of the supervisor: one that watches over each would take as much memory again. */
  async start(gateways: number, progress: Progress): Promise<void> {
    const { cluster } = this.#system
    const ports = new Ports()
    const token = readFileSync(join(cluster.data, 'internal-token'), 'utf8').trim()
    for (let i = 0; i < gateways; i += STARTED_AT_ONCE) {
      const some = Array.from({ length: Math.min(STARTED_AT_ONCE, gateways - i) }, async (_, j) => {
        const [port, internalPort] = [await ports.take('127.0.0.1'), await ports.take('127.0.0.1')]
        const child = new Child(process.execPath, [ENTRY, 'gateway'], {
          ...process.env,
          ...cluster.zookeeperEnv,
          NODE_ENV: 'production',
          NODE_ID: `gateway-m${i + j + 1}`,
          HOST: '127.0.0.1',
          PORT: String(port),
          INTERNAL_HOST: '127.0.0.1',
          INTERNAL_PORT: String(internalPort),
          INTERNAL_TOKEN: token,
          LOG_LEVEL: 'warn',
          JOIN_RATE: '1000000',
          EDGE_VIDEO_SHARE: '4000000',
        })
        await child.listening(port)
        this.#gateways.push({ child, port })
        this.#processes.push(new ManyViewers())
      })
      await Promise.all(some)
      progress.step(`starting ${counted(gateways, 'gateway')}`, this.#gateways.length / gateways)
    }
  }

  async fill(wanted: number, joinsPerSecond: number, progress: Progress): Promise<{ count: ManyViewersCount; seconds: number; stoppedBy: string | undefined }> {
    const { request, ready } = target(this.#system)
    const shares = this.#gateways.map((_, i) => Math.floor(wanted / this.gateways) + (i < wanted % this.gateways ? 1 : 0))
    const startAt = wallMs()
    /** One after the other fills up, so that what stops it leaves whole processes. */
    const atOnce = Math.max(1, Math.min(this.gateways, 8))
    let started = 0
    let last = { ready: 0, at: startAt }
    for (;;) {
      const counts = await Promise.all(this.#processes.slice(0, started).map(each => each.count()))
      const unfinished = counts.filter(({ ready }, i) => ready < shares[i]!).length
      for (let free = atOnce - unfinished; free > 0 && started < this.gateways; free--, started++) {
        this.#processes[started]!.connect({ host: '127.0.0.1', port: this.#gateways[started]!.port, request: request.replace('{video}', VIDEO), ready: ready!, viewers: shares[started]!, perSecond: joinsPerSecond / atOnce })
      }
      const all = counts.reduce((sum, { ready }) => sum + ready, 0)
      const now = wallMs()
      progress.step(`connecting ${number(wanted)} viewers`, all / wanted)
      if (all > last.ready) last = { ready: all, at: now }
      const stoppedBy = memoryAvailable() < SPARE_BYTES ? `memory: ${(memoryAvailable() / 2 ** 30).toFixed(1)} GB is left` : now - last.at > STALLED_MS ? `nobody became ready for ${STALLED_MS / 1000} s` : undefined
      if (all >= wanted || stoppedBy !== undefined) {
        const seconds = (last.at - startAt) / 1000
        if (stoppedBy !== undefined) await sleep(5_000) // those on their way
        return { count: await this.count(), seconds, stoppedBy }
      }
      await sleep(POLL_MS)
    }
  }

  count(): Promise<ManyViewersCount> {
    return countAll(this.#processes)
  }

  async killFullestEdge(): Promise<void> {
    const { cluster } = this.#system
    const held = await Promise.all(cluster.record().edges.map(async ({ id }) => ({ id, viewers: await cluster.metric(id, 'live_edge_viewers') })))
    cluster.kill(held.reduce((a, b) => (b.viewers > a.viewers ? b : a)).id)
  }

  async deliver(comment: number, viewers: number, afterDeath: boolean, progress: Progress): Promise<Delivery> {
    const before = new Map(this.#servers().map(pid => [pid, cpuSeconds(pid)]))
    await post(this.#system.posts[0]!, VIDEO, comment)
    const deadline = wallMs() + DELIVERY_MS
    let have = 0
    while (have < viewers && wallMs() < deadline) {
      await sleep(POLL_MS)
      have = (await this.count()).have[comment - 1] ?? 0
      progress.step(`comment ${comment}`, have / viewers)
    }
    const used = this.#servers().reduce((sum, pid) => sum + Math.max(0, cpuSeconds(pid) - (before.get(pid) ?? 0)), 0)
    return { number: comment, viewers, have, afterDeath, cpuSeconds: used, ...(await timesOf(this.#processes, comment)) }
  }

  serverMemory(): number {
    return this.#servers().reduce((sum, pid) => sum + memoryBytes(pid), 0)
  }

  clientMemory(): number {
    return this.#processes.reduce((sum, { pid }) => sum + memoryBytes(pid), 0)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#processes.map(each => each.close()))
    await Promise.all(this.#gateways.map(({ child }) => child.stop()))
  }

  #servers(): number[] {
    return [...this.#system.processes().map(({ pid }) => pid), ...this.#gateways.map(({ child }) => child.pid)]
  }
}

interface BareLoop {
  readonly viewers: number
  /** To the last viewer, and processor time of the loop a delivery: the best of a few comments. */
  readonly lastMs: number
  readonly deliveryUs: number
}

/** What a bare write loop needs for as many as one process holds. */
async function bareLoop(viewers: number, progress: Progress): Promise<BareLoop> {
  await using bare = await startBare(0)
  const each = new ManyViewers()
  try {
    const { host, port, request } = target(bare)
    each.connect({ host, port, request, ready: 'text/event-stream', viewers, perSecond: 5_000 })
    while ((await each.count()).ready < viewers) {
      progress.step('connecting viewers of a bare write loop')
      await sleep(POLL_MS)
    }
    const { pid } = bare.processes()[0]!
    let best: BareLoop = { viewers, lastMs: Infinity, deliveryUs: Infinity }
    for (let i = 1; i <= BARE_COMMENTS; i++) {
      const cpuBefore = cpuSeconds(pid)
      await post(bare.posts[0]!, VIDEO, i)
      while (((await each.count()).have[i - 1] ?? 0) < viewers) await sleep(POLL_MS)
      const { lastMs } = await timesOf([each], i)
      const deliveryUs = ((cpuSeconds(pid) - cpuBefore) / viewers) * 1e6
      if (lastMs < best.lastMs) best = { viewers, lastMs, deliveryUs }
    }
    return best
  } finally {
    await each.close()
  }
}

function target({ streams }: { readonly streams: readonly StreamTarget[] }): StreamTarget {
  const first = streams[0]!
  return first.ready === null ? { ...first, request: streamRequest('/stream') } : first
}

async function timesOf(processes: readonly ManyViewers[], comment: number): Promise<{ ms: Quantiles | undefined; lastMs: number }> {
  const all = new Histogram()
  let lastMs = 0
  for (const times of await Promise.all(processes.map(each => each.times(comment)))) {
    all.add(times.histogram)
    lastMs = Math.max(lastMs, times.lastMs)
  }
  return { ms: quantiles(all), lastMs }
}

/** @throws Error unless it is accepted */
async function post({ host, port, line, headers }: PostTarget, video: string, comment: number): Promise<void> {
  const body = { authorId: 'bench', content: `#${comment}@${wallMs()}; and some words, as a comment has them, of the usual length` }
  const answer = await fetch(`http://${host}:${port}${line.slice('POST '.length).replace('{video}', video)}`, { method: 'POST', headers, body: JSON.stringify(body) })
  if (!answer.ok) throw new Error(`the comment was answered ${answer.status}: ${await answer.text()}`)
}

export interface Outcome {
  readonly wanted: number
  readonly viewers: number
  readonly gateways: number
  readonly joinsPerSecond: number
  readonly stoppedBy: string | undefined
  readonly turnedAway: number
  readonly lost: number
  readonly misplaced: number
  readonly memory: { readonly serversPerViewer: number; readonly clientsPerViewer: number; readonly tcpPerViewer: number; readonly allPerViewer: number }
  readonly deliveries: readonly Delivery[]
  readonly bare: BareLoop
}

/** When half of the viewers have each comment, and when the last one has, beside what a bare write loop would need for as many. */
export function millionChart({ viewers, gateways, deliveries, bare }: Pick<Outcome, 'viewers' | 'gateways' | 'deliveries' | 'bare'>): EChartsOption {
  const seconds = (time: number | undefined) => (time === undefined ? '-' : Number((time / 1000).toFixed(1)))
  const alone = (bare.lastMs * viewers) / bare.viewers
  const series = (name: string, data: (number | string)[]) => ({ type: 'bar' as const, name, data, label: { show: true, position: 'right' as const } })
  return {
    title: { text: `${number(viewers)} viewers of one video on one machine`, subtext: `through ${counted(gateways, 'gateway')}; from the post until they have the comment, s`, left: 'center' },
    legend: { bottom: 0, itemGap: 24 },
    grid: { left: 20, right: 60, top: 80, bottom: 50, containLabel: true },
    xAxis: { type: 'value' },
    yAxis: { type: 'category', inverse: true, data: [...deliveries.map(({ number: i, afterDeath }) => `comment ${i}${afterDeath ? ',\nits edge was killed' : ''}`), 'a bare write loop,\ncalculated'] },
    series: [series('half of them', [...deliveries.map(({ ms: times }) => seconds(times?.p50)), '-']), series('the last one', [...deliveries.map(({ lastMs }) => seconds(lastMs)), seconds(alone)])],
  }
}

function report({ wanted, viewers, gateways, joinsPerSecond, stoppedBy, turnedAway, lost, misplaced, memory, deliveries, bare }: Outcome): string {
  const kb = (bytes: number) => (bytes / 1024).toFixed(1)
  const columns = [{ head: 'comment' }, ...['have it', 'p50 ms', 'p99', 'last', 'CPU s', 'µs/delivery'].map(head => ({ head, align: 'right' as const }))]
  const rows = deliveries.map(({ number: i, have, afterDeath, ms: times, lastMs, cpuSeconds }) => [
    `${i}${afterDeath ? ', just after its edge was killed' : ''}`,
    have === viewers ? `all ${number(have)}` : `${number(have)} of ${number(viewers)}`,
    ms(times?.p50), ms(times?.p99), ms(lastMs), cpuSeconds.toFixed(1), ((cpuSeconds / viewers) * 1e6).toFixed(1),
  ])
  return `${table(columns, rows, false)}
${number(viewers)} viewers of one video through ${counted(gateways, 'gateway')}, ${number(Math.round(joinsPerSecond))} joins/s${turnedAway > 0 ? `, ${number(turnedAway)} turned away first` : ''}.
${lost === 0 ? 'No stream was cut off' : `FAILED: ${number(lost)} streams were cut off`}; ${misplaced === 0 ? 'nothing came twice or out of order' : `FAILED: ${number(misplaced)} came twice or out of order`}.
A viewer takes ${kb(memory.serversPerViewer)} KB of gateways and edges, ${kb(memory.clientsPerViewer)} KB of the client; ${kb(memory.allPerViewer)} KB of the machine in all, the kernel's sockets at both ends included.
The bare write loop, ${number(bare.viewers)} viewers: last after ${ms(bare.lastMs)} ms, ${bare.deliveryUs.toFixed(1)} µs a delivery.
${stoppedBy === undefined ? '' : `It stopped at ${number(viewers)} of ${number(wanted)} viewers by ${stoppedBy}: with ${kb(memory.allPerViewer)} KB of the machine's memory each, ${number(wanted)} would need ${((wanted * memory.allPerViewer) / 2 ** 30).toFixed(1)} GB.\n`}`
}
