import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { CassandraRows } from '../../cli/copy/cassandra-rows.js'
import type { CopiedStore } from '../../cli/copy/copied-store.js'
import { copyRows, type CopyState } from '../../cli/copy/copy-rows.js'
import { SqliteRows } from '../../cli/copy/sqlite-rows.js'
import { parseCassandraUrl } from '../../dispatcher/store/cassandra/address.js'
import { Cluster } from '../../dispatcher/store/cassandra/cluster.js'
import { heldIdOf } from '../../dispatcher/store/held-draft.js'
import { SqliteDatabase } from '../../dispatcher/store/sqlite-database.js'
import type { Held, Store, Timed } from '../../dispatcher/store/store.js'
import { draft } from '../dispatcher/cast.js'
import { newKeyspace, openStore, PATIENT } from '../dispatcher/store/cassandra-stage.js'
import { noCassandra, startCassandra } from '../support/cassandra.js'
import { memoryFolder } from '../support/folder.js'

t.setTimeout(300_000)

const NOW = Date.UTC(2026, 0, 1)
const VIDEOS = ['cats', 'dogs', 'held', 'fish', 'taken']
const IDS = ['waiting', 'waiting too', 'approved', 'refused', 'refused and taken', 'erased'] as const

/** A draft that a review has held. */
function suspect(name: string, videoId = 'held'): Timed {
  return { ...draft(videoId, `${name}, perhaps`, { key: name, authorId: name, authorName: 'Ann' }), review: 'hold' }
}

/** What a store says, a dispatcher's in Cassandra or a file's. */
type Asked = { [method in 'heldIn' | 'held' | 'unsent']: (...args: Parameters<Store[method]>) => ReturnType<Store[method]> | Awaited<ReturnType<Store[method]>> } & {
  unsentVideos: (after: string | undefined, isOurs: () => boolean) => ReturnType<Store['unsentVideos']> | Awaited<ReturnType<Store['unsentVideos']>>
}

/** All that is held, and all that a web hook is to be sent. */
async function besides(store: Asked) {
  const due = new Set<string>()
  let after: string | undefined
  do {
    const found = await store.unsentVideos(after, () => true)
    for (const videoId of found.videoIds) due.add(videoId)
    after = found.after
  } while (after !== undefined)
  const byId = (a: Held, b: Held) => (a.id < b.id ? -1 : 1)
  const unsent = async (videoId: string) => {
    const { after, held } = await store.unsent(videoId, 100)
    return { after: after ?? 0, held: held.toSorted(byId).map(printed) } // in Cassandra the first mark of all says that it begins at 0
  }
  return {
    due: [...due].sort(),
    unsent: await Promise.all(VIDEOS.map(unsent)),
    waiting: await Promise.all(VIDEOS.map(async videoId => store.heldIn(videoId, 100))),
    held: await Promise.all(IDS.map(async name => printed(await store.held('held', heldIdOf(suspect(name)))))),
  }
}

/** Without fields that hold nothing. */
function printed(held: Held | undefined): unknown {
  return held && JSON.parse(JSON.stringify(held))
}

