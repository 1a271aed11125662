import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { parseCassandraUrl } from '../../../dispatcher/store/cassandra/address.js'
import { CallError } from '../../../dispatcher/store/cassandra/call-error.js'
import type { CassandraStore } from '../../../dispatcher/store/cassandra/cassandra.js'
import { Cluster } from '../../../dispatcher/store/cassandra/cluster.js'
import { HookTable } from '../../../dispatcher/store/cassandra/hook-table.js'
import { heldIdOf } from '../../../dispatcher/store/held-draft.js'
import { type StoreUnavailableError, type Outcome, type Range, type Store, type Stored, type Timed } from '../../../dispatcher/store/store.js'
import type { Draft } from '../../../protocol/comment.js'
import type { Act } from '../../../protocol/entry.js'
import { MAX_CURSOR } from '../../../protocol/id.js'
import { noCassandra, startCassandra } from '../../support/cassandra.js'
import { TcpProxy } from '../../support/tcp-proxy.js'
import { until } from '../../support/until.js'
import { storeContract } from '../store-contract.js'
import { tryDispatchers } from './cassandra-dispatchers.js'
import { FaultyCql, newKeyspace, openStore, PATIENT, SMALL_BYTES, type Fault, type OpenOptions } from './cassandra-stage.js'

t.setTimeout(600_000)

const ALL: Range = { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 100_000 }
let keys = 0

const draft = (videoId: string, content = 'hello', more: Partial<Draft> = {}): Draft => ({ videoId, authorId: 'ann', content, key: `key-${keys++}`, ...more })

function created(outcome: Outcome | undefined): Stored {
  if (outcome?.kind !== 'created') throw new Error(`not created but ${JSON.stringify(outcome)}`)
  return outcome
}

/** All that is stored, which must be one chain. */
async function chainOf(t: Test, store: Store, videoId: string): Promise<Stored[]> {
  const chain = await store.page(videoId, ALL)
  let prev = 0
  for (const stored of chain) {
    if (stored.prev !== prev || stored.comment.id <= prev) t.fail(`${stored.comment.id} follows ${stored.prev}, and stands after ${prev}`)
    prev = stored.comment.id
  }
  return chain
}

