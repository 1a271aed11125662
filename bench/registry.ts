import { InvalidArgumentError } from 'commander'
import type { EChartsOption } from 'echarts'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Ensemble } from '../cluster/ensemble.js'
import { Guard } from '../cluster/guard.js'
import { Ports } from '../cluster/ports.js'
import { number, table } from '../cli/table.js'
import { ask } from '../registry/zookeeper/four-letter-word.js'
import { parseConnectString, parseServers } from '../registry/zookeeper/connect-string.js'
import { count, positive } from './arguments.js'
import { numberOf, type Benchmark, type Flags } from './benchmark.js'
import type { ReaderOptions, ReaderReady, ReaderReport } from './load/registry-reader.js'
import type { EdgesReport, SimulatedEdgesOptions } from './load/simulated-edges.js'
import { wallMs } from './load/schedule.js'
import { processorUse } from './measure/process-usage.js'
import { lines } from './report/chart.js'
import type { Progress } from './report/progress.js'
import { ms } from './report/result-table.js'
import { waitUntil } from './run.js'
import { temporaryFolder } from './systems/child.js'
import { Fork } from './systems/fork.js'

const CHROOT = '/bench'
/** Processes of edges. */
const CROWDS = 2
const UP_MS = 180_000
const READY_MS = 60_000
/** After the edges stand and the readers are ready. */
const WARM_MS = 5_000
const STOP_MS = 3_000
const POLL_MS = 100

interface Step {
  readonly edges: number
  readonly videos: number
}

/** What one size of the registry costs. Cores are shares of one core in the measured time. */
interface Outcome extends Step {
  readonly zookeepers: number
  readonly viewers: number
  readonly writesPerSecond: number
  readonly writtenBytesPerSecond: number
  readonly largestListBytes: number
  /** Of an announcement on average, and of what it would have taken to say what is different. */
  readonly listBytes: number
  readonly deltaBytes: number
  readonly readBytesPerSecond: number
  readonly changesPerSecond: number
  readonly staleMs: { readonly gateway: ReaderReport['staleMs']; readonly dispatcher: ReaderReport['staleMs'] }
  readonly cores: { readonly zookeeper: number; readonly gateway: number; readonly dispatcher: number; readonly edges: number }
  readonly viewBytes: { readonly gateway: number; readonly dispatcher: number }
  readonly liveBytes: { readonly gateway: number; readonly dispatcher: number }
  readonly readyMs: { readonly gateway: number; readonly dispatcher: number }
  /** Processor time of that. */
  readonly readyCpuMs: { readonly gateway: number; readonly dispatcher: number }
  readonly placementMs: ReaderReport['placementMs']
  /** Both views show every edge. */
  readonly complete: boolean
}

export const registry: Benchmark = {
  name: 'registry',
  question: 'what does the registry cost with many edges and videos, and how late do its readers see a change?',
  flags: command =>
    command
      .option('--edges <counts>', 'simulated edges; several sizes are measured one after the other', sizes, '10,100,1000')
      .option('--videos <count>', 'videos that the most edges hold; fewer edges hold as many each', count, 1_000_000)
      .option('--zookeepers <count>', 'ZooKeeper servers', positive, 1)
      .option('--stay <seconds>', 'how long a viewer stays on average', positive, 300)
      .option('--unpaced', 'edges announce as if each were the only one'),
  async run(flags, progress) {
    const edges = String(flags['edges']).split(',').map(Number)
    const perEdge = numberOf(flags, 'videos') / Math.max(...edges)
    const outcomes: Outcome[] = []
    for (const each of edges) outcomes.push(await once(flags, progress, { edges: each, videos: Math.round(perEdge * each) }))
    return {
      text: outcomeTable(outcomes),
      runs: outcomes,
      correct: outcomes.every(({ complete }) => complete),
      chart: registryChart(outcomes, perEdge, numberOf(flags, 'stay')),
    }
  },
}

