import t from 'tap'
import { EdgeCount } from '../../registry/edge-count.js'
import type { NodeStat } from '../../registry/zookeeper/node-stat.js'
import type { SessionListener } from '../../registry/zookeeper/session.js'
import { ZkError } from '../../registry/zookeeper/zk-error.js'
import { until } from '../support/until.js'

/** ZooKeeper with so many edges; undefined: it is away, null: it has no such directory. */
function registryOf(edges: number | null | undefined) {
  const listeners = new Set<SessionListener>()
  const given = { edges }
  const zk = {
    session: { listen: (listener: SessionListener) => (listeners.add(listener), () => listeners.delete(listener)) },
    exists: async (path: string): Promise<NodeStat | null> => {
      if (given.edges === undefined) throw new ZkError('CONNECTION_LOSS', 'exists', path, false)
      return given.edges === null ? null : { czxid: 1n, mzxid: 1n, version: 0, modifiedAt: 0, ephemeralOwner: 0n, children: given.edges }
    },
  }
  return { zk, given, connected: () => listeners.forEach(listener => listener.onConnected?.()), listeners }
}

t.test('the edges are counted once ZooKeeper is connected, and the last number stays while it is away', async t => {
  const { zk, given, connected, listeners } = registryOf(undefined)
  const count = new EdgeCount({ zk })
  t.equal(count.count, 1)
  given.edges = 700
  connected()
  await until(() => count.count === 700)
  given.edges = undefined
  connected()
  await new Promise(resolve => setImmediate(resolve))
  t.equal(count.count, 700)
  given.edges = null
  connected()
  await until(() => count.count === 1)
  count.close()
  t.equal(listeners.size, 0)
})

t.test('they are counted again now and then', async t => {
  const { zk, given } = registryOf(2)
  const count = new EdgeCount({ zk, lookAgainMs: 10 })
  t.after(() => count.close())
  await until(() => count.count === 2)
  given.edges = 3
  await until(() => count.count === 3)
})
