import type { Test } from 'tap'
import type { Draft } from '../../../protocol/comment.js'
import type { PostResult } from '../../../protocol/posts.js'
import { InternalClient } from '../../../runtime/peers/client.js'
import type { TestCassandra } from '../../support/cassandra.js'
import { postTo, startDispatcher } from '../../support/dispatcher.js'
import { operate } from '../../support/operator.js'
import { until } from '../../support/until.js'
import { startZooKeeper } from '../../support/zookeeper.js'
import { draft } from '../cast.js'

const VIDEOS = ['a', 'b', 'c', 'd']

const ready = (url: string) => fetch(`${url}/readyz`).then(async answer => (answer.ok ? 'ready' : ((await answer.json()) as { error: { message: string } }).error.message))
const kindOf = (result: PostResult | undefined) => (!result ? 'none' : 'error' in result ? result.error.code : 'stored')

/** Two dispatchers on one Cassandra, from before its tables are made until it has been frozen. */
export async function tryDispatchers(t: Test, cassandra: TestCassandra): Promise<void> {
  const zookeeper = await startZooKeeper(t)
  const client = new InternalClient(undefined)
  t.teardown(() => client.close())
  const env = { STORE_URL: cassandra.url('live'), ZOOKEEPER_CONNECT: zookeeper.connect }
  const first = await startDispatcher(t, '', { id: 'd1', env })
  await until(async () => /the keyspace cannot be used: the keyspace or its tables are missing: registry store init makes them/.test(await ready(first.url)), { what: 'it says that there are no tables' })

  const made = await operate(['store', 'init', '--replication', 'datacenter1=1', '--json'], { env: { STORE_URL: env.STORE_URL } })
  t.equal(made.status, 0, made.stderr)
  t.match(JSON.parse(made.stdout), { keyspace: 'live', isNew: true })
  await until(async () => (await ready(first.url)) === 'ready', { what: 'it takes the store up' })
  const second = await startDispatcher(t, '', { id: 'd2', env, zookeeper: zookeeper.connect })
  const urls = [first.url, second.url]

  const posted: Draft[] = []
  const acknowledged = new Map<string, number>()
  const post = async (url: string, drafts: readonly Draft[]): Promise<string[]> => {
    posted.push(...drafts)
    const results = await postTo(client, url, drafts)
    results.forEach((result, i) => {
      if ('comment' in result) acknowledged.set(drafts[i]!.key, result.comment.id)
    })
    return results.map(kindOf)
  }
  for (let round = 0; round < 10; round++) {
    const kinds = (await Promise.all(urls.map(url => post(url, VIDEOS.map(videoId => draft(videoId)))))).flat()
    t.same([...new Set(kinds)], ['stored'])
  }

  cassandra.freeze()
  const slowest: number[] = []
  const frozen = await Promise.all(urls.map(async url => {
    const began = performance.now()
    const kinds = await post(url, VIDEOS.map(videoId => draft(videoId)))
    slowest.push(performance.now() - began)
    return kinds
  }))
  t.same(frozen.flat().filter(kind => kind !== 'OUTCOME_UNKNOWN' && kind !== 'STORE_UNAVAILABLE'), [], 'nothing is acknowledged')
  t.ok(frozen.flat().includes('OUTCOME_UNKNOWN'), 'what was sent may be stored')
  t.ok(Math.max(...slowest) < 4_000, `${Math.round(Math.max(...slowest))} ms`)
  await until(async () => {
    await post(first.url, [draft('a')])
    return /nothing can be written: .*no answer in time/.test(await ready(first.url))
  }, { what: 'it says that nothing can be written' })
  cassandra.thaw()
  for (const url of urls) await until(async () => (await ready(url)) === 'ready', { what: 'it is ready again' })

  const ids = new Map<string, number>()
  for (const each of posted) {
    const id = await until(async () => {
      const [result] = await postTo(client, urls[ids.size % 2]!, [each])
      return result && 'comment' in result ? result.comment.id : undefined
    }, { what: 'the key finds out' })
    ids.set(each.key, id)
  }
  for (const [key, id] of acknowledged) t.equal(ids.get(key), id, key)
  for (const url of urls) {
    let stored = 0
    for (const videoId of VIDEOS) {
      const page = JSON.parse((await client.call(url, { method: 'GET', path: `/internal/history/${videoId}?pageSize=100`, timeoutMs: 5_000 })).toString()) as { comments: { id: string }[] }
      t.same(page.comments.map(({ id }) => Number(id)), [...new Set(posted.filter(each => each.videoId === videoId).map(({ key }) => ids.get(key)!))].sort((a, b) => b - a))
      stored += page.comments.length
    }
    t.equal(stored, posted.length, 'one comment a key')
  }
}
