import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import type { Copied } from '../../cli/copy/copy-store.js'
import { copyRows, type CopyState } from '../../cli/copy/copy-rows.js'
import { Progress } from '../../cli/copy/progress.js'
import { SqliteRows } from '../../cli/copy/sqlite-rows.js'
import { heldIdOf } from '../../dispatcher/store/held-draft.js'
import { SqliteDatabase } from '../../dispatcher/store/sqlite-database.js'
import type { Timed } from '../../dispatcher/store/store.js'
import { draft } from '../dispatcher/cast.js'
import { actIn, makeRoomForActs } from '../support/acted-file.js'
import { operate } from '../support/operator.js'

const NOW = Date.UTC(2026, 0, 1)

/** A file with so many comments of each video. */
function fill(path: string, videos: Readonly<Record<string, number>>, from = 0): void {
  const database = new SqliteDatabase(path, 1_000)
  for (const [videoId, count] of Object.entries(videos)) {
    const drafts = Array.from({ length: count }, (_, i) => i + from).map(n => draft(videoId, `${videoId} ${n}`, { key: `key-${n}`, ...(n % 2 ? { authorName: 'Ann' } : {}) }))
    database.append(drafts, NOW + from)
  }
  database.close()
}

function rowsOf(path: string, table: string, columns: string): unknown[] {
  const db = new Database(path, { readonly: true })
  try {
    return db.prepare(`SELECT ${columns} FROM ${table} ORDER BY video_id, id`).all()
  } finally {
    db.close()
  }
}

function equalStores(t: Test, one: string, other: string): void {
  t.same(rowsOf(other, 'comments', '*'), rowsOf(one, 'comments', '*'), 'rows')
  t.same(rowsOf(other, 'keys', 'video_id, author_id, key, id, created_at'), rowsOf(one, 'keys', 'video_id, author_id, key, id, created_at'), 'keys')
}

function files(t: Test): { folder: string; from: string; to: string; copy: (...flags: string[]) => ReturnType<typeof operate> } {
  const folder = t.testdir()
  const [from, to] = [join(folder, 'from.db'), join(folder, 'to.db')]
  return { folder, from, to, copy: (...flags) => operate(['store', 'copy', '--from', `sqlite:${from}`, '--to', `sqlite:${to}`, ...flags]) }
}

t.test('a store is copied with its ids, chain and keys, and again what has come since', async t => {
  const { from, to, copy } = files(t)
  fill(from, { cats: 700, dogs: 3 })
  const { status, stdout, stderr } = await copy('--json')
  t.equal(status, 0, stderr)
  t.match(JSON.parse(stdout) as Copied, { videos: 2, copied: 703, wereThere: 0 })
  equalStores(t, from, to)

  fill(from, { cats: 5, birds: 2 }, 1_000)
  t.match(JSON.parse((await copy('--json')).stdout), { videos: 3, copied: 7, wereThere: 703 })
  equalStores(t, from, to)
  t.match((await copy()).stdout, /^0 comments copied; 710 comments had been there\. Store \w+ has the same 3 videos, each checked by count and by hash\.\n$/)

  const store = new SqliteDatabase(to, 1_000)
  t.teardown(() => store.close())
  t.match(store.append([draft('cats', 'cats 1', { key: 'key-1', authorName: 'Ann' })], NOW), [{ kind: 'repeated' }], 'a key is known there')
  t.match(store.append([draft('cats', 'new', { key: 'new' })], NOW + 10_000), [{ kind: 'created', prev: (rowsOf(from, 'comments', 'max(id) AS id') as { id: number }[])[0]!.id }])
})

