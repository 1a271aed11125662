import { readFileSync } from 'node:fs'
import t from 'tap'
import { LoopDelay } from '../../runtime/loop-delay.js'
import { createMetrics } from '../../runtime/metrics.js'
import { VERSION } from '../../runtime/version.js'

t.test('the version of the software and of Node is a metric', async t => {
  t.match(await createMetrics().metrics(), `live_build_info{version="${VERSION}",node="${process.versions.node}"} 1`)
})

t.test('the kernel\'s tcp_notsent_lowat is a metric, where the kernel is Linux', async t => {
  const text = await createMetrics().metrics()
  if (process.platform !== 'linux') return t.notMatch(text, 'live_tcp_notsent_lowat_bytes')
  const set = readFileSync('/proc/sys/net/ipv4/tcp_notsent_lowat', 'utf8').trim()
  t.match(text, new RegExp(`^live_tcp_notsent_lowat_bytes ${set}$`, 'm'))
})

t.test('the event loop\'s delay is what ticks were late by since the last scrape', async t => {
  const register = createMetrics()
  t.notMatch(await register.metrics(), 'eventloop_lag', 'nothing looks by a timer of its own')
  const delay = new LoopDelay(register)
  for (let i = 0; i < 99; i++) delay.record(1)
  delay.record(500)
  const read = async (name: string) => Number(new RegExp(`^nodejs_eventloop_lag_${name}_seconds (.*)$`, 'm').exec(await register.metrics())![1])
  const text = await register.metrics()
  t.match(text, /^nodejs_eventloop_lag_p50_seconds 0\.00(0999|1)/m)
  t.match(text, /^nodejs_eventloop_lag_max_seconds 0\.(499|50)/m)
  delay.record(20)
  t.ok(await read('max') < 0.03, 'a scrape begins anew')
})
