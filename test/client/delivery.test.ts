import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { Comments, type Comment, type CommentsOptions, type Gap, type State } from '../../client/comments.js'
import { Random } from '../support/random.js'
import { until } from '../support/until.js'
import { FakeServer, refusal, type Faults } from './fake-server.js'
import { hurry } from './fast-time.js'

t.setTimeout(100_000)
// A second of the client is 20 ms here.
hurry(50)

const FAULTS: Faults = { unreachable: 0.1, refused: 0.1, ended: 0.02, repeated: 0.2, left: 0.2, unanswered: 0.2 }

type Told = { readonly comment: Comment } | { readonly gap: Gap } | { readonly rewind: Gap }

function watch(t: Test, server: FakeServer, options: CommentsOptions = {}) {
  const comments = new Comments('http://test', 'demo', { fetch: server.fetch, ...options })
  t.after(() => comments.close())
  const told: Told[] = []
  const states: State['is'][] = []
  comments.on('comment', comment => told.push({ comment }))
  comments.on('gap', gap => told.push({ gap }))
  comments.on('rewind', rewind => told.push({ rewind }))
  comments.on('state', ({ is }) => states.push(is))
  const ids = () => told.flatMap(each => ('comment' in each ? [Number(each.comment.id)] : []))
  return { comments, told, states, ids }
}

/** Reads a loop to its end, at the reader's own pace. */
function readAll(comments: Comments, pause: () => Promise<unknown> = async () => {}): number[] {
  const ids: number[] = []
  void (async () => {
    for await (const { id } of comments) {
      ids.push(Number(id))
      await pause()
    }
  })()
  return ids
}

/** Ids that are neither told nor covered by a gap, told twice, or out of order. */
function wrong(told: readonly Told[], stored: readonly number[]): string[] {
  const faults: string[] = []
  const missing = new Set(stored)
  let at = 0
  for (const each of told) {
    if ('comment' in each) {
      const id = Number(each.comment.id)
      if (id <= at) faults.push(`${id} after ${at}`)
      if (!missing.delete(id)) faults.push(`${id} is not stored, or twice`)
      at = id
    } else if ('gap' in each) {
      const [from, to] = [Number(each.gap.from), Number(each.gap.to)]
      if (from < at || to <= from) faults.push(`gap ${from} to ${to} after ${at}`)
      for (const id of stored) if (id > from && id <= to) missing.delete(id)
      at = to
    } else faults.push('rewind')
  }
  return [...faults, ...[...missing].map(id => `${id} is missing`)]
}

t.test('whatever breaks, each comment comes once and in order, and a post is stored once', async t => {
  await Promise.all(
    Array.from({ length: 40 }, async (_, seed) => {
      const random = new Random(seed)
      const server = new FakeServer(random.fork())
      server.token = 'first'
      for (let i = 0; i < random.below(30); i++) server.say(`before ${i}`)
      const { comments, told, ids } = watch(t, server, { after: '0', token: () => server.token })
      const read = readAll(comments, () => sleep(random.chance(0.1) ? 5 : 0))
      server.faults = FAULTS
      const posts: Promise<Comment>[] = []
      for (let i = 0; i < 60; i++) {
        await sleep(random.below(8))
        if (random.chance(0.3)) posts.push(comments.post(`mine ${posts.length}`) as Promise<Comment>)
        else for (let burst = random.chance(0.1) ? 30 : 1; burst > 0; burst--) server.say(`theirs ${i}`)
        if (random.chance(0.05)) server.token = `token ${i}`
        if (random.chance(0.1)) server.historyDown = !server.historyDown
      }
      server.calm()
      server.historyDown = false
      const mine = await Promise.all(posts)
      server.say('last')
      await until(() => ids().at(-1) === server.newest && read.at(-1) === server.newest, { what: `seed ${seed} is at ${ids().at(-1)} and ${read.at(-1)} of ${server.newest}` })
      const stored = server.comments.map(({ id }) => Number(id))
      const faults = wrong(told, stored)
      if (faults.length > 0) t.same(faults, [], `seed ${seed}`)
      if (read.join() !== stored.join()) t.same(read, stored, `seed ${seed}: the loop`)
      const said = server.comments.filter(({ content }) => content.startsWith('mine')).map(({ id }) => id)
      if (said.join() !== mine.map(({ id }) => id).join()) t.same(said, mine.map(({ id }) => id), `seed ${seed}: posts`)
      comments.close()
      await until(() => server.viewers === 0)
    }),
  )
  t.pass()
})

t.test('a gap is filled from history, before what follows it', async t => {
  const server = new FakeServer(new Random(1))
  for (let i = 0; i < 500; i++) server.say(`${i}`)
  const { told, states } = watch(t, server, { after: '0' })
  await until(() => states.at(-1) === 'live')
  t.same(wrong(told, server.comments.map(({ id }) => Number(id))), [])
  t.equal(told.length, 500)
  t.same(states, ['catching up', 'live'])
})