t.test('a store in a real Cassandra', { skip: noCassandra, timeout: 400_000 }, async t => {
  const cassandra = await startCassandra(t)
  const fresh = async (t: Test, options: OpenOptions = {}) => {
    const keyspace = await newKeyspace(cassandra)
    const open = (more: OpenOptions = {}) => connected(openStore(t, cassandra, keyspace, { ...options, ...more }))
    return { keyspace, store: await open(), open }
  }
  /** On a busy machine that can take longer than a post may. */
  const connected = async (store: CassandraStore) => {
    await until(() => store.open().then(() => true, () => false), { what: 'a store is connected' })
    return store
  }
  const faulty = (keyspace: string) => new FaultyCql(new Cluster({ address: parseCassandraUrl(cassandra.url(keyspace)) }), () => new CallError('no answer in time', true))

  for (const [name, options] of [['large buckets', {}], ['buckets of a few comments', { maxBucketBytes: SMALL_BYTES }]] as const) {
    t.test(`it keeps the contract, in ${name}`, async t => {
      const keyspace = await newKeyspace(cassandra)
      const cluster = new Cluster({ address: parseCassandraUrl(cassandra.url(keyspace)) })
      t.teardown(() => cluster.close())
      storeContract(t, async t => {
        // Tables of its own for each case would take longer than the case.
        for (const table of ['comments', 'buckets', 'hook_videos', 'hook_marks', 'hook_held']) await cluster.define(`TRUNCATE ${keyspace}.${table}`)
        return { open: isHooked => Promise.resolve(openStore(t, cassandra, keyspace, { ...options, limits: PATIENT, isHooked: isHooked === true })) }
      })
    })
  }

  t.test('a mark of a web hook goes when its slot is over and all is taken, and none while something may still be stored', async t => {
    const keyspace = await newKeyspace(cassandra)
    const cluster = new Cluster({ address: parseCassandraUrl(cassandra.url(keyspace)) })
    t.teardown(() => cluster.close())
    const newest = new Map([['v', 5], ['w', 0]])
    const hookTable = () => new HookTable({ cql: cluster, keyspace, limits: PATIENT, lastIds: async videoIds => new Map(videoIds.map(videoId => [videoId, newest.get(videoId)!])), held: async () => undefined })
    const [one, other] = [hookTable(), hookTable()]
    const slots = async () => (await cluster.read({ cql: `SELECT slot, video_id FROM ${keyspace}.hook_marks`, params: [] }, 20_000)).length
    const find = async (nowMs: number) => {
      const found: string[] = []
      let after: string | undefined
      do {
        const part = await one.unsentVideos(after, () => true, nowMs)
        found.push(...part.videoIds)
        after = part.after
      } while (after !== undefined)
      return found.sort()
    }
    const now = Date.UTC(2026, 5, 1)
    const later = now + 60 * 60_000
    await one.mark('v', now)
    await one.mark('w', now)
    newest.set('v', 8)
    await other.mark('v', now + 60_000) // it does not say that what is there by now was there before
    t.same((await one.unsent('v', 10)).after, 5)
    t.same([await find(now), await slots()], [['v'], 2])
    t.same([await find(later), await slots()], [['v'], 1], 'of w nothing came')
    await one.noteTaken({ entries: new Map([['v', 8]]), held: [] })
    await one.noteTaken({ entries: new Map([['v', 7]]), held: [] })
    t.same((await one.unsent('v', 10)).after, 8, 'the highest stays')
    t.same([await find(now + 60_000), await slots()], [[], 1])
    t.same([await find(later), await slots()], [[], 0])
    newest.set('v', 9)
    await one.mark('v', later)
    t.same(await find(later), ['v'])
  })

  t.test('a chain crosses sealed buckets, and pages cross full, empty and sealed ones', async t => {
    const { store, open } = await fresh(t, { maxBucketBytes: SMALL_BYTES, limits: PATIENT })
    const now = Date.now()
    const stored: Stored[] = []
    for (let i = 0; i < 30; i++) stored.push(...(await store.append([draft('v', `${i}a`), draft('v', `${i}b`)], now + i)).map(created))
    t.same(await chainOf(t, store, 'v'), stored.map(({ comment, prev }) => ({ comment, prev })))
    const ids = stored.map(({ comment }) => comment.id)
    const other = await open()
    for (const [after, upTo] of [[0, ids[59]!], [ids[3]!, ids[50]!], [ids[29]!, ids[30]!], [ids[10]! - 1, ids[11]!], [ids[59]!, MAX_CURSOR], [0, ids[0]! - 1]] as const) {
      const inside = ids.filter(id => id > after && id <= upTo)
      for (const limit of [1, 7, 100]) {
        t.same((await other.page('v', { after, until: upTo, newestFirst: false, limit })).map(({ comment }) => comment.id), inside.slice(0, limit))
        t.same((await other.page('v', { after, until: upTo, newestFirst: true, limit })).map(({ comment }) => comment.id), inside.toReversed().slice(0, limit))
      }
    }
    t.equal((await other.lastIds(['v'])).get('v'), ids[59])
  })

  t.test('a key is known across buckets, to every handle, and nobody appends to a sealed bucket', async t => {
    const { store, open } = await fresh(t, { maxBucketBytes: SMALL_BYTES, limits: PATIENT })
    const now = Date.now()
    const post = draft('v', 'first')
    const [first] = await store.append([post], now)
    const late = await open()
    t.match(await late.append([draft('v')], now), [{ kind: 'created' }], 'another handle knows the first bucket')
    for (let i = 0; i < 20; i++) await store.append([draft('v', 'x'.repeat(100))], now)
    t.match(await late.append([draft('v', 'after the seal')], now), [{ kind: 'created' }], 'and finds the last one')
    for (const handle of [store, late, await open()]) {
      t.match(await handle.append([post, { ...post, content: 'other' }], now), [{ kind: 'repeated', comment: created(first).comment }, { kind: 'reused' }])
      t.match(await handle.madeBy(post), created(first).comment)
    }
    t.equal((await chainOf(t, late, 'v')).length, 23)
  })

  t.test('many handles at once across buckets: one chain, one comment a key', async t => {
    const { store, open } = await fresh(t, { maxBucketBytes: SMALL_BYTES, limits: PATIENT })
    const handles = [store, await open(), await open()]
    const posts = Array.from({ length: 90 }, () => draft('v'))
    const kinds = new Map<string, string[]>()
    await Promise.all(handles.map(async (handle, nth) => {
      for (let i = 0; i < posts.length; i += 5) {
        const part = posts.slice(i, i + 5)
        for (let waiting = part; waiting.length > 0; ) {
          const outcomes = await handle.append(waiting, Date.now() + nth)
          waiting.forEach(({ key }, j) => kinds.set(key, [...(kinds.get(key) ?? []), outcomes[j]!.kind]))
          waiting = waiting.filter((_, j) => outcomes[j]!.kind === 'unknown' || outcomes[j]!.kind === 'failed')
        }
      }
    }))
    for (const [key, found] of kinds) if (found.filter(kind => kind === 'created').length > 1) t.fail(`${key}: ${found.join(' ')}`)
    t.equal((await chainOf(t, store, 'v')).length, posts.length)
  })

  t.test('a comment of a sealed bucket is masked from its deletion on, until it is erased there; and the acts\' state goes from bucket to bucket', async t => {
    const { keyspace, store, open } = await fresh(t, { maxBucketBytes: SMALL_BYTES, limits: PATIENT })
    const now = Date.now()
    const acting = (act: Act): Timed => ({ ...draft('v', '', { authorId: 'mod' }), act })
    const settings = { slowModeSeconds: 9, closed: false, signedInOnly: false }
    const [first, second] = (await store.append([draft('v', 'regretted'), draft('v', 'pinned')], now)).map(created)
    const [target, pinned] = [first!.comment.id, second!.comment.id]
    await store.append([acting({ type: 'settings', settings }), acting({ type: 'pinned', target: pinned })], now)
    for (let i = 0; i < 20; i++) await store.append([draft('v', 'x'.repeat(100))], now)
    const other = await open()
    const state = async () => (await other.state(['v'], now)).get('v')!
    t.match(await state(), { settings, pinned: { content: 'pinned' }, unerased: [] })
    const deletion = created((await store.append([acting({ type: 'deleted', target })], now))[0])
    const oldest = async () => (await other.page('v', { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 1 }))[0]!
    const cluster = new Cluster({ address: parseCassandraUrl(cassandra.url(keyspace)) })
    t.teardown(() => cluster.close())
    const content = async () => (await cluster.read({ cql: `SELECT content FROM ${keyspace}.comments WHERE video_id = 'v' AND bucket = 0 AND id = ? AND key = ''`, params: [target] }, PATIENT.statementMs))[0]!['content']
    t.match(await oldest(), { comment: { id: target, content: '', authorId: '' }, deletedBy: deletion.comment.id })
    t.equal(await content(), 'regretted')
    t.same((await state()).unerased, [target])
    for (let i = 0; i < 20; i++) await other.append([draft('v', 'x'.repeat(100))], now)
    t.same((await state()).unerased, [target], 'another bucket has it too')
    await other.erase('v', target)
    t.equal(await content(), '')
    t.match(await oldest(), { comment: { content: '' }, deletedBy: deletion.comment.id })
    t.match(await state(), { settings, pinned: { content: 'pinned' }, unerased: [] })
    t.match(await store.append([draft('v')], now), [{ kind: 'created' }], 'a writer that knew it otherwise goes on')
    t.same((await state()).unerased, [])
    await chainOf(t, store, 'v')
  })

  t.test('an answer that is lost after the effect: the same attempt finds out, and the comment is ours', async t => {
    const { keyspace } = await fresh(t)
    const cql = faulty(keyspace)
    const store = await connected(openStore(t, cassandra, keyspace, { cql }))
    cql.faults.push(undefined, 'lost answer')
    const first = created((await store.append([draft('v', 'a')], Date.now()))[0])
    const outcomes = (await store.append([draft('v', 'b'), draft('v', 'c')], Date.now())).map(created)
    t.same(outcomes.map(({ prev }) => prev), [first.comment.id, outcomes[0]!.comment.id])
    t.equal(cql.writes, 3)
    t.equal((await chainOf(t, store, 'v')).length, 3)
  })

  t.test('a request that is lost is made again', async t => {
    const { keyspace } = await fresh(t)
    const cql = faulty(keyspace)
    const store = await connected(openStore(t, cassandra, keyspace, { cql }))
    cql.faults.push('lost request', 'lost request')
    created((await store.append([draft('v')], Date.now()))[0])
    t.equal((await chainOf(t, store, 'v')).length, 1)
  })

  t.test('no answer at all: unknown, until it is fenced, and the key makes one comment in the end', async t => {
    for (const fault of ['lost answer', 'lost request'] as const) {
      const { keyspace } = await fresh(t)
      const settled: (readonly [string, number])[] = []
      const cql = faulty(keyspace)
      const store = await connected(openStore(t, cassandra, keyspace, { cql, onSettled: (videoId, lastId) => settled.push([videoId, lastId]) }))
      cql.faults.push(...Array<typeof fault>(100).fill(fault))
      const post = draft('v')
      t.match(await store.append([post], Date.now()), [{ kind: 'unknown' }])
      t.same(settled, [])
      cql.faults.splice(0)
      await until(() => settled.length > 0, { what: 'the outcome is settled' })
      const chain = await chainOf(t, store, 'v')
      t.equal(chain.length, fault === 'lost answer' ? 1 : 0)
      t.same(settled, [['v', chain[0]?.comment.id ?? 0]])
      t.match(await store.append([post], Date.now()), [{ kind: fault === 'lost answer' ? 'repeated' : 'created' }])
      t.equal((await chainOf(t, store, 'v')).length, 1)
    }
  })

  t.test('what was fenced does not come true later', async t => {
    const { keyspace, store } = await fresh(t)
    const cql = faulty(keyspace)
    const held: (() => Promise<unknown>)[] = []
    const writeIf = cql.writeIf.bind(cql)
    cql.writeIf = statements => {
      held.push(() => writeIf(statements, PATIENT.statementMs))
      return Promise.reject(new CallError('no answer in time', true))
    }
    const slow = await connected(openStore(t, cassandra, keyspace, { cql }))
    const post = draft('v', 'late')
    t.match(await slow.append([post], Date.now()), [{ kind: 'unknown' }])
    const attempts = held.splice(0)
    t.match(await store.append([post], Date.now()), [{ kind: 'created' }], 'the retry, at another dispatcher')
    for (const attempt of attempts) t.ok(await attempt(), 'an attempt that arrives late is refused')
    t.equal((await chainOf(t, store, 'v')).length, 1)
  })

  t.test('whatever step of an approval is lost, the next one goes on, and one comment comes of it', async t => {
    // An approval's writes: that it began, the comment, that it is done.
    for (const faults of [['lost request'], ['lost answer'], [undefined, ...Array<Fault>(100).fill('lost answer')], [undefined, ...Array<Fault>(100).fill('lost request')], [undefined, undefined, 'lost request'], [undefined, undefined, 'lost answer']] as const) {
      const { keyspace } = await fresh(t)
      const cql = faulty(keyspace)
      const store = await connected(openStore(t, cassandra, keyspace, { cql }))
      const post = draft('v', 'perhaps')
      const id = heldIdOf(post)
      t.same(await store.append([{ ...post, review: 'hold' }], Date.now()), [{ kind: 'held' }])
      cql.faults.push(...faults)
      const [first] = await store.append([{ ...post, review: 'approve' }], Date.now())
      cql.faults.splice(0)
      t.not(first?.kind, 'missing')
      const [again] = await store.append([{ ...post, review: 'approve' }], Date.now())
      t.ok(again?.kind === 'created' || again?.kind === 'repeated', `${faults[0]} ${faults[1]}: ${again?.kind}`)
      const [{ comment }] = (await chainOf(t, store, 'v')) as [Stored]
      t.same((await store.held('v', id))?.decided, { approved: comment.id })
      t.equal((await store.held('v', id))?.content, '')
      t.equal((await chainOf(t, store, 'v')).length, 1)
      t.same(await store.append([{ ...post, review: 'publish' }], Date.now()), [{ kind: 'repeated', comment }])
    }
  })

  t.test('what is held without an answer is unknown, and the key finds out', async t => {
    for (const fault of ['lost answer', 'lost request'] as const) {
      const { keyspace } = await fresh(t)
      const cql = faulty(keyspace)
      const store = await connected(openStore(t, cassandra, keyspace, { cql }))
      const post = draft('v')
      cql.faults.push(fault)
      t.match(await store.append([{ ...post, review: 'hold' }], Date.now()), [{ kind: 'unknown' }])
      t.same(await store.append([{ ...post, review: 'hold' }], Date.now()), [{ kind: 'held' }])
      t.equal((await store.heldIn('v', 9)).length, 1)
    }
  })

  t.test('a draft whose time runs out during the attempts makes no comment', async t => {
    const { keyspace } = await fresh(t)
    const cql = faulty(keyspace)
    const store = await connected(openStore(t, cassandra, keyspace, { cql }))
    const outcomes = await store.append([{ ...draft('v'), deadline: performance.now() }, draft('v')], Date.now())
    t.same(outcomes.map(({ kind }) => kind), ['expired', 'created'])
  })

  t.test('a video without ids left takes no comment, and others do', async t => {
    const { keyspace, store } = await fresh(t, { limits: PATIENT })
    const cluster = new Cluster({ address: parseCassandraUrl(cassandra.url(keyspace)) })
    t.teardown(() => cluster.close())
    await cluster.define(`UPDATE ${keyspace}.comments SET head = ${MAX_CURSOR} WHERE video_id = 'v' AND bucket = 0`)
    t.match(await store.append([draft('v'), draft('w')], Date.now()), [{ kind: 'failed', reason: 'IDS_EXHAUSTED' }, { kind: 'created' }])
  })

  t.test('of another generation nothing is remembered', async t => {
    const { keyspace, store } = await fresh(t)
    store.accept(await store.look())
    for (let i = 0; i < 3; i++) await store.append([draft('v')], Date.now())
    await store.lastIds(['v'])
    const cluster = new Cluster({ address: parseCassandraUrl(cassandra.url(keyspace)) })
    t.teardown(() => cluster.close())
    await cluster.define(`TRUNCATE ${keyspace}.comments`)
    const { generation } = store
    await store.renew()
    store.accept(await store.look())
    t.not(store.generation, generation)
    t.same(await store.lastIds(['v']), new Map([['v', 0]]))
    t.match(await store.append([draft('v')], Date.now()), [{ kind: 'created', prev: 0 }])
  })

  t.test('frozen in the middle of posts: nothing acknowledged is lost, and each key makes one comment', async t => {
    const { store, open } = await fresh(t)
    await underPosts(t, store, await open(), async () => {
      cassandra.freeze()
      await sleep(4_000)
      cassandra.thaw()
    })
  })

  t.test('through a network that takes 200 ms each way it stores, and says so when that is too slow', async t => {
    const keyspace = await newKeyspace(cassandra)
    const proxy = await TcpProxy.open(t, cassandra.port)
    const troubles: (string | undefined)[] = []
    const store = openStore(t, cassandra, keyspace, { port: proxy.port, onWrite: reason => troubles.push(reason) })
    await connected(store)
    proxy.delayMs = 100
    await until(async () => (await store.append([draft('v')], Date.now()))[0]!.kind === 'created', { what: 'a comment is stored' })
    t.equal((await store.append([draft('v')], Date.now()))[0]!.kind, 'created')
    proxy.delayMs = 800
    t.match(await store.append([draft('v')], Date.now()), [{ reason: /no answer in time/ }])
    await t.rejects(store.probe(), /no answer in time/)
    t.match(troubles.at(-1), /no answer in time/)
    proxy.delayMs = 0
    await until(() => store.probe().then(() => true, () => false), { what: 'it can be written again' })
    t.equal(troubles.at(-1), undefined)
  })

  t.test('what is wrong is said clearly', async t => {
    const keyspace = await newKeyspace(cassandra)
    const at = (url: string, more: Partial<OpenOptions> = {}) => {
      const address = parseCassandraUrl(url)
      return openStore(t, cassandra, address.keyspace, { cql: new Cluster({ address }), dataCentre: address.dataCentre, ...more })
    }
    const reasonOf = (url: string) => at(url).open().then(() => 'none', (error: StoreUnavailableError) => error.reason ?? error.message)
    t.match(await reasonOf(cassandra.url('missing')), 'FILE_MISSING')
    await t.rejects(at(cassandra.url('missing')).create(), /registry store init/)
    t.match(await reasonOf(`cassandra://127.0.0.1:1/${keyspace}?dc=datacenter1`), /no node answers: 127\.0\.0\.1:1: .*ECONNREFUSED/)
    t.match(await reasonOf(`cassandra://127.0.0.1:${cassandra.port}/${keyspace}?dc=berlin`), /there is no data centre berlin: its nodes are in datacenter1/)
    t.match(await reasonOf(`cassandra://127.0.0.1:${cassandra.port}/${keyspace}?dc=datacenter1&tls=on`), /no node answers/)
    const cluster = new Cluster({ address: parseCassandraUrl(cassandra.url(keyspace)) })
    t.teardown(() => cluster.close())
    await cluster.define(`UPDATE ${keyspace}.store SET version = 99 WHERE one = 1`)
    t.match(await reasonOf(cassandra.url(keyspace)), /made by a later version of this software: its tables are of version 99/)
    await t.rejects(at(cassandra.url(keyspace)).look(), { code: 'STORE_UNAVAILABLE' })
  })

  t.test('two dispatchers on it, from before its tables are made until it has been frozen', t => tryDispatchers(t, cassandra))

  t.test('killed and started again in the middle of posts: nothing acknowledged is lost', async t => {
    const { store, open } = await fresh(t)
    await underPosts(t, store, await open(), async () => {
      await cassandra.kill()
      await sleep(1_000)
      await cassandra.start()
    })
  })
})

