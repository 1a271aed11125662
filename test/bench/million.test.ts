import t from 'tap'
import { millionChart } from '../../bench/million.js'

const delivery = (number: number, lastMs: number, afterDeath = false) => ({ number, viewers: 500_000, have: 500_000, afterDeath, ms: { p50: lastMs / 2, p99: lastMs, p999: lastMs, max: lastMs }, lastMs, cpuSeconds: 5 })

t.test('the picture has each comment\'s time to half of the viewers and to the last, beside the bare loop\'s for as many', async t => {
  const chart = millionChart({ viewers: 500_000, gateways: 28, deliveries: [delivery(1, 4_000), delivery(2, 20_000, true), { ...delivery(3, 90_000), ms: undefined }], bare: { viewers: 20_000, lastMs: 100, deliveryUs: 5 } })
  t.match(chart, {
    title: { text: '500,000 viewers of one video on one machine', subtext: /^through 28 gateways; / },
    yAxis: { data: ['comment 1', 'comment 2,\nits edge was killed', 'comment 3', /^a bare write loop/] },
    series: [
      { name: 'half of them', data: [2, 10, '-', '-'] },
      { name: 'the last one', data: [4, 20, 90, 2.5] },
    ],
  })
})