t.test('a copy that is stopped goes on where it was, and says where', async t => {
  const { from, to, copy } = files(t)
  fill(from, { cats: 1_200, dogs: 10 })
  const [source, target] = [SqliteRows.source(from), SqliteRows.target(to)]
  const stopping = new AbortController()
  const states: CopyState[] = []
  const state = await copyRows({ from: source, to: target, signal: stopping.signal, onProgress: state => {
    states.push(state)
    if (state.copied >= 500) stopping.abort()
  } })
  await Promise.all([source.close(), target.close()])
  t.ok(state.copied < 1_210 && state.videosDone < 2)
  t.match(JSON.parse((await copy('--json')).stdout), { copied: 1_210 - state.copied, wereThere: state.copied })
  equalStores(t, from, to)
})

t.test('a target with other comments in a video is refused before anything is written', async t => {
  const { from, to, copy } = files(t)
  fill(from, { cats: 3, dogs: 3 })
  fill(to, { dogs: 1, fish: 4 }, 50)
  const before = rowsOf(to, 'comments', '*')
  const { status, stderr } = await copy('--json')
  t.equal(status, 1)
  t.match(JSON.parse(stderr), { error: { code: 'OTHER_COMMENTS', message: /video dogs has other comments in .*to\.db.*nothing has been copied/ } })
  t.same(rowsOf(to, 'comments', '*'), before)

  rmSync(to)
  fill(to, { fish: 4 }, 50)
  t.equal((await copy()).status, 0, 'a video that the source does not have is left alone')
  t.equal(rowsOf(to, 'comments', '*').length, 6 + 4)
})

t.test('a change in the middle of what is there is found by its hash', async t => {
  const { from, to, copy } = files(t)
  fill(from, { cats: 10 })
  t.equal((await copy()).status, 0)
  const db = new Database(to)
  db.exec("UPDATE comments SET content = 'another' WHERE content = 'cats 4'")
  db.close()
  t.match((await copy()).stderr, /video cats has other comments/)
})

t.test('what is unknown to the target is carried where it has a column for it, and refused elsewhere', async t => {
  const { from, to, copy } = files(t)
  fill(from, { cats: 3 })
  const extend = (path: string) => {
    const db = new Database(path)
    db.exec('ALTER TABLE comments ADD COLUMN kind TEXT')
    db.close()
  }
  extend(from)
  const db = new Database(from)
  db.exec("UPDATE comments SET kind = 'pinned' WHERE content = 'cats 1'")
  db.close()
  fill(to, {})
  t.match((await copy()).stderr, /to\.db has no place for the column kind of comments: its tables are of an older version/)
  extend(to)
  t.equal((await copy()).status, 0)
  equalStores(t, from, to)
})

t.test('acts, what they have come to, and what keys remember are copied; what is erased later is erased at the target', async t => {
  const { from, to, copy } = files(t)
  fill(from, { cats: 8, dogs: 2 })
  fill(to, {})
  const db = new Database(to)
  makeRoomForActs(db)
  db.close()
  t.equal((await copy()).status, 0)
  const ids = (rowsOf(from, 'comments', 'video_id, id') as { video_id: string; id: number }[]).filter(row => row.video_id === 'cats').map(({ id }) => id)
  fill(from, { cats: 1 }, 100)
  const by = (rowsOf(from, 'comments', 'video_id, id') as { video_id: string; id: number }[]).filter(row => row.video_id === 'cats').at(-1)!.id
  actIn(from, 'cats', { target: ids[2]!, by, pinned: ids[5]! })
  t.match(JSON.parse((await copy('--json')).stdout), { copied: 1, wereThere: 10 })
  t.same(rowsOf(to, 'comments', '*'), rowsOf(from, 'comments', '*'))
  const [was, is] = [SqliteRows.source(from), SqliteRows.source(to)]
  t.match(await is.state('cats'), { settings: { closed: true }, pinned: ids[5], bans: { bob: 2_000_000_000_000 } })
  t.same(await is.state('cats'), await was.state('cats'))
  t.equal(await is.state('dogs'), undefined)
  t.same((await is.keys('cats')).get(by), (await was.keys('cats')).get(by))
  await Promise.all([was.close(), is.close()])
})