t.test('of a gap that is too large, or that history cannot fill, the rest is told as a gap; a loop reads it all', async t => {
  const server = new FakeServer(new Random(2))
  for (let i = 0; i < 1_500; i++) server.say(`${i}`)
  const { comments, told } = watch(t, server, { after: '0' })
  const read = readAll(comments)
  await until(() => read.length === 1_500)
  t.equal(told.filter(each => 'gap' in each).length, 1)
  t.equal(told.findIndex(each => 'gap' in each), 1_000)
  t.same(wrong(told, server.comments.map(({ id }) => Number(id))), [])
  t.same(read, server.comments.map(({ id }) => Number(id)))

  server.historyDown = true
  const other = watch(t, server, { after: '0' })
  const otherRead = readAll(other.comments)
  await until(() => other.told.length === 9)
  t.same(other.told[0], { gap: { from: '0', to: server.comments.at(-9)!.id } })
  t.same(otherRead, [], 'the loop waits')
  server.historyDown = false
  await until(() => otherRead.length === 1_500)
  t.same(otherRead, read)
})

t.test('a reader slower than the stream misses nothing, and the client keeps 1,000 comments at most', async t => {
  const server = new FakeServer(new Random(3))
  const { comments, states } = watch(t, server)
  await until(() => states.includes('live'))
  let go = () => {}
  const gate = new Promise<void>(resolve => (go = resolve))
  const read = readAll(comments, () => gate)
  for (let i = 0; i < 3_000; i++) server.say(`${i}`)
  await until(() => read.length === 1)
  await sleep(20)
  const pages = server.requests['history'] ?? 0
  t.equal(pages, 0)
  go()
  await until(() => read.length === 3_000)
  t.same(read, server.comments.map(({ id }) => Number(id)))
  t.equal(server.requests['history'], 10, 'pages of 200 for 2,000')
})

t.test('a store that went back is told, and what is new comes after it', async t => {
  const server = new FakeServer(new Random(4))
  for (let i = 0; i < 5; i++) server.say(`${i}`)
  const { comments, told, states } = watch(t, server)
  const read = readAll(comments)
  await until(() => read.length === 5 && states.includes('live'))
  const [from, to] = [server.newest, Number(server.comments[1]!.id)]
  server.goBack(3)
  server.say('new')
  await until(() => read.length === 6)
  t.same(told[5], { rewind: { from: String(from), to: String(to) } })
  t.equal('comment' in told[6]! && told[6].comment.content, 'new')

  // While nobody was connected.
  server.end()
  server.goBack(2)
  const content = server.say('newer').content
  server.goBack(1)
  await until(() => told.some((each, i) => i > 6 && 'rewind' in each))
  server.say(content)
  await until(() => read.length === 7)
})

t.test('silence for 35 s is an end', async t => {
  const server = new FakeServer(new Random(5))
  const { states, ids } = watch(t, server)
  await until(() => states.at(-1) === 'live')
  server.faults = { ...FAULTS, ended: 1 }
  for (let seed = 0; server.viewers > 0; seed++) server.say('never')
  server.calm()
  server.say('next')
  await until(() => ids().at(-1) === server.newest)
  t.equal(ids().length, server.comments.length)
})

t.test('a token is asked for once, and again when it is refused; a second refusal is told, and retry() goes on', async t => {
  const server = new FakeServer(new Random(6))
  server.token = 'good'
  let asked = 0
  let given = 'old'
  const { comments, states } = watch(t, server, {
    token: async () => {
      asked++
      return given
    },
  })
  await until(() => states.at(-1) === 'refused')
  t.equal(asked, 2)
  t.match(comments.state, { error: { code: 'UNAUTHORIZED', status: 401 } })
  await t.rejects(comments.post('not mine'), { code: 'UNAUTHORIZED' })
  await sleep(100)
  t.equal(comments.state.is, 'refused', 'nothing is tried by itself')
  given = 'good'
  comments.retry()
  await until(() => states.at(-1) === 'live')
  const before = asked
  await comments.post('mine')
  await comments.page()
  t.equal(asked, before, 'the same token for all')
  server.token = given = 'next'
  await Promise.all([comments.post('again'), comments.page()])
  t.ok(asked <= before + 2, 'one is asked for, whoever is refused')
})

