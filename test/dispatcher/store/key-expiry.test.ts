import { join } from 'node:path'
import Database from 'better-sqlite3'
import t, { type Test } from 'tap'
import { SqliteDatabase } from '../../../dispatcher/store/sqlite-database.js'
import type { Draft } from '../../../protocol/comment.js'
import { memoryFolder } from '../../support/folder.js'

const NOW = Date.UTC(2026, 5, 1)
const HOUR = 3_600_000
const DAY = 24 * HOUR
let keys = 0
const draft = (): Draft => ({ videoId: 'v', authorId: 'ann', content: 'hello', key: `key-${keys++}` })

function open(t: Test) {
  const folder = memoryFolder(t)
  const database = new SqliteDatabase(join(folder, 'comments.db'), 0)
  const reader = new Database(join(folder, 'comments.db'), { readonly: true })
  t.teardown(() => {
    reader.close()
    database.close()
  })
  return {
    database,
    marks: () => reader.prepare('SELECT count(*) FROM key_ages').pluck().get() as number,
    kept: () => reader.prepare('SELECT count(*) FROM keys').pluck().get() as number,
    /** Commits of one draft each, at this clock. @returns the drafts */
    commits: (count: number, now: number) =>
      Array.from({ length: count }, () => {
        const one = draft()
        database.append([one], now)
        return one
      }),
  }
}

t.test('old keys go in small steps, young ones stay', async t => {
  const { database, kept, commits } = open(t)
  const { length } = database.append(Array.from({ length: 100 }, draft), NOW)
  commits(15, NOW) // the mark
  commits(16, NOW + DAY)
  t.equal(kept(), length + 31, 'none is known to be older than 24 hours')
  commits(15, NOW + DAY + HOUR)
  t.equal(kept(), length + 46, 'one of the last 16 commits says so still')
  commits(1, NOW + DAY + HOUR)
  t.equal(kept(), length + 47 - 2, 'two go for the one that comes')
  database.append(Array.from({ length: 200 }, draft), NOW + DAY + HOUR)
  t.equal(kept(), 32 + 200, 'what was made before the mark has gone, and nothing else')
})

t.test('the keys are marked every ten minutes, however many commits there are', async t => {
  const { marks, commits } = open(t)
  commits(40, NOW)
  commits(40, NOW + 599_999)
  t.equal(marks(), 1)
  commits(40, NOW + 600_000)
  t.equal(marks(), 2)
  commits(40, NOW + 3 * DAY)
  t.equal(marks(), 2, 'one came, and one went: its keys are old, and a later mark says so too')
})

t.test('a clock that is days off for a few commits forgets no key, ahead or behind', async t => {
  for (const wrong of [25 * HOUR, 365 * DAY, 80 * 365 * DAY, -25 * HOUR, -NOW]) {
    const { database, commits } = open(t)
    const early = commits(20, NOW)
    const underIt = commits(15, NOW + wrong)
    const late = commits(20, NOW + HOUR)
    for (const one of [...early, ...underIt, ...late]) t.match(database.append([one], NOW + HOUR), [{ kind: 'repeated' }])
  }
})

t.test('clocks that differ for good forget no key early', async t => {
  const { database, commits } = open(t)
  const all: Draft[] = []
  for (let i = 0; i < 64; i++) all.push(...commits(1, NOW + i * 1_000 + (i % 2) * 25 * HOUR))
  for (const one of all) t.match(database.append([one], NOW + HOUR), [{ kind: 'repeated' }])
})

t.test('keys that were made under a wrong clock stay no longer than others, and keep none behind them', async t => {
  for (const wrong of [365 * DAY, -365 * DAY]) {
    const { kept, commits } = open(t)
    commits(30, NOW + wrong)
    for (let day = 1; day <= 12; day++) commits(20, NOW + day * DAY)
    t.ok(kept() <= 4 * 20, `${kept()} of 270`)
  }
})

t.test('keys of a store that stood still go too, but the newest', async t => {
  const { database, kept, commits } = open(t)
  const [last] = commits(20, NOW).slice(-1)
  for (let i = 0; i < 40; i++) database.append([last!], NOW + 300 * DAY) // stores nothing new
  for (let i = 0; i < 40; i++) database.append([last!], NOW + 302 * DAY)
  t.equal(kept(), 1)
  t.match(database.append([last!], NOW + 302 * DAY), [{ kind: 'repeated' }])
})