/** What a dispatcher does in a file. @param isHooked where there is a web hook */
function within<T>(path: string, work: (store: SqliteDatabase) => T, isHooked = false): T {
  const store = new SqliteDatabase(path, 1_000, true, isHooked)
  try {
    return work(store)
  } finally {
    store.close()
  }
}

/** A draft that a review has held. */
function suspect(videoId: string, name: string, fields: Partial<Timed> = {}): Timed {
  return { ...draft(videoId, `${name}, perhaps`, { key: name, authorId: name, ...fields }), review: 'hold' }
}

t.test('held comments are copied, and again what has been decided about them since', async t => {
  const { from, to, copy } = files(t)
  fill(from, { cats: 2 })
  const [approved, refused, erased, waiting] = ['approved', 'refused', 'erased', 'waiting'].map(name => suspect('cats', name, { authorName: 'Ann', content: `${name}, perhaps `.repeat(50) })) as [Timed, Timed, Timed, Timed]
  const alone = suspect('held', 'alone')
  within(from, store => store.append([waiting, approved, refused, erased, alone], NOW + 5))
  const heldIn = (path: string) => within(path, store => ['cats', 'held'].map(videoId => store.heldIn(videoId, 10)))
  const { stdout, stderr } = await copy('--json')
  t.match(JSON.parse(stdout), { videos: 2, copied: 2, held: 5 }, stderr)
  t.equal(heldIn(to).flat().length, 5)
  t.same(heldIn(to), heldIn(from), 'in their order, also of a video without comments')

  const before = within(to, store => store.held('cats', heldIdOf(waiting)))
  within(from, store => {
    t.match(store.append([{ ...approved, review: 'approve' }], NOW + 10), [{ kind: 'created' }])
    store.refuseHeld('cats', heldIdOf(refused), 'be kind', NOW + 11)
    store.eraseHeld('erased')
    store.append([suspect('cats', 'later')], NOW + 12)
  })
  t.match((await copy()).stdout, /^1 comment copied; 2 comments had been there\. Store \w+ has the same 2 videos, with 3 held comments, each checked by count and by hash\.\n$/)
  t.same(heldIn(to), heldIn(from))
  t.notMatch(readFileSync(to, 'latin1'), /(refused|erased), perhaps/, 'no text is left of what was refused or erased')
  within(to, store => {
    for (const held of [approved, refused, erased, waiting]) t.same(store.held('cats', heldIdOf(held)), within(from, ours => ours.held('cats', heldIdOf(held))), held.key)
    t.same(store.held('cats', heldIdOf(waiting)), before)
    t.match(store.append([approved, refused], NOW + 20), [{ kind: 'repeated' }, { kind: 'refused', reason: 'be kind' }], 'who repeats a post is told')
    t.match(store.append([{ ...waiting, review: 'approve' }], NOW + 21), [{ kind: 'created' }])
  })
})

