import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { sawEverything } from '../support/delivered.js'
import { Poster } from '../support/poster.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(230_000)

/** Makes every process throw where nobody catches it, when it is told to. */
const PLANTED = `data:text/javascript,process.on('SIGUSR2',()=>{throw%20new%20Error('planted')})`

t.test('parts end under viewers and posts, and nothing is lost', async t => {
  const cluster = await startCluster(t, ['--edges', '2'], { env: { NODE_OPTIONS: `--import=${PLANTED}` } })
  /** The edge that holds the video, once the registry says so. */
  const holder = (video: string) =>
    until(async () => {
      const { status, stdout } = await cluster.registry('video', video, '--json')
      return status === 0 ? (JSON.parse(stdout) as { edges: { id: string }[] }).edges[0]?.id : undefined
    }, { what: `an edge holds ${video}` })

  await t.test('an error that is a bug ends its process, with the stack in its log; it is started again and nothing is lost', async t => {
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

  await t.test('an edge is killed and its viewers are relayed on: no stream closes, none misses or repeats', async t => {
    const viewers = await Promise.all(Array.from({ length: 20 }, () => watchReady(t, cluster.stream('kill'))))
    const poster = new Poster(cluster, 'kill')
    t.after(() => poster.stop())
    await until(() => poster.acknowledged.length > 10)

    const first = await holder('kill')
    const pid = cluster.kill(first)
    const before = poster.acknowledged.length
    await until(() => viewers.every(viewer => viewer.ids.length > before + 20 || viewer.isClosed), { what: 'every viewer goes on' })
    await cluster.again(first, pid)

    // Once more, now that there is an edge that came back.
    const second = await until(async () => [await holder('kill')].find(id => id !== first))
    const then = poster.acknowledged.length
    const other = cluster.kill(second)
    await until(() => viewers.every(viewer => viewer.ids.length > then + 20 || viewer.isClosed), { what: 'every viewer goes on again' })
    await poster.stop()
    t.same(poster.refused, [], 'posts went on')
    await sawEverything(t, cluster, 'kill', viewers)
    await cluster.again(second, other)
  })

  await t.test('a frozen edge is left by its viewers, and ended by the watchdog', async t => {
    const viewers = await Promise.all(Array.from({ length: 5 }, () => watchReady(t, cluster.stream('frozen'))))
    const poster = new Poster(cluster, 'frozen')
    t.after(() => poster.stop())
    const frozen = await holder('frozen')
    const pid = cluster.kill(frozen, 'SIGSTOP')
    const before = poster.acknowledged.length
    await until(() => viewers.every(viewer => viewer.ids.length > before + 20 || viewer.isClosed), { what: 'every viewer goes on' })
    await cluster.again(frozen, pid)
    await poster.stop()
    t.same(poster.refused, [])
    await sawEverything(t, cluster, 'frozen', viewers)
  })

  await t.test('dispatchers are killed one after the other: posts go on and nothing is missed', async t => {
    // Several videos, so that each dispatcher owns some.
    const videos = ['a', 'b', 'c', 'd']
    const viewers = await Promise.all(videos.map(video => Promise.all(Array.from({ length: 3 }, () => watchReady(t, cluster.stream(video))))))
    const posters = videos.map(video => new Poster(cluster, video))
    t.after(() => Promise.all(posters.map(poster => poster.stop())))
    for (const id of ['dispatcher-1', 'dispatcher-2']) {
      const before = posters.map(poster => poster.acknowledged.length)
      const pid = cluster.kill(id)
      await until(() => posters.every((poster, i) => poster.acknowledged.length > before[i]! + 20), { what: 'posts go on' })
      await cluster.again(id, pid)
    }
    await Promise.all(posters.map(poster => poster.stop()))
    for (const [i, video] of videos.entries()) {
      t.same(posters[i]!.refused, [], `posts to ${video} went on`)
      const stored = (await cluster.history(video)).map(({ id }) => id)
      t.same(stored, posters[i]!.acknowledged, `${video}: what was acknowledged is stored, once`)
      await sawEverything(t, cluster, video, viewers[i]!)
    }
  })
})
