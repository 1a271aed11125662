import { existsSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import type { Backup } from '../../cli/backup.js'
import type { Restored } from '../../cli/restore.js'
import { SqliteDatabase } from '../../dispatcher/store/sqlite-database.js'
import { startCluster } from '../support/cluster.js'
import { operate } from '../support/operator.js'
import { Poster } from '../support/poster.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(230_000)

t.test('a running cluster is backed up, restored and exported', async t => {
  const cluster = await startCluster(t, ['--edges', '1'])
  const folder = t.testdir()
  symlinkSync(cluster.data, join(folder, 'data'))
  const path = join(folder, 'data', 'comments.db')
  const run = (...argv: string[]) => operate(argv, { folder })
  const json = async <T>(...argv: string[]) => {
    const { status, stdout, stderr } = await run(...argv, '--json')
    t.equal(status, 0, argv.join(' '), { stderr })
    return JSON.parse(stdout) as T
  }
  const errorOf = async (...argv: string[]) => {
    const { status, stdout, stderr } = await run(...argv, '--json')
    t.same([status, stdout], [1, ''], argv.join(' '))
    return (JSON.parse(stderr.trimEnd().split('\n').at(-1)!) as { error: { code: string; message: string } }).error
  }
  const generation = async () => (await json<{ expected: { generation: string } }>('store')).expected.generation

  await t.test('a backup has all that was acknowledged before, while posts come', async t => {
    const posting = new Poster(cluster, 'busy', 5)
    await until(() => posting.acknowledged.length > 20)
    const before = [...posting.acknowledged]
    const { file, id, comments, videos, bytes } = await json<Backup>('backup', 'first.db')
    await posting.stop()
    t.match({ file, videos }, { file: join(folder, 'first.db'), videos: 1 })
    t.ok(comments >= before.length && bytes > 10_000)
    const copy = new Database(file, { readonly: true })
    const ids = new Set(copy.prepare('SELECT id FROM comments').pluck().all().map(String))
    copy.close()
    t.same(before.filter(each => !ids.has(each)), [])
    t.equal(id, (await json<{ expected: { id: string } }>('store')).expected.id)
    t.match(await errorOf('backup', 'first.db'), { code: 'STORE_UNUSABLE', message: /is there already/ })
    t.match(await errorOf('backup', join('nowhere', 'x.db')), { code: 'STORE_UNUSABLE', message: /ENOENT/ })
    t.match(await errorOf('backup', 'x.db', '--store', 'absent.db'), { code: 'NO_STORE' })
  })

  await t.test('a restored cluster goes on: its viewers are told of the gap, and posts come after what was restored', async t => {
    for (const content of ['one', 'two']) await cluster.say('demo', content)
    await json<Backup>('backup', 'second.db')
    const viewer = await watchReady(t, cluster.stream('demo', '?recent=10'))
    for (const content of ['three', 'four']) await cluster.say('demo', content)
    await until(() => viewer.comments.length === 4)
    const was = await generation()
    const posting = new Poster(cluster, 'busy', 5)
    const restored = await json<Restored>('restore', 'second.db')
    await posting.stop()
    t.match(restored, { path, dispatchers: [/^dispatcher-[12]$/] })
    t.ok(existsSync(restored.replaced!), 'what was there is kept')
    t.not(restored.generation, was)
    t.equal(restored.generation, await generation())
    await until(async () => (await run('doctor')).status === 0, { timeoutMs: 20_000, what: 'the cluster is well' })
    t.same((await cluster.history('demo')).map(({ content }) => content), ['one', 'two'])
    const gap = await viewer.waitForEvent('gap')
    const { from, to } = JSON.parse(gap.data) as { from: string; to: string }
    t.ok(BigInt(to) < BigInt(from), 'it leads back')
    await cluster.say('demo', 'five')
    await until(() => viewer.comments.at(-1)?.content === 'five')
    t.same((await cluster.history('demo')).map(({ content }) => content), ['one', 'two', 'five'])
    const former = new Database(restored.replaced!, { readonly: true })
    t.equal(former.prepare("SELECT count(*) FROM comments WHERE video_id = 'demo'").pluck().get(), 4, 'and has all')
    former.close()
  })

  await t.test('what must not take its place does not', async t => {
    const other = join(folder, 'other.db')
    new SqliteDatabase(other, 0).close()
    const was = await generation()
    t.match(await errorOf('restore', 'other.db'), { code: 'ANOTHER_STORE', message: /the backup is of store \w+, and this cluster's is \w+/ })
    t.match(await errorOf('restore', 'second.db', '--store', 'other.db'), { code: 'ANOTHER_STORE', message: /^dispatcher-1, dispatcher-2 use another file than \S+other\.db \(from --store\)/ })
    t.match(await errorOf('restore', 'absent.db'), { code: 'NO_BACKUP' })
    writeFileSync(join(folder, 'broken.db'), readFileSync(join(folder, 'second.db')).subarray(0, 8_192))
    t.match(await errorOf('restore', 'broken.db'), { code: 'STORE_UNUSABLE', message: /broken\.db cannot be restored/ })
    t.match(await operate(['restore', 'second.db'], { folder: t.testdir() }), { status: 2, stderr: /which store is meant\?/ })
    t.equal(await generation(), was)
    t.same(readdirSync(cluster.data).filter(name => name.includes('.next')), [])
    await cluster.say('demo', 'six')
  })

  await t.test('a store that was destroyed is restored in the same way', async t => {
    const { comments } = await json<Backup>('backup', 'third.db')
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix)
    await until(async () => /is missing, and store/.test((await run('store')).stdout))
    const { stdout, status } = await run('restore', 'third.db')
    t.equal(status, 0)
    t.match(stdout, new RegExp(`^${path}: store \\w+, generation \\w+, ${comments} comments of 2 videos\\nIn use by dispatcher-[12]`))
    await until(async () => (await run('doctor')).status === 0, { timeoutMs: 20_000, what: 'the cluster is well' })
    await cluster.say('demo', 'seven')
    t.same((await cluster.history('demo')).slice(-2).map(({ content }) => content), ['six', 'seven'])
  })

  await t.test('an export has every comment once, in order, and goes on where it ended', async t => {
    const posters = Array.from({ length: 8 }, () => new Poster(cluster, 'long', 0))
    await until(() => posters.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0) > 450, { timeoutMs: 60_000 })
    await Promise.all(posters.map(poster => poster.stop()))
    const linesOf = (text: string) => text.trimEnd().split('\n').map(line => JSON.parse(line) as { id: string; videoId: string })
    const { stdout, stderr } = await run('export', 'long')
    const lines = linesOf(stdout)
    t.ok(lines.length > 450)
    t.same(lines.map(({ id }) => id), lines.map(({ id }) => id).sort((a, b) => Number(BigInt(a) - BigInt(b))))
    t.same(Object.keys(lines[0]!), ['id', 'videoId', 'authorId', 'content', 'createdAt'])
    t.equal(stderr, `${lines.length} comments; what comes later: --after ${lines.at(-1)!.id}\n`)
    const rest = linesOf((await run('export', 'long', '--after', lines[299]!.id)).stdout)
    t.same(rest, lines.slice(300))
    t.match(await run('export', 'long', '--after', lines.at(-1)!.id), { status: 0, stdout: '' })
    t.match(await run('export', 'nobody-said-anything'), { status: 0, stdout: '', stderr: '0 comments; what comes later: --after 0\n' })
  })
})
