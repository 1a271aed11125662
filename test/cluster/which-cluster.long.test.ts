import { mkdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import t from 'tap'
import { clusterIdentity, identifyCluster } from '../../registry/cluster-identity.js'
import type { HeadcountRow } from '../../cli/expect.js'
import { expectedNodes } from '../../registry/expected-nodes.js'
import { startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { operate } from '../support/operator.js'
import { openZk } from '../support/zookeeper.js'

t.setTimeout(230_000)

const SMALL = ['--edges', '1', '--dispatchers', '1', '--watchdog', '0']
const chroot = (cluster: Cluster) => cluster.record().zookeeper[0]!.url!.replace(/^[^/]+/, '')

t.test('a cluster has a registry of its own, and a name by which operators are told which one they change', async t => {
  const data = tempFolder(t)
  const cluster = await startCluster(t, SMALL, { data, env: { npm_lifecycle_event: 'start' } })
  const { id, name } = cluster.record().cluster!
  t.equal(name, basename(data))
  t.equal(chroot(cluster), `/live-comments-${id}`)
  t.match(cluster.output, new RegExp(`^cluster +${name}, 127\\.0\\.0\\.1:\\d+/live-comments-${id}$`, 'm'))
  t.match(cluster.output, `npm run registry -- videos --data ${data}`)
  const drained = await operate(['drain', 'edge-1', '--data', data, '--json'])
  t.same([drained.status, drained.stderr], [0, `cluster ${name} (${id}) at ${cluster.record().zookeeper[0]!.url} (from ${data}/cluster.json)\n`])
  t.equal((await operate(['undrain', 'edge-1', '--data', data])).status, 0)
  t.match((await operate(['doctor', '--data', data])).stdout, `Cluster ${name} (${id}).`, 'its token is found there too')

  await t.test('one that joins a registry leaves it the name that it has', async t => {
    const connect = `${cluster.record().zookeeper[0]!.url!.replace(/\/.*/, '')}/shared`
    const zk = await openZk(t, connect)
    await identifyCluster(zk, { id: 'ours', name: 'production' })
    const guest = await startCluster(t, [...SMALL, '--zookeeper', connect])
    t.same(guest.record().cluster, { id: 'ours', name: 'production' })
    t.match(guest.output, new RegExp(`^cluster +joined: production, ${connect}$`, 'm'))
    t.same(await clusterIdentity(zk), { id: 'ours', name: 'production' })
    t.same(await expectedNodes(zk), {}, 'and what should be there, which includes others')
  })

  const expected = async (data: string) => (JSON.parse((await operate(['expect', '--data', data, '--json'])).stdout) as HeadcountRow[]).map(({ expected }) => expected)
  t.same(await expected(data), [1, 1, 1], 'it has said how many parts it starts')
  t.equal((await operate(['expect', '--edges', '7', '--data', data])).status, 0)
  t.same(await expected(data), [1, 7, 1])
  await cluster.stop()
  const again = await startCluster(t, SMALL, { data })
  t.same(again.record().cluster, { id, name })
  t.equal(chroot(again), `/live-comments-${id}`)
  t.same(await expected(data), [1, 1, 1], 'each start says so again')
})

t.test('data of before clusters had an identity go on where they were', async t => {
  const data = tempFolder(t)
  mkdirSync(join(data, 'zookeeper'))
  const cluster = await startCluster(t, SMALL, { data })
  t.equal(chroot(cluster), '/live-comments')
  t.match(cluster.record().cluster, { id: /^[0-9a-f]{8}$/, name: basename(data) })
})
