import t from 'tap'
import { ChildrenCache } from '../../../registry/zookeeper/children-cache.js'
import type { Watch, Zk } from '../../../registry/zookeeper/client.js'
import { ZkError } from '../../../registry/zookeeper/zk-error.js'
import { until } from '../../support/until.js'

const ANSWER_MS = 2

/** A ZooKeeper with a child that never changes and one that has changed again whenever it was read: a read is always under way. */
class BusyZk {
  readonly connected = true
  readonly session = { epoch: 1, listen: () => () => {} }
  reads = 0
  /** The next read of the calm child fails. */
  failing = false
  #closed = false

  close(): void {
    this.#closed = true
  }

  async getChildren() {
    await this.#answer()
    return { names: ['calm', 'busy'], stat: {} }
  }

  async getData(path: string, watch: Watch) {
    await this.#answer()
    if (path === '/calm' && this.failing) {
      this.failing = false
      throw new ZkError('TIMEOUT', 'getData', path, true)
    }
    const version = ++this.reads
    if (path === '/busy' && !this.#closed) queueMicrotask(() => watch(path))
    return { data: Buffer.from(String(version)), stat: { czxid: 1n, mzxid: BigInt(version) } }
  }

  async exists() {
    await this.#answer()
    return { czxid: 1n, mzxid: 1n }
  }

  #answer(): Promise<void> {
    return new Promise(resolve => setTimeout(resolve, ANSWER_MS))
  }
}

t.test('a child that changes all the time does not keep the cache from being synced', async t => {
  for (const failing of [false, true]) {
    const zk = new BusyZk()
    zk.failing = failing
    let [syncs, behind] = [0, 0]
    const cache = new ChildrenCache({ zk: zk as unknown as Zk, path: '/', onSynced: () => syncs++, onBehind: () => behind++ })
    await until(() => cache.synced, { what: 'synced' })
    t.same([...cache.entries.keys()].sort(), ['busy', 'calm'], 'not before all has been read')
    t.equal(behind, Number(failing))
    const { reads } = zk
    await until(() => zk.reads > reads + 5, { what: 'it goes on reading' })
    t.equal(syncs, 1)
    zk.close()
    cache.close()
  }
})
