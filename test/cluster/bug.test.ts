import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

/** Makes every process throw where nobody catches it, when it is told to. */
const PLANTED = `data:text/javascript,process.on('SIGUSR2',()=>{throw%20new%20Error('planted')})`

t.test('an error that is a bug ends its process, with the stack in its log; it is started again and nothing is lost', async t => {
  const cluster = await startCluster(t, ['--edges', '2'], { env: { NODE_OPTIONS: `--import=${PLANTED}` } })
  const said = [await cluster.say('demo', 'first')]
  const viewer = await watchReady(t, cluster.stream('demo', '?recent=10'))
  for (const id of ['dispatcher-1', 'edge-1', 'edge-2']) {
    const pid = cluster.kill(id, 'SIGUSR2')
    said.push(await cluster.say('demo', `while ${id} is down`))
    await cluster.again(id, pid)
    t.match(cluster.output, `${id} ended with status 70; restarting it`)
    const bug = readFileSync(join(cluster.data, 'logs', `${id}.log`), 'utf8').split('\n').find(line => line.includes('"event":"bug"'))
    t.match(JSON.parse(bug ?? '{}'), { level: 'fatal', err: { message: 'planted', stack: /Error: planted\n.*at / } })
  }
  said.push(await cluster.say('demo', 'last'))
  await until(() => viewer.ids.length >= said.length, { what: 'the viewer has all' })
  t.same(viewer.ids, said.map(({ id }) => id), 'each once, in order, on one connection')
  t.notOk(viewer.isClosed)
})
