import { execFileSync, fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { SqliteDatabase } from '../../../dispatcher/store/sqlite-database.js'
import { SCHEMA_VERSION } from '../../../dispatcher/store/sqlite-schema.js'
import { SqliteStore } from '../../../dispatcher/store/sqlite.js'
import { StoreUnavailableError } from '../../../dispatcher/store/store.js'
import type { Draft } from '../../../protocol/comment.js'
import { DEFAULT_SETTINGS } from '../../../protocol/entry.js'
import { MAX_CURSOR } from '../../../protocol/id.js'
import { memoryFolder } from '../../support/folder.js'
import { storeContract } from '../store-contract.js'

const NOW = Date.UTC(2026, 5, 1)
const ALL = { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 10_000 }
const UNAVAILABLE = { code: 'STORE_UNAVAILABLE' }
let keys = 0
const draft = (videoId = 'v', key = `key-${keys++}`): Draft => ({ videoId, authorId: 'ann', content: 'hello', key })

function open(t: Test, path: string, deadlineMs?: number): SqliteStore {
  const store = new SqliteStore(path, deadlineMs === undefined ? {} : { deadlineMs })
  t.teardown(() => store.close())
  return store
}

/** Those of this process. */
function openFilesOf(path: string): string[] {
  return readdirSync('/proc/self/fd').flatMap(descriptor => {
    try {
      return [readlinkSync(`/proc/self/fd/${descriptor}`)].filter(name => name === path)
    } catch {
      return [] // it was that of the listing
    }
  })
}

/** However busy this machine is; the deadline has a test of its own. */
const PATIENCE_MS = 60_000

t.test('the contract', async t => {
  storeContract(t, async t => {
    const path = join(memoryFolder(t), 'comments.db')
    return { open: async isHooked => new SqliteStore(path, { deadlineMs: PATIENCE_MS, isHooked: isHooked === true }) }
  })
})

t.test('two processes that append to one file at once keep one chain', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  const source = `
    import { SqliteStore } from ${JSON.stringify(new URL('../../../dispatcher/store/sqlite.js', import.meta.url).href)}
    const store = new SqliteStore(${JSON.stringify(path)}, { deadlineMs: ${PATIENCE_MS} })
    const made = []
    for (let i = 0; i < 40; i++) {
      const drafts = Array.from({ length: 5 }, (_, j) => ({ videoId: 'v', authorId: 'a', content: 'c', key: process.pid + '-' + i + '-' + j }))
      for (const { comment, prev } of await store.append(drafts, Date.now())) made.push([comment.id, prev])
    }
    await store.close()
    process.send(made, () => process.disconnect())`
  const file = join(memoryFolder(t), 'appender.mjs')
  writeFileSync(file, source)
  const made = (
    await Promise.all(
      [1, 2].map(async () => {
        const child = fork(file)
        t.teardown(() => child.kill('SIGKILL'))
        return ((await once(child, 'message')) as [[number, number][]])[0]
      }),
    )
  ).flat()
  made.sort((a, b) => a[0] - b[0])
  t.equal(made.length, 400)
  t.same(made.map(([, prev]) => prev), [0, ...made.slice(0, -1).map(([id]) => id)])
  const chain = await open(t, path).page('v', ALL)
  t.same(chain.map(({ comment, prev }) => [comment.id, prev]), made)
})

t.test('a comment that was acknowledged is there after the process was killed', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  const file = join(memoryFolder(t), 'killed.mjs')
  writeFileSync(file, `
    import { SqliteStore } from ${JSON.stringify(new URL('../../../dispatcher/store/sqlite.js', import.meta.url).href)}
    const store = new SqliteStore(${JSON.stringify(path)})
    const [{ comment }] = await store.append([{ videoId: 'v', authorId: 'a', content: 'c', key: 'k' }], Date.now())
    process.send(comment.id, () => process.kill(process.pid, 'SIGKILL'))`)
  const child = fork(file)
  const [id] = (await once(child, 'message')) as [number]
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  t.equal((await open(t, path).lastIds(['v'])).get('v'), id)
})

