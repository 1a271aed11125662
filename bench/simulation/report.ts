import type { EChartsOption } from 'echarts'
import { counted, number, table, type Column } from '../../cli/table.js'
import { PRICES } from '../../cli/plan/measured.js'
import { quantiles, type Histogram } from '../measure/histogram.js'
import { ms } from '../report/result-table.js'
import { billOf, GOAL_MS, type Fewest, type Moment, type Prices } from './moment.js'
import type { Comparison } from './validation.js'
import type { Whole } from './whole.js'

const right = (head: string): Column => ({ head, align: 'right' })

/** What the simulation answers, in tables and sentences. */
export function wholeText(whole: Whole, fewest: Fewest | undefined, comparisons: readonly Comparison[], machineCores: number, prices: Prices): string {
  const { scenario, placed, outcomes, loss, viewers } = whole
  const ours = outcomes[0]!
  const bill = billOf(ours.peak, machineCores, prices)
  const lines = [
    `${number(scenario.edges)} edges, ${number(scenario.dispatchers)} dispatchers, ${number(scenario.gateways)} gateways in ${scenario.zones} zones; ${number(scenario.videos)} videos, ${number(viewers)} viewers.`,
    `One video grows to ${number(scenario.crowd)} viewers in ${scenario.growSeconds} s and has ${scenario.rate} comments/s; then a zone is lost. Seed ${scenario.seed}.`,
    '',
    'Ours',
    table(
      [{ head: 'moment' }, right('viewers'), right('fullest edge'), right('its edges'), right('p50 ms'), right('p99'), right('max'), right('comments a write'), right('in flight'), right('cores: gateways'), right('edges'), right('dispatchers'), right('busiest gateway'), right('owner')],
      [momentRow('the peak', ours.peak), momentRow('5 s from the loss', loss), momentRow('all are back', ours.after)],
      false,
    ),
    `The loss takes the edges of ${number(placed.lostViewers.onEdges)} viewers, and the gateways of ${number(placed.lostViewers.onGateways)}. ${placed.allBack ? 'All are back' : 'FAILED: not all are back'}: the former after ${seconds(placed.back.edges)}, the latter after ${seconds(placed.back.gateways)} (a gateway lets in ${number(scenario.joinRate)} newcomers a second).`,
    `${number(placed.placements)} placements, ${number(placed.refused)} of them refused by a full edge; ${announced(placed.seconds)}; ${number(placed.levelled)} viewers moved to level the load; at most ${Math.max(...placed.seconds.map(({ fullest }) => fullest)).toFixed(2)} times the mean on one edge. A dispatcher owns up to ${placed.owners.fullest.toFixed(2)} times its share of the videos; ${percent(placed.owners.moved)} of them change owners.`,
    fewest ? `99 of 100 deliveries take at most ${GOAL_MS} ms at the peak with ${counted(fewest.gateways, 'gateway')}, of a core each (${ms(fewest.p99)} ms); this cluster has ${number(scenario.gateways)}.` : `${GOAL_MS} ms for 99 of 100 deliveries at the peak are not reached with twice as many gateways.`,
    `To buy: ${number(bill.cores)} cores, which are ${counted(bill.machines, 'machine')} of ${machineCores}; ${gbits(ours.peak.load.egressBytes)} to viewers, ${gbits(ours.peak.load.zoneBytes)} between zones. $${bill.dollarsPerHour < 10 ? bill.dollarsPerHour.toFixed(2) : number(Math.round(bill.dollarsPerHour))} an hour, $${bill.dollarsPerMillionViewerHours.toFixed(2)} a million viewer-hours.`,
    '',
    'Beside other ways, which differ from ours in what they name alone',
    table(
      [{ head: 'way' }, right('fullest edge'), right('edges a video'), right('moved'), right('p50 ms'), right('p99'), right('without the zone'), right('cores: gateways'), right('edges'), right('dispatchers'), right('cores to buy'), right('zones Gbit/s'), right('$/M viewer-h'), { head: 'verdict' }],
      outcomes.map(({ way, peak, after, moved }) => {
        const { cores, dollarsPerMillionViewerHours } = billOf(peak, machineCores, prices)
        return [way, times(peak.load.fullest), peak.load.edgesOfVideo.toFixed(2), number(moved.lost + moved.others), ...latencies(peak), late(after), one(peak.cores.gateways), one(peak.cores.edges), one(peak.cores.dispatchers), number(cores), ((peak.load.zoneBytes * 8) / 1e9).toFixed(1), dollarsPerMillionViewerHours.toFixed(2), verdict(peak, after)]
      }),
      false,
    ),
    'The model beside what was measured on one machine',
    table(
      [{ head: 'run' }, right('p50 ms: model'), right('measured'), right('p99: model'), right('measured'), right('last: model'), right('measured')],
      comparisons.map(({ what, model, measured }) => [what, ms(model.p50), ms(measured.p50), ms(model.p99), ms(measured.p99), ms(model.last), ms(measured.last)]),
      false,
    ),
    `Prices: $${prices.coreHour} a core-hour, $${prices.gbEgress} a GB to the public, $${prices.gbZone} a GB between zones.`,
    ...Object.entries(PRICES).map(([name, { dollars, source }]) => `  ${name} ${dollars}: ${source}`),
    ...whole.faults.map(fault => `FAILED: ${fault}`),
  ]
  return `${lines.join('\n')}\n`
}

