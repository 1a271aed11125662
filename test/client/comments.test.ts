import t from 'tap'
import { Comments, type Comment } from '../../client/comments.js'
import { startOneProcess } from '../support/one-process.js'
import { until } from '../support/until.js'

t.test('watching, posting, paging back and counting viewers, against the real parts', async t => {
  const { url } = startOneProcess(t)
  const comments = new Comments(`${url}/`, 'demo')
  t.after(() => comments.close())
  const seen: Comment[] = []
  const live: boolean[] = []
  comments.on('comment', (comment, isLive) => {
    seen.push(comment)
    live.push(isLive)
  })
  await until(() => comments.state.is === 'live')
  const { id, createdAt } = (await comments.post('hello', 'ann')) as Comment
  for (let i = 0; i < 5; i++) await comments.post(`${i}`)
  await until(() => seen.length === 6)
  t.same(seen[0], { id, authorId: 'ann', content: 'hello', createdAt })
  t.ok(live.every(each => each))
  const ids = seen.map(({ id }) => id)

  const before = await comments.page({ before: ids[5]!, size: 3 })
  t.same(before.comments.map(({ id }) => id), ids.slice(2, 5))
  t.ok(before.more)
  const after = await comments.page({ after: id })
  t.same(after.comments.map(({ id }) => id), ids.slice(1))
  t.notOk(after.more)
  t.same((await comments.page({ size: 1 })).comments.map(({ id }) => id), ids.slice(5))

  const at = createdAt + 1
  t.same((await comments.page({ since: at })).comments.map(({ id }) => id), seen.filter(({ createdAt }) => createdAt >= at).map(({ id }) => id), 'from a time on')
  t.same((await comments.page({ until: at })).comments.map(({ id }) => id), seen.filter(({ createdAt }) => createdAt < at).map(({ id }) => id), 'and before it')
  t.same((await comments.page({ until: 0 })).comments, [])
  t.equal((await comments.page({ since: 0 })).comments.length, 6)
  t.same((await comments.page({ since: 8_000_000_000_000 })).comments, [], 'after all that an id can say')

  await until(() => comments.viewers === 1)
  await t.rejects(comments.post('  '), { code: 'BAD_COMMENT', status: 400 })

  const late: [string, boolean][] = []
  const other = new Comments(url, 'demo', { recent: 2 })
  t.after(() => other.close())
  other.on('comment', ({ id }, isLive) => late.push([id, isLive]))
  await until(() => other.state.is === 'live')
  t.same(late, [[ids[4], false], [ids[5], false]], 'it begins with the newest')
})

t.test('a cursor that the server does not know is given up for its newest comment', async t => {
  const cluster = startOneProcess(t)
  const { id } = await cluster.say('demo', 'old')
  const comments = new Comments(cluster.url, 'demo', { after: '9000000000000000' })
  t.after(() => comments.close())
  const rewinds: unknown[] = []
  const seen: string[] = []
  comments.on('rewind', rewind => rewinds.push(rewind))
  comments.on('comment', ({ content }) => seen.push(content))
  await until(() => comments.state.is === 'live')
  t.same(rewinds, [{ from: '9000000000000000', to: id }])
  await comments.post('new')
  await until(() => seen.length > 0)
  t.same(seen, ['new'])
})

t.test('a video id that is none is refused for good', async t => {
  const { url } = startOneProcess(t)
  const comments = new Comments(url, 'not a video')
  t.after(() => comments.close())
  comments.on('comment', () => {})
  await until(() => comments.state.is === 'refused')
  t.match(comments.state, { error: { code: 'BAD_VIDEO_ID', status: 400 } })
})

t.test('whoever asks for fewer comments is told of the others, and shows all again from the same place', async t => {
  const cluster = startOneProcess(t)
  const comments = new Comments(cluster.url, 'busy', { maxRate: 5 })
  t.after(() => comments.close())
  const told: { readonly from?: string; readonly to: string; readonly count: number }[] = []
  const states: string[] = []
  comments.on('comment', ({ id }) => told.push({ to: id, count: 1 }))
  comments.on('skipped', skipped => told.push(skipped))
  comments.on('gap', () => t.fail('a gap'))
  comments.on('state', ({ is }) => states.push(is))
  await until(() => comments.state.is === 'live')
  const count = () => told.reduce((sum, { count }) => sum + count, 0)
  const post = (many: number) => Promise.all(Array.from({ length: many }, (_, i) => cluster.say('busy', `comment ${i}`)))
  await post(60)
  await until(() => count() === 60)
  t.ok(told.some(({ from }) => from !== undefined))
  t.equal(comments.maxRate, 5)
  const stored = (await cluster.history('busy')).map(({ id }) => id)
  t.same(stored.filter(id => !told.some(({ from, to }) => (from === undefined ? id === to : Number(id) > Number(from) && Number(id) <= Number(to)))), [], 'all are shown or named')

  comments.maxRate = undefined
  await until(() => states.join().endsWith('connecting,catching up,live'))
  const before = told.length
  await post(30)
  await until(() => count() === 90)
  t.ok(told.slice(before).every(({ from }) => from === undefined), 'and none of what was left out comes again')
  t.equal(told.length, before + 30)
})
