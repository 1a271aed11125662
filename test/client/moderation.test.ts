import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Comments, type CommentsOptions, type Post } from '../../client/comments.js'
import { Random } from '../support/random.js'
import { until } from '../support/until.js'
import { FakeServer, refusal } from './fake-server.js'
import { hurry } from './fast-time.js'

t.setTimeout(60_000)
// A second of the client is 10 ms here.
hurry(100)

const SETTINGS = { slowModeSeconds: 30, closed: false, signedInOnly: true }

function watch(t: Test, server: FakeServer, options: CommentsOptions = {}) {
  const comments = new Comments('http://test', 'demo', { fetch: server.fetch, ...options })
  t.after(() => comments.close())
  /** What a page shows: the newest 200 that were told, less those that were deleted. */
  const shown = new Set<string>()
  const told: string[] = []
  const gaps: [number, number][] = []
  comments.on('comment', ({ id }) => {
    shown.add(id)
    for (const oldest of shown) if (shown.size > 200) shown.delete(oldest)
    told.push(`comment ${id}`)
  })
  comments.on('deleted', id => {
    shown.delete(id)
    told.push(`deleted ${id}`)
  })
  comments.on('pinned', comment => told.push(`pinned ${comment?.id}`))
  comments.on('settings', ({ slowModeSeconds }) => told.push(`settings ${slowModeSeconds}`))
  comments.on('gap', ({ from, to }) => gaps.push([Number(from), Number(to)]))
  return { comments, shown, told, gaps }
}

t.test('acts come in their order, and once; `ready` says what holds now', async t => {
  const server = new FakeServer(new Random(1))
  const [one, two] = [server.say('one'), server.say('two')]
  const { comments, told } = watch(t, server)
  await until(() => comments.state.is === 'live')
  t.same(comments.settings, { slowModeSeconds: 0, closed: false, signedInOnly: false })
  server.pin(two.id)
  server.set(SETTINGS)
  server.remove(one.id)
  await until(() => told.includes(`deleted ${one.id}`))
  t.same(told, [`comment ${one.id}`, `comment ${two.id}`, 'settings 0', `pinned ${two.id}`, 'settings 30', `deleted ${one.id}`])
  t.same([comments.settings, comments.pinned?.content], [SETTINGS, 'two'])

  server.end()
  server.pin(undefined)
  await until(() => comments.pinned === undefined)
  await until(() => comments.state.is === 'live')
  t.same(told.slice(6), ['pinned undefined'], 'what it knows already is not told again')

  const late = watch(t, server)
  await until(() => late.comments.state.is === 'live')
  t.same(late.told, [`deleted ${one.id}`, `comment ${two.id}`, `pinned ${two.id}`, 'settings 30', `deleted ${one.id}`, 'pinned undefined'])
  t.same([...late.shown], [two.id])
})

t.test('a held post is answered as such, and those behind it go on; moderators read what is held, and decide', async t => {
  const server = new FakeServer(new Random(5))
  const { comments } = watch(t, server)
  server.onPost = content => (content === 'perhaps' ? Response.json({ held: true, idempotencyKey: 'k' }, { status: 202 }) : undefined)
  const [held, stored] = await Promise.all([comments.post('perhaps'), comments.post('fine')])
  t.match(held, { held: true })
  t.match(stored, { content: 'fine' })
  t.same(comments.posts, [])
  server.held = [{ id: 'ab', authorId: 'ann', content: 'perhaps', heldAt: 5 }]
  t.same(await comments.held(), server.held)
  await comments.decide('ab', 'approve')
  await comments.decide('ab', 'refuse', 'be kind')
  t.same(server.asked, ['PUT /comments/demo/held/ab {"decision":"approve"}', 'PUT /comments/demo/held/ab {"decision":"refuse","reason":"be kind"}'])
})

t.test('a pinned comment that is deleted is pinned no more', async t => {
  const server = new FakeServer(new Random(2))
  const { id } = server.say('one')
  server.pinned = server.comments[0]!
  const { comments, told } = watch(t, server)
  await until(() => comments.pinned !== undefined && comments.state.is === 'live')
  server.remove(id)
  await until(() => comments.pinned === undefined)
  t.same(told.slice(-2), [`pinned undefined`, `deleted ${id}`])
})

t.test('a loop passes over a comment that was deleted while it waited, and tombstones of history', async t => {
  const server = new FakeServer(new Random(3))
  const comments = new Comments('http://test', 'demo', { fetch: server.fetch, recent: 0 })
  t.after(() => comments.close())
  let go = () => {}
  const gate = new Promise<void>(resolve => (go = resolve))
  const read: string[] = []
  const gone: string[] = []
  comments.on('deleted', id => gone.push(id))
  void (async () => {
    for await (const { content } of comments) {
      read.push(content)
      await gate
    }
  })()
  await until(() => comments.state.is === 'live')
  for (let i = 0; i < 1_500; i++) server.say(`${i}`)
  await until(() => read.length === 1)
  // One of those that wait, a whole page of history that is behind them, and the last.
  const deleted = server.comments.filter((_, i) => i === 5 || (i >= 1_100 && i < 1_350) || i === 1_499)
  for (const { id } of deleted) server.remove(id)
  await until(() => gone.length === deleted.length)
  go()
  server.say('last')
  await until(() => read.at(-1) === 'last')
  t.same(read, server.comments.filter(({ deleted }) => !deleted).map(({ content }) => content))

  const page = await comments.page({ size: 100, before: server.comments[1_340]!.id })
  t.same([page.comments.length, page.comments.at(-1)?.content], [60, '1099'], 'a page is never of tombstones alone')
  t.equal(page.deleted.length, 240)
})