t.test('a web hook goes on where it was, also where it has moved on since', async t => {
  const { from, to, copy } = files(t)
  fill(from, { cats: 2 })
  const post = (...videoIds: string[]) => within(from, store => store.append(videoIds.map((videoId, n) => draft(videoId, 'news', { key: `${n} ${Math.random()}` })), NOW + 1_000), true)
  const held = [suspect('held', 'one'), suspect('held', 'two'), suspect('held', 'three')]
  post('cats', 'dogs', 'dogs', 'fish')
  const other = suspect('other', 'other')
  within(from, store => store.append([...held, other], NOW), true)
  const unsent = (path: string) => within(path, store => ({ due: store.unsentVideos(undefined), of: ['cats', 'dogs', 'fish', 'held', 'other'].map(videoId => store.unsent(videoId, 10)) }))
  const taken = (videoId: string) => within(from, store => store.noteTaken({ entries: new Map([[videoId, store.lastId(videoId)]]), held: [] }))
  taken('fish')
  t.equal((await copy()).status, 0)
  t.same(unsent(from).due.videoIds, ['cats', 'dogs', 'held', 'other'])
  t.same(unsent(to), unsent(from))

  within(from, store => {
    const [one, two] = [0, 1].map(n => store.held('held', heldIdOf(held[n]!))!)
    store.noteTaken({ entries: new Map(), held: [one!, two!, store.held('other', heldIdOf(other))!] })
    store.refuseHeld('held', two!.id, undefined, NOW + 1)
  }, true)
  taken('dogs')
  post('fish')
  t.equal((await copy()).status, 0)
  t.same(unsent(from).due.videoIds, ['cats', 'fish', 'held'])
  t.same(unsent(from).of[3]?.held.map(({ decided }) => decided !== undefined).sort(), [false, true])
  t.same(unsent(to), unsent(from))

  within(to, store => store.noteTaken({ entries: new Map([['cats', store.lastId('cats')]]), held: [] }))
  const before = unsent(to)
  t.equal((await copy()).status, 0)
  t.same(unsent(to), before, 'what was taken stays so')
})