/** What the registry carries, costs its readers and is late, by its size. @param perEdge videos of an edge @param stay s */
function registryChart(outcomes: readonly Outcome[], perEdge: number, stay: number): EChartsOption {
  const points = (of: (outcome: Outcome) => number | undefined) => outcomes.flatMap((outcome): [number, number][] => [[outcome.edges, Math.max(0.1, of(outcome) ?? 0)]])
  return lines(`The registry, ${number(Math.round(perEdge))} videos an edge, viewers that stay ${stay} s`, 'edges', '', [
    { name: 'writes/s', points: points(({ writesPerSecond }) => writesPerSecond) },
    { name: 'KB/s to each reader', points: points(({ readBytesPerSecond }) => readBytesPerSecond / 1024) },
    { name: 'staleness p50, ms', points: points(({ staleMs }) => staleMs.gateway?.p50) },
    { name: 'staleness p99, ms', points: points(({ staleMs }) => staleMs.gateway?.p99) },
    { name: 'ZooKeeper, % of a core', points: points(({ cores }) => 100 * cores.zookeeper) },
    { name: 'a gateway\'s share, % of a core', points: points(({ cores }) => 100 * cores.gateway) },
    { name: 'a placement p50, µs', points: points(({ placementMs }) => (placementMs ? 1000 * placementMs.p50 : undefined)) },
    { name: 'a placement p99, µs', points: points(({ placementMs }) => (placementMs ? 1000 * placementMs.p99 : undefined)) },
  ])
}

async function once(flags: Flags, progress: Progress, { edges, videos }: Step): Promise<Outcome> {
  const zookeepers = numberOf(flags, 'zookeepers')
  progress.title(`${number(edges)} edges, ${number(videos)} videos, ${zookeepers} ZooKeeper${zookeepers === 1 ? '' : 's'}`)
  progress.step('starting ZooKeeper')
  const folder = temporaryFolder()
  const guard = new Guard()
  const forks: { stop(): Promise<void> }[] = []
  const ensemble = new Ensemble({ servers: zookeepers, folder: join(folder.path, 'zookeeper'), ports: new Ports(), chroot: CHROOT, restart: false, say: () => {}, changed: () => guard.protect(ensemble.members.flatMap(({ pid }) => pid ?? [])) })
  try {
    await ensemble.start()
    const servers = parseServers(parseConnectString(ensemble.connect).servers)
    const epoch = wallMs()
    const stayMs = 1000 * numberOf(flags, 'stay')
    const stride = Math.min(CROWDS, edges)
    const crowds = Array.from({ length: stride }, (_, first) => new Fork<EdgesReport>('load/simulated-edges', { connect: ensemble.connect, first, stride, edges, videos, stayMs, unpaced: flags['unpaced'] === true, epoch } satisfies SimulatedEdgesOptions))
    forks.push(...crowds)
    const sum = (of: (report: EdgesReport) => number) => crowds.reduce((total, { last }) => total + (last ? of(last) : 0), 0)
    for (const deadline = wallMs() + UP_MS; sum(({ up }) => up) < edges || crowds.some(({ last }) => !last); await sleep(POLL_MS)) {
      progress.step('announcing the edges', sum(({ up }) => up) / edges)
      if (wallMs() > deadline) throw new Error(`${sum(({ up }) => up)} of ${edges} edges stand in the registry after ${UP_MS / 1000} s`)
    }

    progress.step('starting a gateway\'s and a dispatcher\'s view')
    const reader = async (part: ReaderOptions['part']) => {
      const fork = new Fork<ReaderReady | ReaderReport>('load/registry-reader', { part, connect: ensemble.connect, videos, startedAt: wallMs(), epoch } satisfies ReaderOptions)
      forks.push(fork)
      const { readyMs, readyCpuMs } = (await fork.next(READY_MS)) as ReaderReady
      const report = async () => {
        fork.tell('report')
        return (await fork.next(READY_MS)) as ReaderReport
      }
      return { pid: fork.pid, readyMs, readyCpuMs, report }
    }
    // One after the other: each has the machine as a newcomer would.
    const gateway = await reader('gateway')
    const dispatcher = await reader('dispatcher')
    await waitUntil(wallMs() + WARM_MS, share => progress.step('warming up', share))

    const look = async () => {
      const reports = { gateway: await gateway.report(), dispatcher: await dispatcher.report() }
      const pids = { zookeeper: ensemble.members.map(({ pid }) => pid ?? 0), gateway: [gateway.pid], dispatcher: [dispatcher.pid], edges: crowds.map(({ pid }) => pid) }
      const cpu = Object.fromEntries(Object.entries(pids).map(([name, all]) => [name, all.reduce((seconds, pid) => seconds + processorUse(pid).seconds, 0)])) as unknown as Outcome['cores']
      return { at: wallMs(), reports, cpu, written: sum(({ bytesWritten }) => bytesWritten), listBytes: sum(({ listBytes }) => listBytes), deltaBytes: sum(({ deltaBytes }) => deltaBytes), lists: sum(({ lists }) => lists), transactions: Math.max(...(await Promise.all(servers.map(({ host, port }) => transactions(host, port))))) }
    }
    const from = await look()
    await waitUntil(from.at + flags.duration * 1000, share => progress.step('measuring', share))
    const to = await look()

    const seconds = (to.at - from.at) / 1000
    const cores = (name: keyof Outcome['cores']) => (to.cpu[name] - from.cpu[name]) / seconds
    const { gateway: g, dispatcher: d } = to.reports
    return {
      edges,
      videos: sum(({ held }) => held),
      zookeepers,
      viewers: sum(({ viewers }) => viewers),
      writesPerSecond: (to.transactions - from.transactions) / seconds,
      writtenBytesPerSecond: (to.written - from.written) / seconds,
      largestListBytes: Math.max(...crowds.map(({ last }) => last!.mostBytes)),
      listBytes: (to.listBytes - from.listBytes) / (to.lists - from.lists),
      deltaBytes: (to.deltaBytes - from.deltaBytes) / (to.lists - from.lists),
      readBytesPerSecond: g.bytesRead / seconds,
      changesPerSecond: g.changes / seconds,
      staleMs: { gateway: g.staleMs, dispatcher: d.staleMs },
      cores: { zookeeper: cores('zookeeper'), gateway: cores('gateway'), dispatcher: cores('dispatcher'), edges: cores('edges') },
      viewBytes: { gateway: g.viewBytes, dispatcher: d.viewBytes },
      liveBytes: { gateway: g.liveBytes, dispatcher: d.liveBytes },
      readyMs: { gateway: gateway.readyMs, dispatcher: dispatcher.readyMs },
      readyCpuMs: { gateway: gateway.readyCpuMs, dispatcher: dispatcher.readyCpuMs },
      placementMs: g.placementMs,
      complete: g.edges === edges && d.edges === edges,
    }
  } finally {
    await Promise.all(forks.map(fork => fork.stop()))
    await ensemble.stop(STOP_MS)
    guard.close()
    folder.remove()
    progress.end()
  }
}

