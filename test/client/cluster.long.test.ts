import { EventSource } from 'undici'
import t, { type Test } from 'tap'
import { Comments, type Comment, type CommentsOptions, type State } from '../../client/comments.js'
import { startCluster } from '../support/cluster.js'
import { Poster } from '../support/poster.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { until } from '../support/until.js'

t.setTimeout(230_000)

const SECRET = 'a secret of at least thirty-two bytes'

t.test('the client on a real cluster', async t => {
  const cluster = await startCluster(t, ['--edges', '2'])

  const watch = (t: Test, video: string, options: CommentsOptions = {}, url = cluster.url) => {
    const comments = new Comments(url, video, options)
    t.after(() => comments.close())
    const ids: string[] = []
    const states: State['is'][] = []
    const gaps: unknown[] = []
    comments.on('comment', ({ id }) => ids.push(id))
    comments.on('state', ({ is }) => states.push(is))
    comments.on('gap', gap => gaps.push(gap))
    comments.on('rewind', gap => gaps.push(gap))
    return { comments, ids, states, gaps }
  }
  const live = async (t: Test, video: string, options?: CommentsOptions, url?: string) => {
    const viewer = watch(t, video, options, url)
    await until(() => viewer.comments.state.is === 'live', { what: `${video} is live, and not ${viewer.comments.state.is}` })
    return viewer
  }
  const stored = async (video: string) => (await cluster.history(video)).map(({ id }) => id)

  await t.test('the gateway and an edge are killed in the middle: nothing is missed or repeated, and posts wait', async t => {
    const viewer = await live(t, 'kill')
    const loop: string[] = []
    void (async () => {
      for await (const { id } of viewer.comments) loop.push(id)
    })()
    const poster = new Poster(cluster, 'kill')
    t.after(() => poster.stop())
    await until(() => viewer.ids.length > 20)
    const edge = cluster.kill('edge-1')
    await cluster.again('edge-1', edge)
    const gateway = cluster.kill('gateway-1')
    const mine = viewer.comments.post('written while there was no gateway')
    await cluster.again('gateway-1', gateway)
    const { id } = (await mine) as Comment
    await until(() => viewer.ids.includes(id))
    await poster.stop()
    const all = await stored('kill')
    await until(() => viewer.ids.at(-1) === all.at(-1) && loop.at(-1) === all.at(-1))
    t.same(viewer.ids, all)
    t.same(loop, all.slice(-loop.length))
    t.same(viewer.gaps, [])
    t.ok(viewer.states.includes('lost'))
    t.ok(poster.acknowledged.every(id => all.includes(id)))
  })

  await t.test('a post whose answer is lost is stored once, and what is written offline comes in its order', async t => {
    const proxy = await TcpProxy.open(t, Number(new URL(cluster.url).port))
    const url = `http://127.0.0.1:${proxy.port}`
    const viewer = await live(t, 'offline', {}, url)
    await viewer.comments.post('first')
    proxy.silent = true
    const posts = ['second', 'third', 'fourth'].map(content => viewer.comments.post(content))
    setTimeout(() => {
      proxy.cut()
      proxy.silent = false
    }, 300)
    await Promise.all(posts)

    proxy.cutAfter(20) // of the answer: it is stored
    await viewer.comments.post('fifth')
    await until(() => viewer.ids.length === 5)
    t.same((await cluster.history('offline')).map(({ content }) => content), ['first', 'second', 'third', 'fourth', 'fifth'])
    t.same(viewer.ids, await stored('offline'))
  })

  await t.test('a client that was away for more than is replayed reads the rest from history', async t => {
    for (let i = 0; i < 30; i++) await Promise.all(Array.from({ length: 50 }, (_, j) => cluster.say('away', `${i} ${j}`)))
    const all = await stored('away')
    t.equal(all.length, 1_500)
    const viewer = await live(t, 'away', { after: all[9]! })
    t.same(viewer.ids, all.slice(10), '490 of a gap, then the newest 1,000')
    t.same(viewer.gaps, [])
  })

  await t.test('where fetch cannot stream, EventSource does', async t => {
    const body = Object.getOwnPropertyDescriptor(Response.prototype, 'body')!
    delete (Response.prototype as { body?: unknown }).body
    ;(globalThis as { EventSource?: unknown }).EventSource = EventSource
    t.after(() => Object.defineProperty(Response.prototype, 'body', body))
    const proxy = await TcpProxy.open(t, Number(new URL(cluster.url).port))
    const viewer = await live(t, 'source', {}, `http://127.0.0.1:${proxy.port}`)
    await cluster.say('source', 'one')
    await until(() => viewer.ids.length === 1)
    proxy.cut()
    await cluster.say('source', 'two')
    await until(() => viewer.ids.length === 2)
    t.same(viewer.ids, await stored('source'))
    const refused = watch(t, 'not a video')
    await until(() => refused.comments.state.is === 'refused')
    t.match(refused.comments.state, { error: { code: 'BAD_VIDEO_ID' } })
  })
})

t.test('with identity on, tokens are given, and renewed when they end', async t => {
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'], { env: { AUTH_JWT_SECRET: SECRET, AUTH_REQUIRE_TO_WATCH: 'true' } })
  const { SignJWT } = await import('jose')
  const tokens: string[] = []
  /** Servers allow for clocks that are 30 s off: this one has ended, the next one has not. */
  const token = async () => {
    const jwt = await new SignJWT({ sub: 'ann' }).setProtectedHeader({ alg: 'HS256' }).setExpirationTime(tokens.length === 0 ? '-60s' : '1h').sign(new TextEncoder().encode(SECRET))
    tokens.push(jwt)
    return jwt
  }
  const comments = new Comments(cluster.url, 'demo', { token })
  t.after(() => comments.close())
  const seen: string[] = []
  comments.on('comment', ({ authorId }) => seen.push(authorId))
  await until(() => comments.state.is === 'live')
  await comments.post('hello')
  await until(() => seen.length === 1)
  t.same(seen, ['ann'])
  t.equal(tokens.length, 2)

  const stranger = new Comments(cluster.url, 'demo')
  t.after(() => stranger.close())
  stranger.on('comment', () => {})
  await until(() => stranger.state.is === 'refused')
  t.match(stranger.state, { error: { code: 'UNAUTHORIZED', status: 401 } })
})