t.test('after a gap, which can hide deletions, the client asks for what it has told', async t => {
  const server = new FakeServer(new Random(4))
  const first = server.say('first')
  const second = server.say('second')
  const { comments, shown, told, gaps } = watch(t, server, { fill: 0 })
  await until(() => comments.state.is === 'live')
  server.end()
  server.remove(first.id)
  for (let i = 0; i < 20; i++) server.say(`${i}`)
  await until(() => !shown.has(first.id), { what: 'it is gone' })
  t.ok(shown.has(second.id))
  t.equal(gaps.length, 1, '`fill: 0` leaves gaps to the page')
  const asked = server.requests['history']!
  server.remove(second.id)
  await until(() => !shown.has(second.id))
  t.equal(server.requests['history'], asked, 'without a gap the stream says it')

  // What a page has read back by itself is its own to check.
  const count = told.length
  await comments.check([first.id, second.id])
  t.same(told.slice(count), [`deleted ${first.id}`, `deleted ${second.id}`])
})

t.test('whatever breaks, what is shown in the end is what is there', async t => {
  await Promise.all(
    Array.from({ length: 20 }, async (_, seed) => {
      const random = new Random(seed)
      const server = new FakeServer(random.fork())
      const { comments, shown, gaps } = watch(t, server, { after: '0' })
      server.faults = { unreachable: 0.1, refused: 0.1, ended: 0.02, repeated: 0.2, left: 0.2, unanswered: 0 }
      for (let i = 0; i < 80; i++) {
        await sleep(random.below(5))
        const target = server.comments[random.below(server.comments.length || 1)]
        if (random.chance(0.3) && target && !target.deleted) server.remove(target.id)
        else for (let burst = random.chance(0.1) ? 30 : 1; burst > 0; burst--) server.say(`${i}`)
        if (random.chance(0.1)) server.set({ ...SETTINGS, slowModeSeconds: i })
      }
      server.calm()
      const last = server.say('last')
      const there = () => server.comments.filter(({ id, deleted }) => !deleted && !gaps.some(([from, to]) => Number(id) > from && Number(id) <= to && !shown.has(id))).map(({ id }) => id)
      const isRight = () => shown.has(last.id) && [...shown].join() === there().slice(-shown.size).join()
      await until(isRight, { what: `seed ${seed} shows ${shown.size} of ${there().length}`, timeoutMs: 5_000 })
      comments.close()
    }),
  )
  t.pass()
})

t.test('a moderator deletes, pins, sets and bans; what the server refuses is thrown', async t => {
  const server = new FakeServer(new Random(5))
  server.token = 'hers'
  const comments = new Comments('http://test', 'demo', { fetch: server.fetch, token: () => 'hers' })
  t.after(() => comments.close())
  await comments.remove('7')
  await comments.pin('8')
  await comments.pin(undefined)
  await comments.set(SETTINGS)
  await comments.ban('ann/b', 600)
  await comments.ban('ann', 0)
  t.same(server.asked, [
    'DELETE /comments/demo/7',
    'PUT /comments/demo/pin {"commentId":"8"}',
    'PUT /comments/demo/pin {"commentId":null}',
    `PUT /comments/demo/settings ${JSON.stringify(SETTINGS)}`,
    'PUT /comments/demo/bans/ann%2Fb {"forSeconds":600}',
    'DELETE /comments/demo/bans/ann',
  ])
  await t.rejects(comments.remove('forbidden'), { code: 'FORBIDDEN', status: 403 })
  t.equal(server.requests['stream'], undefined, 'whoever only moderates has no stream')
})

t.test('a post that slow mode holds up says so, and goes when it may; a ban refuses it', async t => {
  const server = new FakeServer(new Random(6))
  const comments = new Comments('http://test', 'demo', { fetch: server.fetch })
  t.after(() => comments.close())
  const told: (readonly Post[])[] = []
  comments.on('posts', posts => told.push(posts))
  server.onPost = (content, tries) => (content === 'banned' ? refusal(403, 'BANNED') : tries === 1 ? refusal(429, 'SLOW_MODE', '20') : undefined)
  const began = performance.now()
  await comments.post('hello')
  t.ok(performance.now() - began >= 190, '20 s')
  t.match(told[1], [{ content: 'hello', error: { code: 'SLOW_MODE', afterMs: 20_000 } }])
  t.same(told.at(-1), [])
  await t.rejects(comments.post('banned'), { code: 'BANNED', status: 403 })
})
