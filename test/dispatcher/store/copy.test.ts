import fs, { chownSync, copyFileSync, existsSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { copyStore, markOf, replacementOf, type StoreContent } from '../../../dispatcher/store/copy.js'
import { heldIdOf } from '../../../dispatcher/store/held-draft.js'
import { SqliteDatabase } from '../../../dispatcher/store/sqlite-database.js'
import { SCHEMA_VERSION } from '../../../dispatcher/store/sqlite-schema.js'
import type { Timed } from '../../../dispatcher/store/store.js'
import type { Draft } from '../../../protocol/comment.js'
import { MAX_CURSOR } from '../../../protocol/id.js'
import { memoryFolder } from '../../support/folder.js'

const NOW = Date.UTC(2026, 5, 1)
const PAGE_BYTES = 4096
let keys = 0
const draft = (videoId: string, content = 'hello'): Draft => ({ videoId, authorId: 'ann', content, key: `key-${keys++}` })
const contents = (path: string, videoId: string) => {
  const database = new SqliteDatabase(path, 0, false)
  try {
    return database.page(videoId, { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 1_000 }).map(({ comment }) => comment.content)
  } finally {
    database.close()
  }
}

/** A store that stays open, as a dispatcher has it, with 50 comments of each of two videos. */
function openStore(t: Test, path = join(memoryFolder(t), 'comments.db')) {
  const database = new SqliteDatabase(path, 0)
  t.teardown(() => database.close())
  for (let i = 0; i < 50; i++) database.append([draft('cats', `cat ${i} ${'.'.repeat(500)}`), draft('dogs', `dog ${i}`)], NOW)
  return { path, database, folder: join(path, '..') }
}

t.test('a copy is the store as it was, while others write on', async t => {
  const { path, database, folder } = openStore(t)
  const to = join(folder, 'copy.db')
  const writer = new Database(path)
  writer.exec('BEGIN IMMEDIATE') // another process is in the middle of a commit
  const content = copyStore(path, to)
  writer.exec('ROLLBACK')
  writer.close()
  const { id, generation } = database.file()
  t.same(content, { id, generation, stored: 100, comments: 100, videos: 2 } satisfies StoreContent)
  database.append([draft('cats', 'later')], NOW)
  t.equal(statSync(to).mode & 0o777, 0o600)
  t.same(readdirSync(folder).filter(name => name.startsWith('copy')), ['copy.db'], 'one file, and nothing of the work')
  t.same(contents(to, 'dogs'), Array.from({ length: 50 }, (_, i) => `dog ${i}`))
  t.equal(contents(to, 'cats').length, 50)
  t.throws(() => copyStore(path, to), /is there already/)
})

t.test('a backup has what is held and how far a web hook was sent; what came of both since is gone after a restore', async t => {
  const path = join(memoryFolder(t), 'comments.db')
  const database = new SqliteDatabase(path, 0, true, true)
  t.teardown(() => database.close())
  const held: Timed = { ...draft('cats', 'perhaps'), review: 'hold' }
  database.append([draft('cats'), held], NOW)
  const besides = (store: SqliteDatabase) => ({ held: store.held('cats', heldIdOf(held)), unsent: store.unsent('cats', 10) })
  const before = besides(database)
  const backup = `${path}.backup`
  copyStore(path, backup)
  database.refuseHeld('cats', heldIdOf(held), 'no', NOW)
  database.noteTaken({ entries: new Map([['cats', database.lastId('cats')]]), held: [database.held('cats', heldIdOf(held))!] })
  t.not(besides(database).unsent.after, before.unsent.after)
  replacementOf(backup, path).put()
  const restored = new SqliteDatabase(path, 0, false)
  t.teardown(() => restored.close())
  t.equal(before.held?.content, 'perhaps')
  t.same(besides(restored), before)
})

t.test('a copy does not change what it is made of: an older dispatcher may have it open', async t => {
  const { path, database, folder } = openStore(t)
  database.close()
  const older = new Database(path)
  older.exec('DROP TABLE store; DROP TABLE key_ages; ALTER TABLE comments DROP COLUMN author_name; PRAGMA user_version = 1')
  older.close()
  t.same(copyStore(path, join(folder, 'copy.db')), { id: null, generation: null, stored: 100, comments: 100, videos: 2 })
  const after = new Database(path, { readonly: true })
  t.equal(after.pragma('user_version', { simple: true }), 1)
  t.notOk(after.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'store'").get())
  after.close()
})

t.test('what is damaged, missing or no store is not copied, and leaves nothing behind', async t => {
  const { path, database, folder } = openStore(t)
  database.close()
  const bytes = readFileSync(path)
  const page = bytes.indexOf('cat 30 ') - (bytes.indexOf('cat 30 ') % PAGE_BYTES)
  bytes.fill(0xaa, page, page + PAGE_BYTES)
  writeFileSync(join(folder, 'damaged.db'), bytes)
  writeFileSync(join(folder, 'cut.db'), bytes.subarray(0, 3 * PAGE_BYTES))
  writeFileSync(join(folder, 'text.db'), 'no database at all, and long enough to have a header of one: '.repeat(20))
  writeFileSync(join(folder, 'empty.db'), '')
  const other = new Database(join(folder, 'other.db'))
  other.exec('CREATE TABLE songs (id INTEGER PRIMARY KEY)')
  other.close()
  const blog = new Database(join(folder, 'blog.db'))
  blog.exec('CREATE TABLE comments (id INTEGER PRIMARY KEY)')
  blog.close()
  const before = readdirSync(folder).length
  for (const [name, why] of [['damaged.db', /SQLITE_CORRUPT|damaged|malformed/], ['cut.db', /SQLITE_CORRUPT|damaged|malformed/], ['text.db', /not a database/], ['empty.db', /no store of comments/], ['other.db', /no store of comments/], ['blog.db', /no store of comments/], ['absent.db', /unable to open|does not exist/]] as const) {
    t.throws(() => copyStore(join(folder, name), join(folder, 'copy.db')), why, name)
    t.throws(() => replacementOf(join(folder, name), path), /./, name)
  }
  t.equal(readdirSync(folder).filter(name => !/-(wal|shm)$/.test(name)).length, before)
  t.equal(markOf(path).stored, 100, 'the store is as it was')
})

t.test('a backup takes the place of a store that is open, and what was there is kept with its log', async t => {
  const { path, database, folder } = openStore(t)
  const backup = join(folder, 'backup.db')
  const { id, generation } = copyStore(path, backup)
  const bytes = readFileSync(backup)
  database.append([draft('dogs', 'after the backup')], NOW)
  const replacement = replacementOf(backup, path)
  t.match(replacement.content, { id, stored: 100, comments: 100 })
  t.not(replacement.content.generation, generation)
  t.equal(markOf(path).generation, generation, 'nothing has happened yet')
  const former = replacement.put()!
  replacement.discard()
  t.same(markOf(path), { id, generation: replacement.content.generation, stored: 100 })
  t.throws(() => database.append([draft('dogs')], NOW), { code: 'FILE_MOVED' }, 'whoever has the former file open notices')
  t.ok(contents(path, 'dogs').length === 50 && !contents(path, 'dogs').includes('after the backup'))
  database.close()
  t.ok(contents(former, 'dogs').includes('after the backup'))
  t.ok(readFileSync(backup).equals(bytes), 'the backup is untouched')
  t.same(readdirSync(folder).filter(name => name.includes('.next')), [])
})

t.test('a backup takes the place of what is missing or destroyed; a log that was left there is not taken for its own', async t => {
  for (const destroy of [(path: string) => rmSync(path), (path: string) => truncateSync(path, 100), (path: string) => writeFileSync(path, 'x'.repeat(10_000))]) {
    const { path, database, folder } = openStore(t)
    const backup = join(folder, 'backup.db')
    copyStore(path, backup)
    for (let i = 0; i < 20; i++) database.append([draft('dogs', 'in the log')], NOW)
    t.ok(existsSync(`${path}-wal`))
    destroy(path)
    const replacement = replacementOf(backup, path)
    replacement.put()
    replacement.discard()
    t.same(contents(path, 'dogs').filter(content => content === 'in the log'), [])
    t.equal(contents(path, 'dogs').length, 50)
  }
})

t.test('a copy that was made by copying files is taken with its log; what a link leads to is replaced, not the link', async t => {
  const { path, database, folder } = openStore(t)
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, join(folder, `raw.db${suffix}`))
  database.append([draft('dogs', 'later')], NOW)
  const link = join(folder, 'link.db')
  symlinkSync(path, link)
  const replacement = replacementOf(join(folder, 'raw.db'), link)
  t.equal(replacement.content.comments, 100)
  replacement.put()
  replacement.discard()
  t.equal(readdirSync(folder, { withFileTypes: true }).find(({ name }) => name === 'link.db')?.isSymbolicLink(), true)
  t.same([contents(path, 'dogs').length, contents(link, 'dogs').length], [50, 50])
})

t.test('the store itself, and a backup of later software, are refused', async t => {
  const { path, folder } = openStore(t)
  t.throws(() => replacementOf(path, path), /is the store itself/)
  const backup = join(folder, 'backup.db')
  copyStore(path, backup)
  const later = new Database(backup)
  later.pragma(`user_version = ${SCHEMA_VERSION + 1}`)
  later.close()
  t.throws(() => replacementOf(backup, path), /start a newer version/)
  t.same(readdirSync(folder).filter(name => name.includes('.next')), [])
})

t.test('what a copy or a restore that was killed has left does not matter to the next', async t => {
  const { path, database, folder } = openStore(t)
  const to = join(folder, 'copy.db')
  writeFileSync(`${to}.partial`, 'half of a copy')
  copyStore(path, to)
  database.append([draft('dogs', 'after the copy')], NOW)
  for (const suffix of ['', '-wal']) copyFileSync(path + suffix, `${path}.next${suffix}`)
  const replacement = replacementOf(to, path)
  t.equal(replacement.content.comments, 100, 'a log that was left is not taken for its own')
  replacement.put()
  t.notOk(contents(path, 'dogs').includes('after the copy'))
})

t.test('what takes the place of a store can be used by whom it belongs to, and by nobody else', async t => {
  const { path, folder } = openStore(t)
  const backup = join(folder, 'backup.db')
  copyStore(path, backup)
  const isRoot = process.geteuid?.() === 0
  if (isRoot) chownSync(path, 1234, 5678)
  const { uid, gid } = statSync(path)
  replacementOf(backup, path).put()
  t.match(statSync(path), { uid, gid, mode: 0o100600 })
  rmSync(path)
  if (isRoot) chownSync(folder, 1234, 5678)
  const { uid: owner, gid: group } = statSync(folder)
  replacementOf(backup, path).put()
  t.match(statSync(path), { uid: owner, gid: group, mode: 0o100600 }, 'where there was none, to whom the folder belongs')
})

t.test('a copy, what takes the place of a store, and the names of both are on the disk', { skip: process.platform !== 'linux' && 'only Linux shows what a descriptor is of' }, async t => {
  const { path, database, folder } = openStore(t)
  database.close() // SQLite closes no file of which another connection of its process has a lock
  const synced: string[] = []
  const fsync = fs.fsyncSync
  const patched = (replacement: typeof fs.fsyncSync) => {
    fs.fsyncSync = replacement
    syncBuiltinESMExports()
  }
  t.teardown(() => patched(fsync))
  patched(descriptor => {
    synced.push(readlinkSync(`/proc/self/fd/${descriptor}`))
    fsync(descriptor)
  })
  const before = readdirSync('/proc/self/fd').length
  const to = join(folder, 'copy.db')
  copyStore(path, to)
  t.same(synced.splice(0), [`${to}.partial`, folder])
  const replacement = replacementOf(to, path)
  t.same(synced.splice(0).filter(name => name !== folder), [`${path}.next`])
  replacement.put()
  t.same(synced, [folder])
  t.equal(readdirSync('/proc/self/fd').length, before)
})
