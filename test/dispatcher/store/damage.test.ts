import { closeSync, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { SqliteDatabase } from '../../../dispatcher/store/sqlite-database.js'
import { SqliteStore } from '../../../dispatcher/store/sqlite.js'
import type { Draft } from '../../../protocol/comment.js'
import { DEFAULT_SETTINGS } from '../../../protocol/entry.js'
import { MAX_CURSOR } from '../../../protocol/id.js'
import { memoryFolder } from '../../support/folder.js'
import { killed } from './damaged-file.js'
import { oneVideoDamage, tryDamage, type Seen } from './try-damage.js'

const NOW = Date.UTC(2026, 5, 1)
const ALL = { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 1_000 }
const PAGE_BYTES = 4096
const VIDEOS = Array.from({ length: 20 }, (_, i) => `video-${i}`)
let keys = 0
const draft = (videoId: string, content = 'hello'): Draft => ({ videoId, authorId: 'ann', content, key: `key-${keys++}` })

/** A closed file with 30 long comments of each video. */
function filled(t: Test): string {
  const path = join(memoryFolder(t), 'comments.db')
  const database = new SqliteDatabase(path, 0)
  for (let i = 0; i < 30; i++) database.append(VIDEOS.map(video => draft(video, `${video} says ${i} ${'.'.repeat(700)}`)), NOW)
  database.close()
  return path
}

/** Numbers of the pages that hold this text, from 0. */
function pagesWith(path: string, text: string): number[] {
  const bytes = readFileSync(path)
  return Array.from({ length: bytes.length / PAGE_BYTES }, (_, i) => i).filter(i => bytes.subarray(i * PAGE_BYTES, (i + 1) * PAGE_BYTES).includes(text))
}

function overwrite(path: string, page: number): void {
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(PAGE_BYTES, 0xaa), 0, PAGE_BYTES, page * PAGE_BYTES)
  closeSync(file)
}

function open(t: Test, path: string) {
  const damaged: [string, string][] = []
  const troubles: (string | undefined)[] = []
  const store = new SqliteStore(path, { deadlineMs: 60_000, onDamage: (videoId, reason) => damaged.push([videoId, reason]), onTrouble: reason => troubles.push(reason) })
  t.teardown(() => store.close())
  return { store, damaged, troubles }
}

t.test('a damaged page is the trouble of its own video: posts, pages and last ids of the others are as ever', async t => {
  const path = filled(t)
  // Where the next comment of this video would go.
  const [page] = pagesWith(path, 'video-7 says 29')
  overwrite(path, page!)
  const { store, damaged, troubles } = open(t, path)
  const outcomes = await store.append(VIDEOS.map(video => draft(video)), NOW)
  t.match(outcomes.map(({ kind }, i) => [VIDEOS[i], kind]), VIDEOS.map(video => [video, video === 'video-7' ? 'failed' : 'created']))
  t.match(outcomes[7], { reason: 'SQLITE_CORRUPT' })
  const last = await store.lastIds(VIDEOS)
  t.same([...last.keys()], VIDEOS.filter(video => video !== 'video-7'))
  for (const [i, video] of VIDEOS.entries()) {
    const read = store.page(video, { ...ALL, newestFirst: true, limit: 20 })
    if (video === 'video-7') t.match(await read.catch((error: unknown) => error), { code: 'STORE_UNAVAILABLE', videoId: 'video-7', unknown: false })
    else t.equal((await read)[0]!.comment.id, (outcomes[i] as { comment: { id: number } }).comment.id)
  }
  const keys = new Database(path, { readonly: true })
  const key = keys.prepare<[], string>("SELECT key FROM keys WHERE video_id = 'video-7' ORDER BY n DESC").pluck().get()!
  keys.close()
  for (const read of [() => store.madeBy({ ...draft('video-7'), key }), () => store.lastPostedAt('video-7', 'ann')]) {
    t.match(await read().catch((error: unknown) => error), { code: 'STORE_UNAVAILABLE', videoId: 'video-7', unknown: false })
  }
  t.equal(await store.lastPostedAt('video-6', 'ann'), NOW)
  t.match(damaged, Array.from({ length: 5 }, () => ['video-7', 'SQLITE_CORRUPT']))
  t.same(troubles, [], 'the store as a whole is well')
})

t.test('what one draft of a group cannot have does not cost the others a thing, in whatever order, again and again', async t => {
  const path = filled(t)
  for (const video of ['video-3', 'video-11']) overwrite(path, pagesWith(path, `${video} says 29`)[0]!)
  const { store } = open(t, path)
  for (let round = 0; round < 3; round++) {
    for (const order of [VIDEOS, VIDEOS.toReversed()]) {
      const drafts = order.flatMap(video => [draft(video), draft(video)])
      const outcomes = await store.append(drafts, NOW)
      const failed = drafts.filter((_, i) => outcomes[i]!.kind === 'failed').map(({ videoId }) => videoId)
      t.same([...new Set(failed)].sort(), ['video-11', 'video-3'])
      t.ok(outcomes.every(({ kind }) => kind === 'created' || kind === 'failed'))
      // Each is there, once, in its chain.
      for (const video of ['video-2', 'video-12']) {
        const newest = await store.page(video, { ...ALL, newestFirst: true, limit: 3 })
        t.same(newest.slice(0, 2).map(({ comment }) => comment), drafts.flatMap((each, i) => (each.videoId === video ? [(outcomes[i] as { comment: object }).comment] : [])).reverse())
        t.equal(newest[0]!.prev, newest[1]!.comment.id)
      }
    }
  }
})