t.test('of each table all is copied but what is named here', async t => {
  const { from, to, copy } = files(t)
  fill(from, { cats: 20 })
  within(from, store => {
    const acts: Timed['act'][] = [{ type: 'settings', settings: { closed: true, slowModeSeconds: 5, signedInOnly: false } }, { type: 'pinned', target: store.lastId('cats') }, { type: 'author-banned', authorId: 'bob', until: NOW + 1e9 }]
    store.append(acts.map((act, n) => ({ ...draft('cats', '', { key: `act ${n}` }), act })), NOW + 100)
    store.append([suspect('cats', 'one'), suspect('cats', 'two'), draft('cats', 'of a moderator', { key: 'mod' })], NOW + 100)
    store.refuseHeld('cats', heldIdOf(suspect('cats', 'two')), 'no', NOW + 101)
  }, true)
  within(from, store => Array.from({ length: 20 }, () => store.append([draft('dogs')], NOW))) // until the keys' ages are marked
  t.equal((await copy()).status, 0)
  /** Each with what is not copied of it; null: nothing is. */
  const not: Record<string, readonly string[] | null> = { store: null, key_ages: null, keys: ['n'], held: ['n', 'decided_at'] }
  const [ours, theirs] = [new Database(from, { readonly: true }), new Database(to, { readonly: true })]
  t.teardown(() => [ours, theirs].forEach(db => db.close()))
  const tables = ours.prepare<[], string>("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
  for (const table of tables) {
    const rows = (db: Database.Database) =>
      db
        .prepare<[], Record<string, unknown>>(`SELECT * FROM ${table}`)
        .all()
        .map(row => JSON.stringify(Object.entries(row).filter(([column]) => !not[table]?.includes(column))))
        .sort()
    t.not(rows(ours).length, 0, `there is something in ${table}`)
    if (not[table] !== null) t.same(rows(theirs), rows(ours), table)
  }
})

t.test('a ban that has ended since is not left at the target', async t => {
  const { from, to, copy } = files(t)
  const ban = (until: number) => within(from, store => store.append([{ ...draft('cats', '', { key: `ban ${until}` }), act: { type: 'author-banned', authorId: 'bob', until } }], NOW))
  const bans = (path: string) => within(path, store => [...store.state('cats', NOW).bans])
  ban(NOW + 1e9)
  t.equal((await copy()).status, 0)
  t.same(bans(to), [['bob', NOW + 1e9]])
  ban(0)
  t.equal((await copy()).status, 0)
  t.same([bans(from), bans(to)], [[], []])
})

t.test('a file of before held comments and web hooks is copied', async t => {
  const { from, to, copy } = files(t)
  fill(from, { cats: 3 })
  const db = new Database(from)
  for (const table of ['held', 'hook_videos', 'hook_held']) db.exec(`DROP TABLE ${table}`)
  db.close()
  t.match(await copy(), { status: 0, stderr: '' })
  equalStores(t, from, to)
})

t.test('a copy that is stopped before the web hook\'s place is not whole, and one that is not what was read is no copy', async t => {
  const { from, to } = files(t)
  within(from, store => store.append([draft('cats'), suspect('cats', 'one')], NOW), true)
  const [source, target] = [SqliteRows.source(from), SqliteRows.target(to)]
  t.teardown(() => Promise.all([source.close(), target.close()]))
  const stopping = new AbortController()
  const stopped = await copyRows({ from: source, to: target, signal: stopping.signal, onProgress: ({ videosDone }) => (videosDone === 1 ? stopping.abort() : undefined) })
  t.match(stopped, { videosDone: 1, isWhole: false })
  const again = () => copyRows({ from: source, to: target, signal: new AbortController().signal, onProgress: () => {} })
  /** Loses what is written by that. */
  const losing = async (method: 'setHeld' | 'setHookPlace') => {
    target[method] = () => Promise.resolve()
    await t.rejects(again(), { name: 'UnlikeError' }, method)
    delete (target as Partial<SqliteRows>)[method]
  }
  await losing('setHookPlace')
  t.match(await again(), { isWhole: true, held: 1 })
  within(from, store => store.append([suspect('cats', 'two')], NOW), true)
  await losing('setHeld')
  t.match(await again(), { isWhole: true, held: 2 })
})

t.test('what cannot be is said clearly', async t => {
  const { folder, from, to, copy } = files(t)
  t.match(await operate(['store', 'copy', '--from', `sqlite:${from}`]), { status: 2, stderr: /which stores\?/ })
  t.match(await copy(), { status: 1, stderr: /--from: there is no store at .*from\.db/ })
  fill(from, { cats: 1 })
  t.match(await operate(['store', 'copy', '--from', `sqlite:${from}`, '--to', `sqlite:${from}`]), { status: 2, stderr: /name one store/ })
  t.match(await operate(['store', 'copy', '--from', `sqlite:${from}`, '--to', 'redis://x']), { status: 2, stderr: /--to: must be sqlite:PATH/ })
  writeFileSync(to, 'this is no database, whatever its name says')
  t.match(await copy(), { status: 1, stderr: /--to: file is not a database/ })
  const other = join(folder, 'other.db')
  new Database(other).exec('CREATE TABLE music (name TEXT)').close()
  t.match(await operate(['store', 'copy', '--from', `sqlite:${from}`, '--to', `sqlite:${other}`]), { status: 1, stderr: /is no store of comments/ })
  t.match(await operate(['store', 'copy', '--from', `sqlite:${from}`, '--to', 'cassandra://127.0.0.1:1/comments?dc=datacenter1']), { status: 1, stderr: /--to: cassandra:\/\/127\.0\.0\.1:1\/comments: no node answers/ })
})

t.test('progress is a bar on a terminal, and a line now and then elsewhere', async t => {
  const state: CopyState = { videosDone: 1, videos: 4, copied: 400, wereThere: 100, comments: 2_000, held: 0, isWhole: false }
  let [now, written] = [0, '']
  const progress = (isTerminal: boolean) => new Progress({ write: text => (written += text), isTerminal, now: () => now })
  const bar = progress(true)
  now = 1_000
  bar.show(state)
  bar.show(state)
  bar.end()
  t.equal(written, '\r\x1b[K[########----------------------] 25%: 500 of 2,000 comments, 1 of 4 videos, 400/s\r\x1b[K')
  written = ''
  const lines = progress(false)
  now += 1_000
  lines.show(state)
  now += 4_000
  lines.show({ ...state, comments: undefined })
  lines.end()
  t.equal(written, '25%: 500 comments, 1 of 4 videos, 80/s\n')
})