t.test('held comments and the web hook\'s place are copied from a file into Cassandra, from there into another, and back', { skip: noCassandra }, async t => {
  const cassandra = await startCassandra(t)
  const folder = memoryFolder(t)
  const [one, other] = [join(folder, 'one.db'), join(folder, 'other.db')]
  const [first, second] = [await newKeyspace(cassandra), await newKeyspace(cassandra)]

  /** As it is copied, in a file or a keyspace. */
  const rowsIn = (place: string, end: 'source' | 'target'): Promise<CopiedStore> | CopiedStore =>
    place.endsWith('.db') ? SqliteRows[end](place) : CassandraRows.open({ cql: new Cluster({ address: parseCassandraUrl(cassandra.url(place)) }), keyspace: place, id: place, name: place })
  const copy = async (source: string, target: string, stopAt?: (state: CopyState) => boolean) => {
    const stopping = new AbortController()
    const [from, to] = [await rowsIn(source, 'source'), await rowsIn(target, 'target')]
    try {
      return await copyRows({ from, to, signal: stopping.signal, onProgress: state => (stopAt?.(state) ? stopping.abort() : undefined) })
    } finally {
      await Promise.all([from.close(), to.close()])
    }
  }
  const within = async <T>(path: string, work: (store: SqliteDatabase) => T | Promise<T>) => {
    const store = new SqliteDatabase(path, 1_000, true, true)
    try {
      return await work(store)
    } finally {
      store.close()
    }
  }
  const inside = (t: Test, keyspace: string) => openStore(t, cassandra, keyspace, { limits: PATIENT, isHooked: true })
  const besidesIn = async (t: Test, place: string) => (place.endsWith('.db') ? within(place, besides) : besides(inside(t, place)))

  await t.test('into Cassandra, though it was stopped in between', async t => {
    await within(one, async store => {
      store.append(['cats', 'cats', 'dogs', 'dogs', 'fish'].map(videoId => draft(videoId)), NOW)
      IDS.forEach((name, n) => store.append([suspect(name)], NOW + n)) // in one millisecond Cassandra knows no order
      store.append([suspect('elsewhere', 'taken')], NOW + 1)
      for (const name of ['refused', 'refused and taken']) store.refuseHeld('held', heldIdOf(suspect(name)), 'be kind', NOW + 2)
      const taken = [suspect('refused and taken'), suspect('waiting too'), suspect('elsewhere', 'taken')].map(each => store.held(each.videoId, heldIdOf(each))!)
      store.noteTaken({ entries: new Map([['dogs', store.lastId('dogs')]]), held: taken })
    })
    t.match(await copy(one, first, ({ videosDone }) => videosDone === 5), { isWhole: false })
    t.match(await copy(one, first), { isWhole: true, copied: 0, wereThere: 5, held: 5 })
    const there = await besidesIn(t, first)
    t.same(there.due, ['cats', 'fish', 'held'])
    t.same(there, await besidesIn(t, one))
  })

  await t.test('and what has changed since', async t => {
    await within(one, async store => {
      store.append([{ ...suspect('approved'), review: 'approve' }, draft('dogs')], NOW + 10)
      store.refuseHeld('held', heldIdOf(suspect('waiting too')), undefined, NOW + 11)
      for (const author of ['erased', 'refused and taken']) store.eraseHeld(author)
      store.append([{ ...suspect('erased'), content: 'another text under that key' }], NOW + 12)
      store.append([suspect('later', 'fish')], NOW + 12)
      store.noteTaken({ entries: new Map([['cats', store.lastId('cats')]]), held: [store.held('held', heldIdOf(suspect('waiting')))!] })
    })
    t.match(await copy(one, first), { isWhole: true, copied: 2, wereThere: 5, held: 4 })
    const there = await besidesIn(t, first)
    t.same(there.due, ['dogs', 'fish', 'held'])
    t.same(there, await besidesIn(t, one))
    t.match(await copy(one, first), { isWhole: true, copied: 0 }, 'nothing has changed')
    t.same(await besidesIn(t, first), there)
  })

  await t.test('from there into another, where dispatchers go on', async t => {
    t.match(await copy(first, second), { isWhole: true, copied: 7, held: 4 })
    t.same(await besidesIn(t, second), await besidesIn(t, first))
    const source = inside(t, first)
    await source.append([{ ...suspect('waiting'), review: 'approve' }], NOW + 20)
    await source.refuseHeld('fish', heldIdOf(suspect('later', 'fish')), 'no')
    await source.noteTaken({ entries: await source.lastIds(['dogs', 'held']), held: (await source.unsent('held', 100)).held })
    t.match(await copy(first, second), { isWhole: true, copied: 1, held: 2 })
    t.same((await besidesIn(t, first)).due, ['fish'])
    t.same(await besidesIn(t, second), await besidesIn(t, first))

    const target = inside(t, second)
    t.match(await target.append([suspect('waiting'), { ...suspect('refused'), review: 'approve' }], NOW + 30), [{ kind: 'repeated' }, { kind: 'refused', reason: 'be kind' }], 'what was decided stays so')
    t.match(await target.append([{ ...suspect('elsewhere', 'taken'), review: 'approve' }], NOW + 31), [{ kind: 'created' }], 'what waits is decided there')
    t.ok((await besidesIn(t, second)).due.includes('taken'), 'and the hook is sent it')
  })

  await t.test('and back into a file', async t => {
    t.match(await copy(second, other), { isWhole: true, copied: 9, held: 1 })
    t.same(await besidesIn(t, other), await besidesIn(t, second))
    t.match(await copy(first, one), { isWhole: true, copied: 1 }, 'also into one that knows less')
    t.same(await besidesIn(t, one), await besidesIn(t, first))
  })

  await t.test('a keyspace of before there was either is copied, and has no place for them', async t => {
    const [old, path] = [await newKeyspace(cassandra), join(folder, 'old.db')]
    const cluster = new Cluster({ address: parseCassandraUrl(cassandra.url(old)) })
    t.teardown(() => cluster.close())
    const drop = async (...tables: string[]) => {
      for (const table of tables) await cluster.define(`DROP TABLE ${old}.${table}`)
    }
    await within(path, store => store.append([draft('cats')], NOW))
    await drop('hook_videos', 'hook_marks', 'hook_held')
    await t.rejects(copy(path, old), { name: 'UnknownColumnError', message: `${old} has no place for the place of a web hook: its tables are of an older version` })
    await within(path, store => store.append([suspect('one', 'cats')], NOW))
    await drop('held')
    await t.rejects(copy(path, old), { name: 'UnknownColumnError', message: `${old} has no place for held comments: its tables are of an older version` })
    const bare = join(folder, 'bare.db')
    t.match(await copy(old, bare), { isWhole: true, copied: 1, held: 0 })
    const db = new Database(bare, { readonly: true })
    t.teardown(() => db.close())
    t.same(db.prepare('SELECT content FROM comments').pluck().all(), ['hello'])
  })
})
