import { number, table } from '../table.js'
import { MEASURED, PRICES, USED_SHARE } from './measured.js'
import type { Plan } from './plan.js'

/** A plan for people. @param sources also says where each figure is from */
export function planText({ demand, needs, cores, egressBits, registryBytes, storedGbPerDay, dollarsPerHour, dollarsPerMillionViewerHours, remarks }: Plan, sources: boolean, colour: boolean): string {
  const { viewers, rate, videos, gzip, coreHour, gbEgress } = demand
  const right = (head: string) => ({ head, align: 'right' as const })
  const rows = needs.map(({ part, count, cores, limit }) => [part, number(count), cores.toFixed(1), limit])
  const perGateway = egressBits / needs.find(({ part }) => part === 'gateway')!.count
  const lines = [
    `${number(viewers)} viewers, ${number(rate)} comments a second, ${number(videos)} ${videos === 1 ? 'video' : 'videos'}:`,
    '',
    table([{ head: 'PART' }, right('PROCESSES'), right('CORES USED'), { head: 'WHAT LIMITS THEM' }], rows, colour).trimEnd(),
    '',
    `${number(cores)} cores to buy: used at ${100 * USED_SHARE}%, so that the others carry what one leaves. A process uses one at most.`,
    `${bits(egressBits)} to viewers${gzip ? ', compressed' : ''}; ${bits(perGateway)} a gateway.`,
    `${number(Math.round(registryBytes / 1024))} KB/s of the registry to each gateway and dispatcher at most.`,
    `${storedGbPerDay.toFixed(1)} GB of comments a day.`,
    `$${dollarsPerHour.toFixed(2)} an hour; $${dollarsPerMillionViewerHours.toFixed(2)} a million viewer-hours, at $${coreHour} a core-hour and $${gbEgress} a GB to the public: assumed where --core-hour and --gb-egress do not say.`,
    ...remarks.map(remark => `Note: ${remark}`),
    ...(sources ? ['', 'Counted with:', ...Object.entries(MEASURED).map(([name, { value, source }]) => `  ${name} ${number(value)}: ${source}`), `  coreHour ${PRICES.coreHour.dollars}: ${PRICES.coreHour.source}`, `  gbEgress ${PRICES.gbEgress.dollars}: ${PRICES.gbEgress.source}`] : ['plan --sources says where each figure was measured.']),
  ]
  return `${lines.join('\n')}\n`
}

function bits(value: number): string {
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)} Gbit/s`
  return `${(value / 1e6).toFixed(1)} Mbit/s`
}