t.test('a commit is on the disk, not only with the kernel, before it is answered', async t => {
  // What a power cut would leave is tested in test/power, where that can be done; what the writer's connection is told, here.
  const opened = new Set<Database.Database>()
  const plain = Object.getOwnPropertyDescriptor(Database.prototype, 'pragma')!
  const pragma = plain.value as (this: Database.Database, ...given: unknown[]) => unknown
  Object.defineProperty(Database.prototype, 'pragma', {
    ...plain,
    value(this: Database.Database, ...given: unknown[]) {
      opened.add(this)
      return pragma.apply(this, given)
    },
  })
  t.teardown(() => Object.defineProperty(Database.prototype, 'pragma', plain))
  const database = new SqliteDatabase(join(memoryFolder(t), 'comments.db'), 20)
  t.teardown(() => database.close())
  const [connection] = opened
  t.equal(connection!.pragma('journal_mode', { simple: true }), 'wal')
  t.equal(connection!.pragma('synchronous', { simple: true }), 2, 'FULL')
})

t.test('a file of the first version is brought up to date, with what is in it', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  const old = new Database(path)
  old.exec(`
    CREATE TABLE comments (video_id TEXT NOT NULL, id INTEGER NOT NULL, prev INTEGER NOT NULL, author_id TEXT NOT NULL, content TEXT NOT NULL, created_at INTEGER NOT NULL, PRIMARY KEY (video_id, id)) WITHOUT ROWID;
    CREATE TABLE keys (n INTEGER PRIMARY KEY, video_id TEXT NOT NULL, author_id TEXT NOT NULL, key TEXT NOT NULL, id INTEGER NOT NULL, created_at INTEGER NOT NULL, UNIQUE (video_id, author_id, key));
    INSERT INTO comments VALUES ('v', 7, 0, 'ann', 'hello', 5);
    PRAGMA user_version = 1`)
  old.close()
  const store = open(t, path)
  const [outcome] = await store.append([{ ...draft(), authorName: 'Ann' }], NOW)
  const before = { comment: { id: 7, videoId: 'v', authorId: 'ann', content: 'hello', createdAt: 5 }, prev: 0 }
  t.match(outcome, { kind: 'created', prev: 7, comment: { authorName: 'Ann' } })
  t.same((await store.page('v', ALL))[0], before)
})

t.test('a file of the last version, which knows no acts, is brought up to date, whatever it lacks, and stays the same store', async t => {
  const former: Record<string, string> = {
    all: 'DROP TABLE video_states; DROP TABLE bans; ALTER TABLE comments DROP COLUMN entry; ALTER TABLE comments DROP COLUMN author_role; ALTER TABLE keys DROP COLUMN said',
    tables: 'DROP TABLE video_states; DROP TABLE bans',
    columns: 'ALTER TABLE comments DROP COLUMN entry; ALTER TABLE comments DROP COLUMN author_role; ALTER TABLE keys DROP COLUMN said',
  }
  for (const [lacking, change] of Object.entries(former)) {
    const path = join(memoryFolder(t), 'comments.db')
    const before = new SqliteDatabase(path, 0)
    before.append([draft()], NOW)
    const { id, generation } = before.file()
    before.close()
    const old = new Database(path)
    old.exec(change)
    old.close()
    const database = new SqliteDatabase(path, 0)
    t.match(database.append([{ ...draft(), act: { type: 'settings', settings: { ...DEFAULT_SETTINGS, closed: true } } }], NOW), [{ kind: 'created' }], lacking)
    t.match(database.state('v', NOW), { settings: { closed: true } })
    t.match(database.file(), { id, generation, stored: 2 })
    database.close()
  }
})

t.test('a file that is up to date is opened while another process writes', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  new SqliteDatabase(path, 0).close()
  const other = new Database(path)
  t.teardown(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  new SqliteDatabase(path, 0).close()
})