/** Posts all along to a few videos by two handles, meanwhile something happens; then each key is sent again. */
async function underPosts(t: Test, one: Store, other: Store, happens: () => Promise<void>): Promise<void> {
  const videos = ['a', 'b', 'c']
  const acknowledged = new Map<string, number>()
  const posted: Draft[] = []
  const kinds = new Map<string, number>()
  const state = { ended: false }
  let slowestMs = 0
  const poster = async (store: Store, videoId: string) => {
    while (!state.ended) {
      const post = draft(videoId)
      posted.push(post)
      const began = performance.now()
      const [outcome] = await store.append([post], Date.now())
      slowestMs = Math.max(slowestMs, performance.now() - began)
      const kind = outcome?.kind ?? 'none'
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
      if (outcome?.kind === 'created') acknowledged.set(post.key, outcome.comment.id)
      else await sleep(250)
    }
  }
  const posters = [one, other].flatMap(store => videos.map(videoId => poster(store, videoId)))
  await until(() => acknowledged.size > 20, { what: 'posts are stored' })
  await happens()
  const before = acknowledged.size
  await until(() => acknowledged.size > before + 20, { what: 'posts are stored again', timeoutMs: 120_000 })
  state.ended = true
  await Promise.all(posters)
  t.comment(Object.fromEntries(kinds), `slowest ${Math.round(slowestMs)} ms`)
  t.ok(slowestMs < 10_000, 'every post is answered, long before the driver would give up')
  t.ok((kinds.get('unknown') ?? 0) + (kinds.get('failed') ?? 0) > 0, 'some posts met it')

  const made = new Map<string, number>()
  await until(async () => {
    const open = posted.filter(({ key }) => !made.has(key)).slice(0, 100)
    const outcomes = await other.append(open, Date.now())
    outcomes.forEach((outcome, i) => {
      if ('comment' in outcome) made.set(open[i]!.key, outcome.comment.id)
    })
    return made.size === posted.length
  }, { what: 'each key finds out', timeoutMs: 60_000 })
  for (const [key, id] of acknowledged) if (made.get(key) !== id) t.fail(`${key} had made ${id}, and has made ${made.get(key)}`)
  const stored = (await Promise.all(videos.map(videoId => chainOf(t, one, videoId)))).flat().map(({ comment }) => `${comment.videoId} ${comment.id}`)
  t.equal(stored.length, posted.length, 'one comment a key')
}
