import { writeFileSync } from 'node:fs'
import { init, type EChartsOption } from 'echarts'

const WIDTH = 900
const HEIGHT = 480

/** Draws without a browser: an SVG file. */
export function writeChart(file: string, option: EChartsOption): void {
  const chart = init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT })
  chart.setOption({ animation: false, backgroundColor: '#fff', textStyle: { fontFamily: 'system-ui, sans-serif' }, ...option })
  writeFileSync(file, chart.renderToSVGString())
  chart.dispose()
}

/** Bars of one value a system, longest first where that is best. */
export function bars(title: string, subtitle: string, rows: readonly { readonly name: string; readonly value: number }[]): EChartsOption {
  return {
    title: { text: title, subtext: subtitle, left: 'center' },
    grid: { left: 20, right: 90, top: 80, bottom: 20, containLabel: true },
    xAxis: { type: 'value' },
    yAxis: { type: 'category', inverse: true, data: rows.map(({ name }) => name) },
    series: [
      {
        type: 'bar',
        data: rows.map(({ value }) => Math.round(value)),
        label: { show: true, position: 'right', formatter: ({ value }) => Number(value).toLocaleString('en-US') },
      },
    ],
  }
}

export interface Line {
  readonly name: string
  readonly points: readonly (readonly [number, number])[]
}

/** Lines over a logarithmic axis. */
export function lines(title: string, xName: string, yName: string, series: readonly Line[]): EChartsOption {
  return {
    title: { text: title, left: 'center' },
    legend: { bottom: 0, itemGap: 24 },
    grid: { left: 20, right: 40, top: 60, bottom: 80, containLabel: true },
    xAxis: { type: 'log', name: xName, nameLocation: 'middle', nameGap: 28 },
    yAxis: { type: 'log', name: yName },
    series: series.map(({ name, points }) => ({ type: 'line', name, data: points.map(([x, y]) => [x, y]) })),
  }
}