t.test('the former version reads and writes a file with acts, by its own statements, and both know each other\'s keys', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  const store = open(t, path)
  const [first] = await store.append([draft()], NOW)
  const target = first?.kind === 'created' ? first.comment.id : 0
  await store.append([{ ...draft(), authorId: 'mod', content: '', act: { type: 'deleted', target } }], NOW)
  const former = new Database(path)
  t.teardown(() => former.close())
  t.equal(former.pragma('user_version', { simple: true }), 2, 'the version that it knows')
  const rows = former.prepare<[], { id: number; author_id: string; content: string }>('SELECT id, prev, author_id, author_name, content, created_at FROM comments WHERE video_id = \'v\'').all()
  t.match(rows, [{ id: target, author_id: '', author_name: null, content: '' }, { prev: target, author_id: '', content: '' }], 'comments without author and content')
  const last = rows[1]!.id
  former.prepare('INSERT INTO comments (video_id, id, prev, author_id, author_name, content, created_at) VALUES (\'v\', ?, ?, \'ann\', NULL, \'by the former\', ?)').run(last + 1, last, NOW)
  former.prepare('INSERT INTO keys (video_id, author_id, key, id, created_at) VALUES (\'v\', \'ann\', \'of the former\', ?, ?)').run(last + 1, NOW)
  const theirs = { videoId: 'v', authorId: 'ann', content: 'by the former', key: 'of the former' }
  t.match(await store.append([theirs, { ...theirs, content: 'other' }], NOW), [{ kind: 'repeated', comment: { id: last + 1 } }, { kind: 'reused' }])
  await store.append([{ ...draft(), authorId: 'mod', content: '', act: { type: 'deleted', target: last + 1 } }], NOW)
  t.match(await store.append([theirs], NOW), [{ kind: 'repeated', comment: { id: last + 1 } }], 'though nothing is left to compare it with')
  t.match(await store.append([draft()], NOW), [{ kind: 'created', prev: last + 2 }])
})

t.test('a file locked by another is unavailable after the deadline, for sure not stored, and usable again after', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  const writes: (string | undefined)[] = []
  const store = new SqliteStore(path, { deadlineMs: 150, onWrite: reason => writes.push(reason) })
  t.teardown(() => store.close())
  t.equal(store.generation, undefined, 'any file will do')
  await store.append([draft()], NOW)
  const other = new Database(path)
  t.teardown(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  const error: unknown = await store.append([draft()], NOW).catch((error: unknown) => error)
  t.ok(error instanceof StoreUnavailableError && !error.unknown)
  t.equal((await store.page('v', ALL)).length, 1, 'reading goes on meanwhile')
  other.exec('COMMIT')
  await store.append([draft()], NOW)
  t.same(writes, [undefined, undefined], 'a lock of another says nothing of the disk')
  t.equal((await store.page('v', ALL)).length, 2)
})

t.test('an append that meets a lock goes through as soon as it is gone', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  const store = open(t, path, 10_000)
  await store.open()
  const other = new Database(path)
  t.teardown(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  const appended = store.append([draft()], NOW)
  const first = await Promise.race([appended, store.lastIds(['v'])])
  t.ok(first instanceof Map, 'a read is answered while the append waits')
  other.exec('COMMIT')
  t.match(await appended, [{ kind: 'created' }])
})

t.test('a folder that cannot be written is unavailable until it can', async t => {
  const place = join(memoryFolder(t), 'data')
  writeFileSync(place, 'a file where the folder should be')
  const store = open(t, join(place, 'comments.db'))
  await t.rejects(store.open(), UNAVAILABLE)
  await t.rejects(store.append([draft()], NOW), UNAVAILABLE)
  await t.rejects(store.page('v', ALL), UNAVAILABLE)
  rmSync(place)
  t.match(await store.append([draft()], NOW), [{ kind: 'created' }])
  t.equal((await store.page('v', ALL)).length, 1)
})

t.test('trouble is told once, and so is its end', async t => {
  const place = join(memoryFolder(t), 'data')
  writeFileSync(place, '')
  const told: (string | undefined)[] = []
  const store = new SqliteStore(join(place, 'comments.db'), { onTrouble: reason => told.push(reason) })
  t.teardown(() => store.close())
  for (let i = 0; i < 3; i++) await t.rejects(store.append([draft()], NOW), UNAVAILABLE)
  rmSync(place)
  for (let i = 0; i < 3; i++) await store.append([draft()], NOW)
  t.match(told, [/^E/, undefined])
  await store.close()
  t.equal(told.length, 2, 'that its threads end when it is closed is none')
})

