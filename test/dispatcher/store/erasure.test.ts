import { copyFileSync, existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { SqliteDatabase } from '../../../dispatcher/store/sqlite-database.js'
import { SqliteStore } from '../../../dispatcher/store/sqlite.js'
import type { Timed } from '../../../dispatcher/store/store.js'
import { memoryFolder } from '../../support/folder.js'
import { draft } from '../cast.js'

const PATIENT = { deadlineMs: 60_000 }
const NOW = Date.UTC(2026, 5, 1)

/** Which files of the store hold one of these texts. */
function holding(path: string, ...texts: string[]): string[] {
  return ['', '-wal', '-shm'].filter(end => existsSync(path + end) && texts.some(text => readFileSync(path + end).includes(text)))
}

function openStores(t: Test, count: number) {
  const folder = memoryFolder(t)
  const path = join(folder, 'comments.db')
  const stores = Array.from({ length: count }, () => new SqliteStore(path, PATIENT))
  t.teardown(() => Promise.all(stores.map(store => store.close())))
  return { path, stores }
}

const deletion = (videoId: string, target: number): Timed => ({ ...draft(videoId, '', { authorId: 'mod' }), act: { type: 'deleted', target } })

t.test('of a deleted comment no byte is left in the file, its log or the index, though others have it open', async t => {
  const { path, stores } = openStores(t, 2)
  const [store, other] = stores as [SqliteStore, SqliteStore]
  const secret = (i: number) => `zxsecret${i}zx`
  const targets: number[] = []
  // As many as fill pages, with their splits, in several transactions.
  for (let i = 0; i < 40; i++) {
    const drafts = Array.from({ length: 25 }, (_, j) => draft(`v${j % 5}`, `${'.'.repeat((i * 7 + j * 13) % 180)}${j === 5 ? secret(i) : 'fine'}`, j === 5 ? { authorName: `Zxname${i}zx` } : {}))
    const outcomes = await store.append(drafts, NOW + i)
    const made = outcomes[5]
    targets.push(made?.kind === 'created' ? made.comment.id : 0)
    await other.page('v0', { after: 0, until: Number.MAX_SAFE_INTEGER, newestFirst: true, limit: 10 })
  }
  t.not(holding(path, secret(0)).length, 0, 'they are there')
  for (const [i, target] of targets.entries()) {
    t.match(await other.append([deletion('v0', target)], NOW + 100), [{ kind: 'created' }])
    await other.erase('v0', target)
    t.same(holding(path, secret(i), `Zxname${i}zx`), [], `comment ${i}`)
  }
  t.same(holding(path, 'zxsecret', 'Zxname'), [])
  t.equal((await store.page('v0', { after: 0, until: Number.MAX_SAFE_INTEGER, newestFirst: false, limit: 1_000 })).length, 240, 'each is still in its place')
})

t.test('what a process had deleted that died before it emptied the log is gone once the next one opens the file', async t => {
  const { path } = openStores(t, 0)
  const died = `${path}-died`
  const database = new SqliteDatabase(died, 0)
  const [made] = database.append([draft('v', 'zxsecretzx')], NOW)
  database.append([deletion('v', made?.kind === 'created' ? made.comment.id : 0)], NOW)
  for (const end of ['', '-wal']) copyFileSync(died + end, path + end)
  database.close()
  t.same(holding(path, 'zxsecretzx'), ['-wal'], 'it is there')
  const store = new SqliteStore(path, PATIENT)
  t.teardown(() => store.close())
  await store.open()
  t.same(holding(path, 'zxsecretzx'), [])
  t.match(await store.page('v', { after: 0, until: Number.MAX_SAFE_INTEGER, newestFirst: false, limit: 10 }), [{ deletedBy: Number }, { act: { type: 'deleted' } }])
})

t.test('all comments of an author are found in a store that one call does not look through', async t => {
  const { path, stores } = openStores(t, 1)
  const [store] = stores as [SqliteStore]
  await store.append([draft('v'), draft('z')], NOW)
  const other = new Database(path)
  const insert = other.prepare("INSERT INTO comments (video_id, id, prev, author_id, content, created_at) VALUES (?, ?, ?, 'bob', 'x', 1)")
  other.transaction(() => {
    for (let i = 1; i <= 5_000; i++) insert.run(i <= 2_500 ? 'v' : 'w', i, i - 1)
  })()
  other.close()
  const [first, last] = await Promise.all(['v', 'z'].map(async video => (await store.lastIds([video])).get(video)!))
  const one = await store.commentsBy('ann', undefined)
  t.same(one.places, [{ videoId: 'v', id: first }])
  const two = await store.commentsBy('ann', one.after)
  t.same(two, { places: [{ videoId: 'z', id: last }], after: undefined })
})

t.test('the key of a deleted comment knows it, without its text', async t => {
  const { path, stores } = openStores(t, 1)
  const post = draft('v', 'zxsecretzx')
  const [made] = await stores[0]!.append([post], NOW)
  const target = made?.kind === 'created' ? made.comment.id : 0
  await stores[0]!.append([deletion('v', target)], NOW)
  await stores[0]!.erase('v', target)
  t.same(holding(path, 'zxsecretzx'), [])
  t.match(await stores[0]!.append([post, { ...post, content: 'other' }], NOW), [{ kind: 'repeated', comment: { id: target } }, { kind: 'reused' }])
  t.same(holding(path, 'zxsecretzx'), [], 'nor when it is posted again')
})
