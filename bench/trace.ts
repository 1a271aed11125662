import { once } from 'node:events'
import { Agent, get, type IncomingMessage } from 'node:http'
import type { EChartsOption } from 'echarts'
import { table } from '../cli/table.js'
import { Collector, type CollectedSpan } from '../test/support/collector.js'
import { until } from '../test/support/until.js'
import { count, positive } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { waitUntil } from './run.js'
import { wallMs } from './load/schedule.js'
import { LiveSystem } from './systems/live.js'

/** From the first to the last, as they follow each other. */
const STEPS = ['post', 'store', 'forward', 'flush', 'fan-out'] as const
type Step = (typeof STEPS)[number]
const VIDEO = 'trace'
/** Comments before those that count: code is compiled meanwhile. */
const WARM_UP = 20

interface Timing {
  readonly step: Step
  /** From the request's arrival, ms. */
  readonly start: number
  readonly end: number
}

/** One comment's way, step by step, by the parts' own traces. */
export const trace: Benchmark = {
  name: 'trace',
  question: 'where does a comment\'s time go, from the post to the last viewer?',
  flags: command =>
    command
      .option('--viewers <count>', 'viewers of the video', count, 1_000)
      .option('--rate <per-second>', 'comments a second', positive, 5),
  async run(flags, progress) {
    const [viewers, rate] = [numberOf(flags, 'viewers'), numberOf(flags, 'rate')]
    progress.title(`a comment's way to ${viewers} viewers`)
    progress.step('starting a cluster')
    const collector = await Collector.start()
    await using system = await LiveSystem.start({ via: 'gateway', env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_TRACES_SAMPLER_ARG: '1' } })
    const gateway = system.cluster.url
    progress.step('viewers come')
    const agent = new Agent({ maxSockets: Infinity })
    const streams = await Promise.all(Array.from({ length: viewers }, () => watch(`${gateway}/comments/${VIDEO}`, agent)))
    const comments = Math.ceil(flags.duration * rate)
    const ids: string[] = []
    for (let i = 0; i < WARM_UP + comments; i++) {
      const response = await fetch(`${gateway}/comments/${VIDEO}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ content: `comment ${i}` }) })
      const { id } = (await response.json()) as { id: string }
      if (i >= WARM_UP) ids.push(id)
      await waitUntil(wallMs() + 1_000 / rate, () => progress.step('posting', i / (WARM_UP + comments)))
    }
    progress.step('waiting for spans')
    const spansOf = (id: string) => collector.spans.filter(({ attributes }) => attributes.some(({ key, value }) => key === 'live.entry' && value.stringValue === id))
    await until(() => ids.every(id => spansOf(id).length === STEPS.length), { what: 'every comment has its spans' })
    for (const stream of streams) stream.destroy()
    agent.destroy()
    collector.close()
    progress.end()
    const traces = ids.map(id => timings(spansOf(id)))
    const medians = STEPS.map((step, i): Timing => ({ step, start: median(traces.map(each => each[i]!.start)), end: median(traces.map(each => each[i]!.end)) }))
    return {
      text: table(
        [{ head: 'step' }, { head: 'begins, ms', align: 'right' }, { head: 'ends, ms', align: 'right' }, { head: 'takes, ms', align: 'right' }],
        medians.map(({ step, start, end }) => [step, start.toFixed(1), end.toFixed(1), (end - start).toFixed(1)]),
        false,
      ),
      runs: medians,
      chart: waterfall(`A comment's way to ${viewers.toLocaleString('en-US')} viewers`, `medians of ${ids.length} traced comments, ${rate} a second`, medians),
      correct: true,
    }
  },
}

async function watch(url: string, agent: Agent): Promise<IncomingMessage> {
  const [response] = (await once(get(url, { agent, headers: { accept: 'text/event-stream' } }), 'response')) as [IncomingMessage]
  response.resume()
  await once(response, 'data')
  return response
}

function timings(spans: readonly CollectedSpan[]): Timing[] {
  const at = (nanoseconds: string) => Number(BigInt(nanoseconds) / 1_000n) / 1_000
  const of = (step: Step) => spans.find(({ name }) => name === step)!
  const began = at(of('post').startTimeUnixNano)
  return STEPS.map(step => ({ step, start: at(of(step).startTimeUnixNano) - began, end: at(of(step).endTimeUnixNano) - began }))
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!
}

function waterfall(title: string, subtitle: string, rows: readonly Timing[]): EChartsOption {
  const round = (value: number) => Math.round(value * 10) / 10
  return {
    title: { text: title, subtext: subtitle, left: 'center' },
    grid: { left: 20, right: 60, top: 80, bottom: 40, containLabel: true },
    xAxis: { type: 'value', name: 'ms after the request came', nameLocation: 'middle', nameGap: 28 },
    yAxis: { type: 'category', inverse: true, data: rows.map(({ step }) => step) },
    series: [
      { type: 'bar', stack: 'time', silent: true, itemStyle: { color: 'transparent' }, data: rows.map(({ start }) => round(start)) },
      { type: 'bar', stack: 'time', data: rows.map(({ start, end }) => round(end - start)), label: { show: true, position: 'right', formatter: ({ value }) => `${Number(value)} ms` } },
    ],
  }
}
