import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { CommitError, SqliteDatabase } from '../../../dispatcher/store/sqlite-database.js'
import type { Outcome, Store, Timed } from '../../../dispatcher/store/store.js'
import { MAX_CURSOR } from '../../../protocol/id.js'
import { memoryFolder } from '../../support/folder.js'
import { draft } from '../cast.js'
import { storeContract } from '../store-contract.js'

const NOW = Date.UTC(2026, 5, 1)
const ALL = { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 10 }

/** The database as a store, without the thread that it lives in: whoever changes it knows in a second what that has changed. */
function inThisThread(path: string, isHooked: boolean): Store {
  const database = new SqliteDatabase(path, 1_000, true, isHooked)
  return {
    generation: undefined,
    append: async (drafts, nowMs) => {
      const isInTime = drafts.map(({ deadline = Infinity }) => deadline > performance.now())
      const outcomes = database.append(drafts.filter((_, i) => isInTime[i]), nowMs)
      return isInTime.map((is): Outcome => (is ? outcomes.shift()! : { kind: 'expired' }))
    },
    madeBy: async draft => database.madeBy(draft),
    page: async (videoId, range) => database.page(videoId, range),
    lastIds: async videoIds => new Map(videoIds.map(videoId => [videoId, database.lastId(videoId)])),
    state: async (videoIds, nowMs) => new Map(videoIds.map(videoId => [videoId, database.state(videoId, nowMs)])),
    erase: async () => database.truncateLog(),
    lastPostedAt: async (videoId, authorId) => database.lastPostedAt(videoId, authorId),
    commentsBy: async (authorId, after) => database.commentsBy(authorId, after),
    heldIn: async (videoId, limit) => database.heldIn(videoId, limit),
    held: async (videoId, id) => database.held(videoId, id),
    refuseHeld: async (...call) => database.refuseHeld(...call),
    eraseHeld: async authorId => database.eraseHeld(authorId),
    unsent: async (videoId, limit) => database.unsent(videoId, limit),
    unsentVideos: async after => database.unsentVideos(after),
    noteTaken: async taken => database.noteTaken(taken),
    close: async () => database.close(),
  }
}

t.test('the contract', async t => {
  storeContract(t, async t => {
    const path = join(memoryFolder(t), 'comments.db')
    return { open: async isHooked => inThisThread(path, isHooked === true) }
  })
})

function open(t: Test): { database: SqliteDatabase; path: string } {
  const path = join(memoryFolder(t), 'comments.db')
  const database = new SqliteDatabase(path, 0)
  t.teardown(() => database.close())
  return { database, path }
}

/** What another process does to the file. */
function elsewhere(t: Test, path: string): Database.Database {
  const other = new Database(path)
  t.teardown(() => other.close())
  return other
}

function idOf(outcome: Outcome | undefined): number {
  if (outcome?.kind !== 'created') throw new Error(`not created but ${outcome?.kind}`)
  return outcome.comment.id
}

t.test('how many keys have been made is known of the last append, where it has made one', async t => {
  const { database } = open(t)
  const post = draft('v')
  const known = [[post, draft('v')], [post]].map(drafts => database.append(drafts, NOW) && database.storedByLast)
  t.same(known, [2, 0])
})

t.test('where the file is gone a call fails, and what was under way when it went is not acknowledged', async t => {
  const calls: Record<string, (database: SqliteDatabase, goes: () => void) => unknown> = {
    append: database => database.append([draft('v')], NOW),
    'an append under way': (database, goes) => database.append([{ ...draft('v'), get content() { goes(); return 'hello' } }], NOW),
    write: database => database.eraseHeld('ann'),
    'a write under way': (database, goes) => database.noteTaken({ entries: new Map(), get held() { goes(); return [] } }),
    truncateLog: database => database.truncateLog(),
    probe: database => database.probe(),
    check: database => database.check(),
    file: database => database.file(),
  }
  for (const [name, call] of Object.entries(calls)) {
    const { database, path } = open(t)
    const goes = () => rmSync(path, { force: true })
    const isUnderWay = name.endsWith('under way')
    if (!isUnderWay) goes()
    const expected = { code: 'FILE_MOVED' }
    t.throws(() => call(database, goes), name === 'an append under way' ? { constructor: CommitError, cause: expected } : expected, name)
  }
})

t.test('a probe writes', async t => {
  const { database, path } = open(t)
  database.probe()
  elsewhere(t, path).exec('BEGIN IMMEDIATE')
  t.throws(() => database.probe(), { code: 'SQLITE_BUSY' })
})

t.test('damage that only one draft meets is its own video\'s, though no look finds it', async t => {
  const { database, path } = open(t)
  const target = idOf(database.append([draft('v')], NOW)[0])
  elsewhere(t, path).exec('UPDATE comments SET created_at = 9e999')
  const deletion: Timed = { ...draft('v', ''), act: { type: 'deleted', target } }
  t.match(database.append([draft('w'), deletion, draft('w')], NOW), [{ kind: 'created' }, { kind: 'failed', reason: 'ROW_DAMAGED' }, { kind: 'created' }])
})

t.test('damage to the keys of more videos than a group is begun anew for is known at once, and is theirs alone', async t => {
  const { database, path } = open(t)
  const posts = Array.from({ length: 12 }, (_, i) => draft(`v${i}`))
  database.append(posts, NOW)
  elsewhere(t, path).exec('DELETE FROM comments')
  const kinds = database.append([...posts, draft('w')], NOW).map(({ kind }) => kind)
  t.same(kinds, [...posts.map(() => 'failed'), 'created'])
})

t.test('a page in which an id comes twice is damaged', async t => {
  const { database, path } = open(t)
  const rowOf = (outcome: Outcome) => {
    const row = Buffer.from('v'.padEnd(9))
    row.writeBigUInt64BE(BigInt(idOf(outcome)), 1)
    return row
  }
  const [first, second] = database.append([draft('v'), draft('v')], NOW).map(rowOf) as [Buffer, Buffer]
  database.truncateLog()
  const file = readFileSync(path)
  second.copy(file, file.indexOf(first))
  const copy = `${path}-copy`
  writeFileSync(copy, file)
  const damaged = new SqliteDatabase(copy, 0)
  t.teardown(() => damaged.close())
  for (const newestFirst of [false, true]) t.throws(() => damaged.page('v', { ...ALL, newestFirst }), { code: 'ROW_DAMAGED', message: 'the ids of a page do not ascend' })
})

t.test('a file that does not say which store it is is not opened', async t => {
  for (const damage of ["UPDATE store SET id = x'00'", "UPDATE store SET generation = x'00'", 'DELETE FROM store']) {
    const { path } = open(t)
    elsewhere(t, path).exec(damage)
    t.throws(() => new SqliteDatabase(path, 0), { code: 'ROW_DAMAGED' }, damage)
  }
})

t.test('folders that it makes do not stay open', { skip: process.platform !== 'linux' && 'only Linux shows what a process has open' }, async t => {
  const folder = memoryFolder(t)
  const open = () => readdirSync('/proc/self/fd').length
  const before = open()
  new SqliteDatabase(join(folder, 'new', 'deep', 'comments.db'), 0).close()
  t.equal(open(), before)
})
