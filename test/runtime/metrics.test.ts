import { readFileSync } from 'node:fs'
import t from 'tap'
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
