import { getHeapStatistics } from 'node:v8'
import type { Command } from 'commander'
import { PRICES } from '../cli/plan/measured.js'
import { Random } from '../test/support/random.js'
import { count, positive } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { wholeChart, wholeText } from './simulation/report.js'
import { billOf, fewestGateways, GOAL_MS } from './simulation/moment.js'
import { impossible, SMALL, WHOLE, type Scenario } from './simulation/scenario.js'
import { compareWithMeasured } from './simulation/validation.js'
import { simulateWhole } from './simulation/whole.js'

/** A flag of a Scenario's field. */
interface Field {
  readonly name: keyof Scenario
  readonly flag: string
  readonly what: string
}

const FIELDS: readonly Field[] = [
  { name: 'edges', flag: 'edges', what: 'edges' },
  { name: 'dispatchers', flag: 'dispatchers', what: 'dispatchers' },
  { name: 'gateways', flag: 'gateways', what: 'gateways' },
  { name: 'zones', flag: 'zones', what: 'availability zones, of which one is lost' },
  { name: 'videos', flag: 'videos', what: 'videos that somebody watches' },
  { name: 'viewers', flag: 'viewers', what: 'viewers of all videos' },
  { name: 'crowd', flag: 'crowd', what: 'of them, viewers of the video that grows' },
  { name: 'growSeconds', flag: 'grow', what: 'time in which it grows, s' },
  { name: 'rate', flag: 'rate', what: 'its comments a second; the other videos have theirs in proportion' },
  { name: 'edgeCapacity', flag: 'edge-capacity', what: 'EDGE_CAPACITY' },
  { name: 'videoShare', flag: 'video-share', what: 'EDGE_VIDEO_SHARE' },
  { name: 'joinRate', flag: 'join-rate', what: 'JOIN_RATE of a gateway' },
  { name: 'staySeconds', flag: 'stay', what: 'time for which a viewer of another video stays on average, s' },
  { name: 'sampled', flag: 'sampled', what: 'gateways whose viewers are simulated as comments are delivered; the others are alike' },
  { name: 'parcel', flag: 'parcel', what: 'viewers that are simulated as one as comments are delivered' },
  { name: 'seed', flag: 'seed', what: 'of the random choices' },
]

export const simulate: Benchmark = {
  name: 'simulate',
  question: 'how does a cluster of 1,000 edges and 10,000,000 viewers cope when one video grows and a zone is lost? (simulated: it starts nothing)',
  flags: command => {
    command.option('--small', 'a cluster that takes seconds')
    for (const { name, flag, what } of FIELDS) command.option(`--${flag} <count>`, `${what} (${WHOLE[name].toLocaleString('en-US')}; with --small ${SMALL[name].toLocaleString('en-US')})`, count)
    return command
      .option('--machine-cores <count>', 'cores of a machine', count, 16)
      .option('--core-hour <dollars>', 'price of a core for an hour', positive, PRICES.coreHour.dollars)
      .option('--gb-egress <dollars>', 'price of a GB to the public', positive, PRICES.gbEgress.dollars)
      .option('--gb-zone <dollars>', 'price of a GB between zones', positive, PRICES.gbZone.dollars)
      .hook('preAction', (_, action) => refuse(action))
  },
  async run(flags, progress) {
    const scenario = scenarioOf(flags)
    const prices = { coreHour: numberOf(flags, 'coreHour'), gbEgress: numberOf(flags, 'gbEgress'), gbZone: numberOf(flags, 'gbZone') }
    const machineCores = numberOf(flags, 'machineCores')
    progress.title(`${scenario.edges} edges, ${scenario.viewers.toLocaleString('en-US')} viewers`)
    const whole = await simulateWhole(scenario, { progress: (step, share) => progress.step(step, share), others: true })
    const ours = whole.outcomes[0]!
    progress.step(`the fewest gateways for ${GOAL_MS} ms`)
    const fewest = await fewestGateways(scenario, ours.peak.load, new Random(scenario.seed).next)
    progress.step('the model beside measured runs')
    const comparisons = await compareWithMeasured()
    progress.end()
    const correct = whole.faults.length === 0 && whole.placed.allBack && ours.peak.delivered.complete && ours.after.delivered.complete && whole.loss.delivered.complete
    return { text: wholeText(whole, fewest, comparisons, machineCores, prices), runs: [{ ...inFigures(whole), fewest, bill: billOf(ours.peak, machineCores, prices), prices, comparisons }], chart: wholeChart(whole), correct }
  },
}

function scenarioOf(flags: Readonly<Record<string, unknown>>): Scenario {
  const given = FIELDS.map(({ name, flag }) => [name, flags[camelCase(flag)]] as const).filter(([, value]) => value !== undefined)
  return { ...(flags['small'] === true ? SMALL : WHOLE), ...Object.fromEntries(given) }
}

/** Ends the command with status 2 where the scenario cannot be. */
function refuse(command: Command): void {
  const why = impossible(scenarioOf(command.opts()), getHeapStatistics().heap_size_limit)
  if (why !== undefined) command.error(`error: ${why}`, { exitCode: 2 })
}

function inFigures({ outcomes, loss, placed, ...whole }: Awaited<ReturnType<typeof simulateWhole>>): object {
  const moment = ({ load, delivered, cores, busiest }: (typeof outcomes)[number]['peak']) => ({
    viewers: load.viewers, holders: load.crowd.size, fullest: load.fullest, edgesOfVideo: load.edgesOfVideo, holdings: load.holdings, egressBytes: load.egressBytes, zoneBytes: load.zoneBytes,
    latencyMs: delivered.ms, complete: delivered.complete, inFlight: delivered.inFlight, commentsAWrite: delivered.commentsAWrite, deliveries: delivered.deliveries, cores, busiest,
  })
  const { back, liveEdges, liveGateways, seconds: _inThePicture, ...figures } = placed
  const backMs = { edges: [0.5, 0.99, 1].map(q => back.edges.quantile(q)), gateways: [0.5, 0.99, 1].map(q => back.gateways.quantile(q)) }
  return { ...whole, placed: { ...figures, liveEdges: liveEdges.length, liveGateways: liveGateways.length, backMs }, outcomes: outcomes.map(({ way, peak, after, moved }) => ({ way, moved, peak: moment(peak), after: moment(after) })), loss: moment(loss) }
}

function camelCase(flag: string): string {
  return flag.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}
