import { readdirSync } from 'node:fs'
import { number, table } from '../cli/table.js'
import { count, countOrNone } from './arguments.js'
import { numberOf, type Benchmark, type Flags } from './benchmark.js'
import { workOf } from './fanout.js'
import { Attackers } from './load/attackers.js'
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

export const attack: Benchmark = {
  name: 'attack',
  question: 'what do other viewers notice of thousands of malicious connections?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers that read', count, 300)
      .option('--rate <count>', 'comments per second', count, 50)
      .option('--headers <count>', 'connections that send one byte of a header per second', countOrNone, 5_000)
      .option('--bodies <count>', 'connections that send one byte of a body per second', countOrNone, 1_000)
      .option('--deaf <count>', 'viewers that never read', countOrNone, 1_000)
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
}

async function attackOnce(flags: Flags, progress: Progress, attacked: boolean): Promise<Run> {
  const given = (name: string) => numberOf(flags, name)
  progress.title(attacked ? `the same beside ${given('headers')} slow headers, ${given('bodies')} slow bodies, ${given('deaf')} viewers that never read, ${given('flood')} connections a second` : `${given('viewers')} viewers, ${given('rate')} comments/s`)
  progress.step('starting a cluster')
  await using system = await LiveSystem.start({
    via: 'gateway',
    profile: flags.profile,
    // Set, so that the limits hold for this machine too.
    env: { CONNECTIONS_PER_ADDRESS: String(given('connections')), STREAMS_PER_ADDRESS: '1000', POST_RATE_LIMIT_PER_ADDRESS: String(given('rate') * 2) },
  })
  const gateway = system.cluster.record().gateways[0]!
  const { host, port } = system.streams[0]!
  const most = { descriptors: 0, memoryBytes: 0, kernelMemoryBytes: 0, held: 0 }
  const attackers = attacked ? new Attackers({ host, port, sources: SOURCES, floodSource: FLOOD_SOURCE, headers: given('headers'), bodies: given('bodies'), deaf: given('deaf'), floodRate: given('flood'), videos: 1 }) : undefined
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
    const outcome = await fanOut(system, workOf(flags, { viewers: given('viewers'), rate: given('rate') }), progress)
    const refused: Record<string, number> = {}
    for (const kind of ['connections_per_address', 'descriptors', 'streams_per_address', 'posts_per_address']) refused[kind] = await system.cluster.metric(gateway.id, `live_gateway_refused_total{kind="${kind}"}`)
    return { attacked, outcome, descriptorLimit: descriptorLimit(), refused, opened: attackers?.get('opened') ?? 0, closed: attackers?.get('closed') ?? 0, ...most }
  } finally {
    clearInterval(sampling)
    await attackers?.close()
  }
}

function textOf(runs: readonly Run[]): string {
  const ms = (value: number | undefined) => value?.toFixed(1) ?? '-'
  const mb = (bytes: number) => (bytes / MEGABYTE).toFixed(0)
  const right = (head: string) => ({ head, align: 'right' as const })
  const rows = runs.map(({ attacked, outcome: { latencyMs, postLatencyMs, correct, faults, refused, firstError }, descriptors, memoryBytes, kernelMemoryBytes, held, opened, refused: kept }) => [
    attacked ? 'under attack' : 'quiet',
    ...[latencyMs?.p50, latencyMs?.p99, latencyMs?.max, postLatencyMs?.p50, postLatencyMs?.p99, postLatencyMs?.max].map(ms),
    correct ? 'nothing' : (firstError ?? JSON.stringify({ ...faults, refused })),
    mb(memoryBytes),
    number(descriptors),
    mb(kernelMemoryBytes),
    number(held),
    number(opened),
    number(Object.values(kept).reduce((sum, each) => sum + each, 0)),
  ])
  const columns = [{ head: '' }, right('viewers p50 ms'), right('p99'), right('max'), right('posts p50 ms'), right('p99'), right('max'), { head: 'lost' }, right('gateway MB'), right('descriptors'), right('TCP MB'), right('held'), right('opened'), right('refused')]
  const kinds = Object.entries(runs.at(-1)!.refused).filter(([, times]) => times > 0).map(([kind, times]) => `${kind} ${number(times)}`).join(', ')
  return `${table(columns, rows, false)}Of ${number(runs[0]!.descriptorLimit)} descriptors. Refused: ${kinds || 'nobody'}.\n`
}