/** The growth, the loss and the return. */
export function wholeChart({ placed, scenario }: Pick<Whole, 'placed' | 'scenario'>): EChartsOption {
  const line = (name: string, yAxisIndex: number, value: (second: Whole['placed']['seconds'][number]) => number) => ({ type: 'line' as const, name, yAxisIndex, showSymbol: false, data: placed.seconds.map(second => [second.at, value(second)]) })
  return {
    title: { text: `A video grows to ${number(scenario.crowd)} viewers; one of ${scenario.zones} zones is lost`, subtext: `${number(scenario.edges)} edges, ${number(scenario.gateways)} gateways, ${number(scenario.videos)} videos, simulated`, left: 'center' },
    legend: { bottom: 0 },
    grid: { left: 20, right: 40, top: 80, bottom: 60, containLabel: true },
    xAxis: { type: 'value', name: 's', max: 'dataMax' },
    yAxis: [
      { type: 'value', name: 'viewers on an edge, millions', nameTextStyle: { align: 'left' } },
      { type: 'value', name: 'fullest edge / mean', nameTextStyle: { align: 'right' }, splitLine: { show: false } },
    ],
    series: [line('all videos', 0, ({ viewers }) => viewers / 1e6), line('the growing video', 0, ({ crowd }) => crowd / 1e6), line('fullest edge / mean', 1, ({ fullest }) => fullest)],
  }
}

function momentRow(name: string, moment: Moment): string[] {
  const { load, delivered, cores, busiest } = moment
  return [name, number(load.viewers), times(load.fullest), number(load.crowd.size), ...latencies(moment), delivered.complete ? ms(delivered.ms?.max) : '-', delivered.commentsAWrite.toFixed(1), number(delivered.inFlight), one(cores.gateways), one(cores.edges), one(cores.dispatchers), percent(busiest.gateway), percent(busiest.dispatcher)]
}

function latencies({ delivered }: Moment): string[] {
  return [delivered.complete ? ms(delivered.ms?.p50) : '-', delivered.complete ? ms(delivered.ms?.p99) : '-']
}

function late({ delivered }: Moment): string {
  return delivered.complete ? ms(delivered.ms?.p99) : '-'
}

function verdict(peak: Moment, after: Moment): string {
  if (!peak.delivered.complete) return 'does not keep up'
  if (!after.delivered.complete) return 'does not keep up without the zone'
  const worst = Math.max(peak.delivered.ms!.p99, after.delivered.ms!.p99)
  return worst <= GOAL_MS ? `within ${GOAL_MS} ms` : `beyond ${GOAL_MS} ms`
}

function announced(seconds: Whole['placed']['seconds']): string {
  const counts = seconds.map(({ announcements }) => announcements)
  return `edges announced themselves ${number(Math.round(counts.reduce((sum, count) => sum + count, 0) / counts.length))} times a second, at most ${number(Math.max(...counts))}`
}

function seconds(histogram: Histogram): string {
  const all = quantiles(histogram)
  return all ? `${(all.p50 / 1000).toFixed(1)} s (p50), ${(all.p99 / 1000).toFixed(1)} s (p99), ${(all.max / 1000).toFixed(1)} s` : '-'
}

function times(value: number): string {
  return value >= 100 ? number(Math.round(value)) : value.toFixed(2)
}

function one(value: number): string {
  return number(Number(value.toFixed(1)))
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)}%`
}

function gbits(bytes: number): string {
  return `${((bytes * 8) / 1e9).toFixed(1)} Gbit/s`
}