t.test('posts keep their order and their key, wait as long as the server says, and a refusal is the caller\'s', async t => {
  const server = new FakeServer(new Random(7))
  const comments = new Comments('http://test', 'demo', { fetch: server.fetch })
  t.after(() => comments.close())
  const refused: string[] = []
  comments.on('refused', ({ content }, { code }) => refused.push(`${content}: ${code}`))
  const answers: Record<string, (Response | undefined)[]> = {
    one: [refusal(503, 'OVERLOADED', '2'), refusal(504, 'OUTCOME_UNKNOWN'), refusal(429, 'RATE_LIMITED', '1')],
    two: [refusal(422, 'LINKS_NOT_ALLOWED')],
  }
  server.onPost = (content, tries) => answers[content]?.[tries - 1]
  const began = performance.now()
  const one = comments.post('one', 'ann')
  const two = comments.post('two')
  const three = comments.post('three')
  t.same(comments.posts.map(({ content }) => content), ['one', 'two', 'three'])
  await t.rejects(two, { code: 'LINKS_NOT_ALLOWED', status: 422 })
  t.match(await one, { content: 'one', authorId: 'ann' })
  t.ok(performance.now() - began >= 29, '3 s and a back-off')
  await three
  t.same(server.comments.map(({ content }) => content), ['one', 'three'])
  t.same(refused, ['two: LINKS_NOT_ALLOWED'])
  t.equal(new Set(server.keys).size, 3)
  t.same(server.keys.slice(0, 4), Array.from({ length: 4 }, () => server.keys[0]))
  t.same(comments.posts, [])
  t.equal(server.requests['stream'], undefined, 'whoever only posts has no stream')
})

t.test('the outbox survives its page: the same keys, in the same order, ahead of what is new', async t => {
  const server = new FakeServer(new Random(8))
  const kept = new Map<string, string>()
  const storage = {
    getItem: async (key: string) => (await sleep(1), kept.get(key) ?? null),
    setItem: async (key: string, value: string) => (await sleep(1), void kept.set(key, value)),
  }
  server.faults = { ...FAULTS, unreachable: 1 }
  const first = new Comments('http://test', 'demo', { fetch: server.fetch, storage })
  const lost = [first.post('one'), first.post('two')]
  await until(() => (kept.get('live-comments:http://test/comments/demo') ?? '').includes('two'))
  const keys = first.posts.map(({ key }) => key)
  first.close()
  for (const each of lost) await t.rejects(each, { code: 'CLOSED' })
  server.calm()
  const second = new Comments('http://test', 'demo', { fetch: server.fetch, storage })
  t.after(() => second.close())
  await second.post('three')
  t.same(server.comments.map(({ content }) => content), ['one', 'two', 'three'])
  t.same(server.keys.slice(0, 2), keys)
  await until(() => kept.get('live-comments:http://test/comments/demo') === '[]')
})

t.test('a post that is too old for its key is given up', async t => {
  const server = new FakeServer(new Random(9))
  const old = [{ key: 'k', content: 'yesterday', at: Date.now() - 21 * 3_600_000 }]
  const comments = new Comments('http://test', 'demo', { fetch: server.fetch, storage: { getItem: () => JSON.stringify(old), setItem() {} } })
  t.after(() => comments.close())
  const refused: string[] = []
  comments.on('refused', (_, { code }) => refused.push(code))
  await until(() => refused.length > 0)
  t.same(refused, ['EXPIRED'])
  t.same(server.keys, [])
})

t.test('what a listener throws keeps nothing from anybody else', async t => {
  const server = new FakeServer(new Random(10))
  const comments = new Comments('http://test', 'demo', { fetch: server.fetch })
  t.after(() => comments.close())
  const thrown: unknown[] = []
  const catcher = (error: unknown) => thrown.push(error)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', catcher)
  t.after(() => {
    process.off('uncaughtException', catcher)
    for (const other of others) process.on('uncaughtException', other)
  })
  const seen: string[] = []
  comments.on('comment', () => {
    throw new Error('mine')
  })
  comments.on('comment', ({ content }) => seen.push(content))
  server.say('one')
  server.say('two')
  await until(() => seen.length === 2 && thrown.length === 2)
  t.match(thrown, [{ message: 'mine' }, { message: 'mine' }])
})

t.test('close() and an aborted signal leave nothing behind', async t => {
  const server = new FakeServer(new Random(11))
  const abort = new AbortController()
  const { comments, states } = watch(t, server, { signal: abort.signal })
  const ended = (async () => {
    for await (const _ of comments);
    return 'ended'
  })()
  await until(() => states.at(-1) === 'live' && server.viewers === 1)
  abort.abort()
  t.equal(await ended, 'ended')
  t.equal(comments.state.is, 'closed')
  await until(() => server.viewers === 0)
  await t.rejects(comments.post('late'), { code: 'CLOSED' })
  const { stream } = server.requests
  await sleep(100)
  t.equal(server.requests['stream'], stream)
  t.same(process.getActiveResourcesInfo().filter(each => each === 'Timeout').length <= 1, true, 'tap\'s own timer alone')
})
