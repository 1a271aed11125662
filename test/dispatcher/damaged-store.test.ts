import { closeSync, copyFileSync, ftruncateSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { SqliteDatabase } from '../../dispatcher/store/sqlite-database.js'
import type { PostResult } from '../../protocol/posts.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { kill, postTo, startDispatcher, storeAt, type RunningDispatcher } from '../support/dispatcher.js'
import { memoryFolder } from '../support/folder.js'
import { Random } from '../support/random.js'
import { until } from '../support/until.js'
import { draft } from './cast.js'

t.setTimeout(120_000)

const PAGE_BYTES = 4096
const VIDEOS = ['a', 'b', 'c', 'd']

function clientOf(t: Test): InternalClient {
  const client = new InternalClient(undefined)
  t.teardown(() => client.close())
  return client
}

/** A closed store with 30 long comments of each video. */
function filled(t: Test): string {
  const path = join(memoryFolder(t), 'comments.db')
  const store = new SqliteDatabase(path, 0)
  for (let i = 0; i < 30; i++) store.append(VIDEOS.map(video => draft(video, `${video} says ${i} ${'.'.repeat(700)}`)), Date.now())
  store.accept()
  store.close()
  return path
}

/** What became of each: `stored`, or the code of its error. */
const kinds = (results: readonly PostResult[]) => results.map(result => ('error' in result ? result.error.code : 'stored'))
const said = ({ log }: RunningDispatcher, event: string) => log().filter(line => line.event === event)
const lives = ({ process }: RunningDispatcher) => process.exitCode === null && process.signalCode === null

t.test('a file without its head is unavailable and said to be; put right under the running process, it takes posts again', async t => {
  const client = clientOf(t)
  const path = filled(t)
  const whole = readFileSync(path)
  writeFileSync(path, Buffer.concat([Buffer.alloc(100, 0xaa), whole.subarray(100)]))
  const dispatcher = await startDispatcher(t, path)
  for (let i = 0; i < 2; i++) t.same(kinds(await postTo(client, dispatcher.url, VIDEOS.map(video => draft(video)))), VIDEOS.map(() => 'STORE_UNAVAILABLE'))
  t.match(said(dispatcher, 'store_unavailable'), [{ reason: 'SQLITE_NOTADB' }], 'one line, with the reason')
  writeFileSync(path, whole)
  const again = draft('a')
  await until(() => storeAt(client, dispatcher.url, again).catch(() => undefined), { what: 'a post is stored again' })
  t.equal(said(dispatcher, 'store_available').length, 1)
  t.ok(lives(dispatcher))
})

t.test("flipped bits in a page of one video: it is named in the log, and the others' posts and history go on", async t => {
  const client = clientOf(t)
  const path = filled(t)
  const bytes = readFileSync(path)
  const page = Array.from({ length: bytes.length / PAGE_BYTES }, (_, i) => PAGE_BYTES * i).find(at => bytes.subarray(at, at + PAGE_BYTES).includes('b says 29'))!
  for (let i = 0; i < 16; i++) bytes[page + i]! ^= 0x55
  writeFileSync(path, bytes)
  const dispatcher = await startDispatcher(t, path)
  t.same(kinds(await postTo(client, dispatcher.url, VIDEOS.map(video => draft(video)))), VIDEOS.map(video => (video === 'b' ? 'STORE_UNAVAILABLE' : 'stored')))
  const history = (video: string) => client.call(dispatcher.url, { method: 'GET', path: `/internal/history/${video}`, timeoutMs: 10_000 })
  t.equal((JSON.parse((await history('a')).toString()) as { comments: [] }).comments.length, 31)
  t.match(await history('b').catch((error: unknown) => error), { status: 503 })
  t.match(said(dispatcher, 'video_unavailable')[0], { videoId: 'b', reason: 'SQLITE_CORRUPT' })
  t.same(said(dispatcher, 'store_unavailable'), [])
  t.ok(lives(dispatcher))
})

const seen = new Set<string>()
for (const seed of [1, 2]) {
  t.test(`seed ${seed}: files that are damaged under running dispatchers end neither, each post has an answer, and the next one starts`, async t => {
    const client = clientOf(t)
    const path = filled(t)
    copyFileSync(path, `${path}.copy`)
    const random = new Random(seed)
    // Two, in turn: what the other has stored is read anew.
    const dispatchers = await Promise.all([startDispatcher(t, path), startDispatcher(t, path)])
    for (const { url } of dispatchers) await storeAt(client, url, draft('a'))
    for (let round = 0; round < 12; round++) {
      damage(random.pick([path, `${path}-wal`]), random)
      const { url } = dispatchers[round % 2]!
      for (const kind of kinds(await postTo(client, url, VIDEOS.map(video => draft(video))))) seen.add(kind)
      for (const video of VIDEOS) await client.call(url, { method: 'GET', path: `/internal/history/${video}`, timeoutMs: 10_000 }).catch((error: unknown) => t.match(error, { status: 503 }))
    }
    t.ok([...seen].every(kind => ['stored', 'STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN'].includes(kind)), [...seen].join())
    for (const dispatcher of dispatchers) {
      t.ok(lives(dispatcher))
      t.same(said(dispatcher, 'bug'), [])
      await kill(dispatcher.process)
    }

    const next = await startDispatcher(t, path)
    const [result] = await postTo(client, next.url, [draft('a')])
    if ('error' in result!) await until(() => next.log().some(({ event }) => ['store_unavailable', 'video_unavailable'].includes(event)), { what: 'it says so' })
    await kill(next.process)

    // The copy that the operator has is used again.
    for (const end of ['-wal', '-shm']) writeFileSync(`${path}${end}`, '')
    copyFileSync(`${path}.copy`, path)
    const restored = await startDispatcher(t, path)
    t.same(kinds(await postTo(client, restored.url, VIDEOS.map(video => draft(video)))), VIDEOS.map(() => 'stored'))
    const database = new Database(path, { readonly: true })
    t.equal(database.pragma('integrity_check', { simple: true }), 'ok')
    database.close()
  })
}

t.test('some of that damage was met', async t => t.ok(seen.has('STORE_UNAVAILABLE') && seen.has('stored'), [...seen].join()))

/** Flips bits in place, or cuts the file. */
function damage(path: string, random: Random): void {
  const { size } = statSync(path)
  const file = openSync(path, 'r+')
  if (random.chance(0.2)) ftruncateSync(file, random.below(size + 1))
  else for (let i = 0; i < random.pick([1, 16, 200]); i++) writeSync(file, Buffer.from([random.below(256)]), 0, 1, random.below(Math.max(size, 1)))
  closeSync(file)
}