/** Writes that a server has seen so far: those since the last election. */
async function transactions(host: string, port: number): Promise<number> {
  const zxid = /^Zxid: 0x([0-9a-f]+)$/m.exec(await ask(host, port, 'srvr'))?.[1] ?? '0'
  return Number(BigInt(`0x${zxid}`) & 0xffffffffn)
}

function outcomeTable(outcomes: readonly Outcome[]): string {
  const right = (head: string) => ({ head, align: 'right' as const })
  const kb = (bytes: number) => number(Math.round(bytes / 1024))
  const mb = (bytes: number) => number(Math.round(bytes / 2 ** 20))
  const share = (cores: number) => `${(100 * cores).toFixed(1)}%`
  const us = (value: number | undefined) => (value === undefined ? '-' : number(Math.round(value * 1000)))
  return table(
    [right('edges'), right('videos'), right('viewers'), right('writes/s'), right('KB/s written'), right('KB/s a reader'), right('list KB'), right('delta KB'), right('stale p50 ms'), right('p99'), right('core: ZooKeeper'), right('gateway'), right('dispatcher'), right('view MB'), right('live'), right('ready s'), right('of a core'), right('place p50 µs'), right('p99')],
    outcomes.map(o => [
      number(o.edges), number(o.videos), number(o.viewers), number(Math.round(o.writesPerSecond)), kb(o.writtenBytesPerSecond), kb(o.readBytesPerSecond), (o.listBytes / 1024).toFixed(1), (o.deltaBytes / 1024).toFixed(1),
      ms(o.staleMs.gateway?.p50), ms(o.staleMs.gateway?.p99), share(o.cores.zookeeper), share(o.cores.gateway), share(o.cores.dispatcher), mb(o.viewBytes.gateway), mb(o.liveBytes.gateway),
      (o.readyMs.gateway / 1000).toFixed(1), (o.readyCpuMs.gateway / 1000).toFixed(1), us(o.placementMs?.p50), us(o.placementMs?.p99),
    ]),
    false,
  ) + outcomes.filter(({ complete }) => !complete).map(({ edges }) => `FAILED: a view did not show all of ${number(edges)} edges.\n`).join('')
}

/** Checks a list such as 10,100,1000. */
function sizes(text: string): string {
  if (!/^[1-9][0-9]{0,4}(,[1-9][0-9]{0,4})*$/.test(text)) throw new InvalidArgumentError('It must be whole numbers above 0, separated by commas.')
  return text
}
