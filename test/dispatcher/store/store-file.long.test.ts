import { execFileSync } from 'node:child_process'
import { copyFileSync, readdirSync, readlinkSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { SqliteDatabase } from '../../../dispatcher/store/sqlite-database.js'
import { SqliteStore } from '../../../dispatcher/store/sqlite.js'
import type { Draft } from '../../../protocol/comment.js'
import { MAX_CURSOR } from '../../../protocol/id.js'
import { projectRoot } from '../../../runtime/root.js'
import { memoryFolder } from '../../support/folder.js'
import { until } from '../../support/until.js'

const NOW = Date.UTC(2026, 5, 1)
const ALL = { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 10_000 }
let keys = 0
const draft = (content: string): Draft => ({ videoId: 'v', authorId: 'ann', content, key: `key-${keys++}` })

/** A store that was accepted, and has a comment. */
async function accepted(t: Test): Promise<{ store: SqliteStore; path: string; folder: string; writes: (string | undefined)[]; damaged: string[]; contents: () => Promise<string[]> }> {
  const folder = memoryFolder(t)
  const path = join(folder, 'comments.db')
  const writes: (string | undefined)[] = []
  const damaged: string[] = []
  const store = new SqliteStore(path, { mustBeAccepted: true, onWrite: reason => writes.push(reason), onDamage: videoId => damaged.push(videoId), deadlineMs: 30_000 })
  t.teardown(() => store.close())
  t.match(await failure(store.look()), { reason: 'FILE_MISSING' })
  t.same(readdirSync(folder), [], 'looking makes no file')
  await t.rejects(store.append([draft('before')], NOW), { code: 'STORE_UNAVAILABLE', unknown: false })
  await store.create()
  store.accept(await store.look())
  t.match(await store.append([draft('first')], NOW), [{ kind: 'created' }])
  return { store, path, folder, writes, damaged, contents: async () => (await store.page('v', ALL)).map(({ comment }) => comment.content) }
}

const failure = (call: Promise<unknown>) => call.then(() => undefined, (error: unknown) => error)
const noDescriptors = process.platform !== 'linux' && 'only Linux shows what a process has open'

/** How many of this process's descriptors are of that path. */
function descriptorsOf(path: string): number {
  const linkOf = (descriptor: string) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`)
    } catch {
      return '' // it was that of the listing
    }
  }
  return readdirSync('/proc/self/fd').filter(descriptor => linkOf(descriptor) === path).length
}

const filesOf = (folder: string) => readdirSync(folder).filter(name => name.startsWith('comments.db'))

t.test('what a file says of itself', async t => {
  const { store } = await accepted(t)
  const file = await store.look()
  t.match(file, { id: /^[0-9a-f]{16}$/, generation: /^[0-9a-f]{16}$/, place: /^[0-9a-f]+:\d+$/, stored: 1, acceptedHere: false })
  t.equal(store.generation, file.generation)
  await store.noteAccepted()
  t.match(await store.look(), { ...file, acceptedHere: true })
  await store.renew()
  t.match(await failure(store.look()), { reason: 'GENERATION_CHANGED' }, 'what was open is let go')
  const renewed = await store.look()
  t.match(renewed, { id: file.id, place: file.place, stored: 1, acceptedHere: false })
  t.not(renewed.generation, file.generation)
  t.match(await failure(store.append([draft('of the former generation')], NOW)), { reason: 'NOT_ACCEPTED', unknown: false })
  t.match(await failure(store.page('v', ALL)), { reason: 'NOT_ACCEPTED' })
  store.accept(renewed)
  t.equal(store.stored, 1)
  t.match(await store.append([draft('second')], NOW), [{ kind: 'created' }])
  t.equal(store.stored, 2)
  store.accept({ ...renewed, stored: 7 })
  t.equal(store.stored, 7, 'as the file that is accepted says')
})

t.test('that there is no file yet is no trouble, nor is what is found by looking', async t => {
  const folder = memoryFolder(t)
  const path = join(folder, 'comments.db')
  const told: (string | undefined)[] = []
  const store = new SqliteStore(path, { mustBeAccepted: true, onTrouble: reason => told.push(reason) })
  t.teardown(() => store.close())
  t.match(await failure(store.open()), { reason: 'FILE_MISSING' })
  writeFileSync(path, 'this is no database, and long enough to be looked at'.repeat(20))
  t.match(await failure(store.look()), { reason: /^SQLITE_/ })
  t.same(told, [])
})

t.test('a file that is refused is neither read nor written, and the reason is given', async t => {
  const { store } = await accepted(t)
  store.refuse('it is another one')
  t.equal(store.generation, undefined)
  t.match(await failure(store.append([draft('refused')], NOW)), { reason: 'it is another one', unknown: false })
  t.match(await failure(store.page('v', ALL)), { reason: 'it is another one' })
  t.match(await failure(store.lastIds(['v'])), { reason: 'it is another one' })
})

t.test('removed, moved or replaced while it is open: nothing is acknowledged, and nothing is made in its place', async t => {
  const ways: Record<string, (folder: string, path: string) => void> = {
    removed: folder => filesOf(folder).forEach(name => rmSync(join(folder, name))),
    moved: folder => filesOf(folder).forEach(name => renameSync(join(folder, name), join(folder, `old-${name}`))),
    'the database alone removed': (_folder, path) => rmSync(path),
    replaced(folder, path) {
      filesOf(folder).forEach(name => rmSync(join(folder, name)))
      const other = new Database(path)
      other.exec('CREATE TABLE other (x)')
      other.close()
    },
    'replaced by a copy of itself'(folder, path) {
      copyFileSync(path, join(folder, 'copy'))
      renameSync(join(folder, 'copy'), path)
    },
  }
  for (const [way, change] of Object.entries(ways)) {
    await t.test(way, async t => {
      const { store, path, folder, writes, damaged } = await accepted(t)
      change(folder, path)
      const before = filesOf(folder).sort().join()
      for (const content of ['one', 'two']) await t.rejects(store.append([draft(content)], NOW), { code: 'STORE_UNAVAILABLE', unknown: false })
      await t.rejects(store.page('v', ALL), { code: 'STORE_UNAVAILABLE' })
      await t.rejects(store.page('v', ALL), { code: 'STORE_UNAVAILABLE' })
      t.same(damaged, [], 'it is the trouble of all videos')
      t.match(writes.at(-1), /^(FILE_MOVED|FILE_MISSING|LOG_MOVED|NOT_ACCEPTED|SQLITE_)/)
      if (!way.startsWith('replaced')) t.equal(filesOf(folder).filter(name => name === 'comments.db').length, 0, `no new file among ${before}`)
    })
  }
})

t.test('put back, it is taken up with all that it had', async t => {
  const { store, folder, contents } = await accepted(t)
  for (const name of filesOf(folder)) renameSync(join(folder, name), join(folder, `old-${name}`))
  await t.rejects(store.append([draft('lost')], NOW), { code: 'STORE_UNAVAILABLE' })
  for (const name of readdirSync(folder).filter(name => name.startsWith('old-'))) renameSync(join(folder, name), join(folder, name.slice(4)))
  await until(() => store.append([draft('second')], NOW).then(() => true, () => false), { what: 'the same file again' })
  t.same(await contents(), ['first', 'second'])
})

t.test('a file that was removed stays open, so that an operator can save it, until another one is the store', { skip: noDescriptors }, async t => {
  const { store, folder, path, contents } = await accepted(t)
  const kept = () => descriptorsOf(`${path} (deleted)`)
  for (const name of filesOf(folder)) rmSync(join(folder, name))
  for (let i = 0; i < 3; i++) {
    await t.rejects(store.append([draft('lost')], NOW), { code: 'STORE_UNAVAILABLE' })
    await t.rejects(store.page('v', ALL), { code: 'STORE_UNAVAILABLE' })
  }
  t.equal(kept(), 2, 'by the thread that writes and the one that reads')
  await store.create()
  store.accept(await until(() => store.look().catch(() => undefined)))
  await store.append([draft('anew')], NOW)
  t.same(await contents(), ['anew'])
  t.equal(kept(), 0)
})

t.test('a file that is opened anew is not open twice, and none is once the store is closed', { skip: noDescriptors }, async t => {
  const { store, folder, path, contents } = await accepted(t)
  for (let i = 0; i < 3; i++) {
    await store.renew()
    store.accept(await until(() => store.look().catch(() => undefined)))
  }
  t.same(await contents(), ['first'])
  t.equal(descriptorsOf(`${path}-wal`), 2, 'by the thread that writes and the one that reads')
  await store.close()
  t.same([descriptorsOf(path), filesOf(folder)], [0, ['comments.db']])
})

t.test('its log removed: what was committed is saved into the database, and nothing is lost', async t => {
  const { store, path, contents } = await accepted(t)
  rmSync(`${path}-wal`)
  rmSync(`${path}-shm`)
  const since = performance.now()
  t.match(await failure(store.append([draft('not this')], NOW)), { reason: 'LOG_MOVED', unknown: false })
  await until(() => store.look().then(() => true, () => false), { what: 'both threads have let go and opened it anew' })
  t.ok(performance.now() - since >= 1_500, 'not before every other process has let go of it, too')
  store.accept(await store.look())
  await store.append([draft('second')], NOW)
  t.same(await contents(), ['first', 'second'])
})

t.test('its log removed while another process has it open too: it is saved all the same, though no connection is the last to close', async t => {
  const { store, path, contents } = await accepted(t)
  const bystander = new Database(path)
  t.teardown(() => bystander.close())
  t.same(bystander.prepare('SELECT content FROM comments').pluck().all(), ['first'])
  rmSync(`${path}-wal`)
  rmSync(`${path}-shm`)
  t.match(await failure(store.append([draft('not this')], NOW)), { reason: 'LOG_MOVED', unknown: false })
  await until(() => store.look().then(() => true, () => false), { what: 'both threads have let go and opened it anew' })
  t.same(await contents(), ['first'])
})

t.test('a log that was removed is not saved while somebody is in the middle of a commit to it', t => {
  const folder = memoryFolder(t)
  const path = join(folder, 'comments.db')
  const database = new SqliteDatabase(path, 0)
  t.teardown(() => database.close())
  database.append([draft('first')], NOW)
  const other = new Database(path)
  t.teardown(() => other.close())
  other.exec('BEGIN IMMEDIATE')
  rmSync(`${path}-wal`)
  rmSync(`${path}-shm`)
  t.equal(database.rescueLog(), false)
  other.exec('ROLLBACK')
  t.equal(database.rescueLog(), true)
  t.end()
})

t.test('where another log has begun in place of one that was removed, the database is left to it', async t => {
  const { store, path } = await accepted(t)
  rmSync(`${path}-wal`)
  rmSync(`${path}-shm`)
  // In a process of its own: SQLite shares one log among the connections of a process.
  const elsewhere = (code: string) => execFileSync(process.execPath, ['-e', `const db = new (require('better-sqlite3'))(${JSON.stringify(path)}); ${code}`], { cwd: projectRoot, encoding: 'utf8' })
  elsewhere("db.exec('CREATE TABLE other (x)'); db.pragma('wal_checkpoint(TRUNCATE)')")
  t.match(await failure(store.append([draft('not this')], NOW)), { reason: 'LOG_MOVED', unknown: false })
  t.equal(elsewhere("console.log(db.prepare('SELECT name FROM sqlite_schema').pluck().all().join())"), 'other\n')
})

t.test('whether anything can be written is tried, and told', async t => {
  const { store, writes, path } = await accepted(t)
  const blocker = new Database(path)
  t.teardown(() => blocker.close())
  t.same(writes, [undefined], 'the comment')
  await store.probe()
  t.same(writes, [undefined, undefined], 'the probe too')
  t.equal(await store.check(30_000), 'ok')
  const stored = await store.look()
  t.equal(stored.stored, 1, 'no comment came of it')
})