t.test('a thread that dies is told of, its calls fail, an append with an unknown outcome, and the next call starts another', async t => {
  const threads = new Set<Worker>()
  const plain = Object.getOwnPropertyDescriptor(Worker.prototype, 'postMessage')!
  const postMessage = plain.value as (this: Worker, ...given: unknown[]) => void
  Object.defineProperty(Worker.prototype, 'postMessage', {
    ...plain,
    value(this: Worker, ...given: unknown[]) {
      threads.add(this)
      postMessage.apply(this, given)
    },
  })
  t.teardown(() => Object.defineProperty(Worker.prototype, 'postMessage', plain))
  // It fails at what no thread understands. Terminated inside a call of SQLite, it would take the process with it.
  const kill = async (thread: Worker) => {
    const exited = new Promise(resolve => thread.once('exit', resolve))
    thread.postMessage(null)
    await exited
  }
  const path = join(memoryFolder(t), 'comments.db')
  const told: (string | undefined)[] = []
  const store = new SqliteStore(path, { deadlineMs: PATIENCE_MS, onTrouble: reason => told.push(reason) })
  t.teardown(() => store.close())
  const reasonOf = (call: Promise<unknown>) => call.then(() => undefined, (error: unknown) => error)
  await store.append([draft()], NOW)
  const other = new Database(path)
  t.teardown(() => other.close())
  other.exec('BEGIN IMMEDIATE') // so that the append is under way
  const appended = reasonOf(store.append([draft('v', 'lost')], NOW))
  const [writer] = threads
  await kill(writer!)
  t.match(await appended, { code: 'STORE_UNAVAILABLE', reason: 'its thread ended', unknown: true })
  other.exec('ROLLBACK')
  t.match(await store.append([draft('v', 'lost')], NOW), [{ kind: 'created' }])
  t.same(told, ['its thread ended', undefined])

  threads.clear()
  const page = reasonOf(store.page('v', ALL))
  const [reader] = threads
  reader!.emit('error', new Error('out of memory'))
  t.match(await page, { code: 'STORE_UNAVAILABLE', reason: 'its thread ended', unknown: false })
  await kill(reader!)
  t.equal((await store.page('v', ALL)).length, 2)
  await store.close()
  t.same(told.slice(2), ['its thread ended', undefined])
})

t.test('a full disk and a read-only one are unavailable until they are not', async t => {
  const disk = memoryFolder(t)
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk], { stdio: 'ignore' })
  } catch {
    t.comment('not tried: it needs the right to mount a small disk')
    return
  }
  t.teardown(() => execFileSync('umount', ['-l', disk]))
  const store = open(t, join(disk, 'comments.db'))
  await store.append([draft()], NOW)
  const filler = join(disk, 'filler')
  t.throws(() => writeFileSync(filler, Buffer.alloc(2 << 20)), { code: 'ENOSPC' })
  const many = () => Array.from({ length: 400 }, () => draft())
  await t.rejects(store.append(many(), NOW), UNAVAILABLE)
  t.equal((await store.page('v', ALL)).length, 1, 'what was stored can be read')
  rmSync(filler)
  t.equal((await store.append(many(), NOW)).length, 400)
  await store.close()
  execFileSync('mount', ['-o', 'remount,ro', disk])
  const late = open(t, join(disk, 'comments.db'))
  await t.rejects(late.append([draft()], NOW), UNAVAILABLE)
  execFileSync('mount', ['-o', 'remount,rw', disk])
  t.match(await late.append([draft()], NOW), [{ kind: 'created' }])
  t.equal((await late.page('v', ALL)).length, 402)
})

t.test('a file of a later version is refused in words an operator understands', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  new SqliteDatabase(path, 0).close() // it may have all that we know
  const db = new Database(path)
  db.pragma(`user_version = ${SCHEMA_VERSION + 1}`)
  db.close()
  const error: unknown = await open(t, path).open().catch((error: unknown) => error)
  t.notOk(error instanceof StoreUnavailableError)
  t.match(error, { message: `${path} has schema version ${SCHEMA_VERSION + 1}; this software knows up to ${SCHEMA_VERSION}: start a newer version of it` })
  for (let i = 0; i < 3; i++) t.throws(() => new SqliteDatabase(path, 0), { name: 'Error' })
  if (process.platform === 'linux') t.same(openFilesOf(path), [], 'it is not kept open')
})

t.test('a file that is no database is unavailable, and left as it is', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  writeFileSync(path, 'this is a letter to my aunt and not a database, but it is long enough to look at'.repeat(20))
  await t.rejects(open(t, path).open(), UNAVAILABLE)
})

t.test('closing waits for what is under way', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  const store = new SqliteStore(path)
  const appended = store.append([draft()], NOW)
  await store.close()
  t.match(await appended, [{ kind: 'created' }])
})