t.test('damage to more videos than a group is begun anew for is known at once, and is theirs alone', async t => {
  const path = filled(t)
  const bad = VIDEOS.slice(0, 12)
  for (const video of bad) overwrite(path, pagesWith(path, `${video} says 29`)[0]!)
  const outcomes = await open(t, path).store.append(VIDEOS.map(video => draft(video)), NOW)
  t.same(outcomes.map(({ kind }) => kind), VIDEOS.map(video => (bad.includes(video) ? 'failed' : 'created')))
})

t.test('damage among the old keys is no reason to refuse a post, whenever they may go', async t => {
  const oldest = `key-${keys}`
  const path = filled(t)
  const TABLE_LEAF = 0x0d
  const bytes = readFileSync(path)
  overwrite(path, pagesWith(path, oldest).find(page => bytes[page * PAGE_BYTES] === TABLE_LEAF)!)
  const database = new SqliteDatabase(path, 0)
  t.teardown(() => database.close())
  for (let i = 0; i < 20; i++) t.match(database.append([draft('video-1')], NOW + 26 * 3_600_000), [{ kind: 'created' }])
})

t.test('a video whose ids are used up takes no more posts; what can be read of it is read, and other videos are as ever', async t => {
  const path = filled(t)
  const poison = new Database(path)
  const { newest } = poison.prepare("SELECT max(id) AS newest FROM comments WHERE video_id = 'video-1'").get() as { newest: number }
  // As a clock of 2106 left it.
  poison.exec(`INSERT INTO comments (video_id, id, prev, author_id, content, created_at, author_name) VALUES ('video-1', 10482706022400000, ${newest}, 'ann', 'poison', 4294944000000, NULL)`)
  poison.exec(`INSERT INTO comments (video_id, id, prev, author_id, content, created_at, author_name) VALUES ('video-2', ${MAX_CURSOR}, 5, 'ann', 'the last there is', 4294944000000, NULL)`)
  poison.close()
  const { store, damaged } = open(t, path)
  for (let i = 0; i < 2; i++) {
    t.match(await store.append([draft('video-0'), draft('video-1'), draft('video-2'), draft('video-3')], NOW), [{ kind: 'created' }, { kind: 'failed', reason: 'IDS_EXHAUSTED' }, { kind: 'failed', reason: 'IDS_EXHAUSTED' }, { kind: 'created' }])
  }
  t.same((await store.lastIds(['video-1', 'video-2'])), new Map([['video-1', newest], ['video-2', MAX_CURSOR]]))
  t.equal((await store.page('video-1', ALL)).at(-1)!.comment.id, newest)
  t.same(damaged, Array.from({ length: 2 }, () => [['video-1', 'IDS_EXHAUSTED'], ['video-2', 'IDS_EXHAUSTED']]).flat())
})

t.test('flipped bits, cut files, foreign pages: no answer but what was stored, other words at most, or an error that says so', async t => {
  const files = killed(t)
  const folder = join(memoryFolder(t), 'store')
  const [found, quick] = [[673], Array.from({ length: 90 }, (_, i) => i)]
  const seen: Seen[] = []
  for (const seed of [...found, ...quick]) seen.push(await tryDamage(files, folder, seed, seed % 15 === 0))
  t.same(seen.flatMap(({ wrong }) => wrong), [])
  const sum = (of: 'right' | 'altered' | 'failed') => seen.reduce((all, each) => all + each[of], 0)
  t.ok(sum('failed') > 50 && sum('right') > 30_000, 'it was damaged, and much of it can be read')
  t.comment(`${seen.length} stores: ${sum('right')} comments right, ${sum('altered')} altered, ${sum('failed')} errors`)
})

t.test("flipped bits in a page of one video's comments: all others are as ever", async t => {
  const tryOne = oneVideoDamage(t)
  const seen = Array.from({ length: 60 }, (_, seed) => tryOne(seed))
  t.same(seen.flatMap(({ wrong }) => wrong), [])
  t.ok(seen.filter(({ failed }) => failed > 0).length > 15, 'it was damaged')
})

t.test('what is no time, no text, no id or no act in a row is no entry', async t => {
  const path = filled(t)
  const other = new Database(path)
  const damages = ['created_at = 9e999', "content = x'00'", "author_id = x'05'", "author_name = x''", 'prev = id', "prev = 'x'", "entry = 'x'", "entry = '3'", "entry = 'null'", `entry = '{"deletedBy":"x"}'`]
  damages.forEach((damage, i) => other.exec(`UPDATE comments SET ${damage} WHERE video_id = 'video-${i}'`))
  other.close()
  const { store } = open(t, path)
  for (const [i, damage] of damages.entries()) await t.rejects(store.page(`video-${i}`, ALL), { code: 'STORE_UNAVAILABLE' }, damage)
})

t.test('settings that cannot be read are the trouble of their own video', async t => {
  const path = filled(t)
  const other = new Database(path)
  for (const [i, settings] of ['{', '{"slowModeSeconds":-1}', '3'].entries()) other.prepare('INSERT INTO video_states (video_id, settings) VALUES (?, ?)').run(`video-${i}`, settings)
  other.prepare('INSERT INTO video_states (video_id, pinned) VALUES (?, ?)').run('video-3', 'x')
  other.close()
  const { store, damaged } = open(t, path)
  t.match(await store.state(VIDEOS.slice(0, 5), NOW), new Map(['video-3', 'video-4'].map(video => [video, { settings: DEFAULT_SETTINGS, pinned: undefined }])))
  t.same(damaged, [0, 1, 2].map(i => [`video-${i}`, 'ROW_DAMAGED']))
})
