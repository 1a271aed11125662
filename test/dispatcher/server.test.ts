import { join } from 'node:path'
import type { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { Dispatcher } from '../../dispatcher/dispatcher.js'
import { DispatcherMetrics } from '../../dispatcher/metrics.js'
import { routeDispatcher } from '../../dispatcher/server.js'
import { routeStore, type StoreDesk } from '../../dispatcher/store-server.js'
import { SqliteStore } from '../../dispatcher/store/sqlite.js'
import { StoreUnavailableError } from '../../dispatcher/store/store.js'
import { parseActResult, printActRequest } from '../../protocol/acts.js'
import type { Act } from '../../protocol/entry.js'
import { parseResults, printPosts, READS_ENTRIES, READS_HEADER } from '../../protocol/posts.js'
import { parseAnswers, parseBatch, PEER_HEADER, printComment, printHint, printPeerSync, printReplay, printSync, type Batch } from '../../protocol/wire.js'
import { View } from '../../registry/view.js'
import { systemClock } from '../../runtime/clock.js'
import type { HttpServer } from '../../runtime/http/server.js'
import { createMetrics } from '../../runtime/metrics.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { internalServer } from '../../runtime/peers/internal-server.js'
import { pingWith } from '../../runtime/peers/ping.js'
import { memoryFolder } from '../support/folder.js'
import { until } from '../support/until.js'
import { dispatcherNode, draft as quickDraft } from './cast.js'

const PATIENCE_MS = 60_000

const draft = (...given: Parameters<typeof quickDraft>) => ({ ...quickDraft(...given), leftMs: PATIENCE_MS })

/** A node on a free port, without its registry. */
function listen(t: Test, id: string, routes: (server: HttpServer) => void): string {
  const bug = (error: unknown) => t.fail('a bug', { error })
  const server = internalServer({ token: undefined, metrics: createMetrics(), identity: { id, instance: `${id}-1`, version: '0' }, notReady: () => undefined, onBug: bug })
  routes(server)
  const url = `http://127.0.0.1:${server.listen('127.0.0.1', 0)}`
  t.teardown(() => server.close())
  return url
}

/** A dispatcher over HTTP with a real store, and a view that the test sets. */
function start(t: Test, id = 'd', path?: string) {
  const folder = memoryFolder(t)
  const client = new InternalClient(undefined)
  t.teardown(() => client.close())
  const store = new SqliteStore(path ?? join(folder, 'comments.db'), { deadlineMs: PATIENCE_MS })
  t.teardown(() => store.close())
  const view = new View()
  const metrics = createMetrics()
  const dispatcher = new Dispatcher({
    self: id,
    store,
    view,
    viewIsCurrent: () => true,
    clock: systemClock,
    random: Math.random,
    // However slow this machine is: what a time-out loses, a later sync or the post's key repairs, and is not asked here.
    send: (target, path, body) => client.call(target.internalUrl, { path, body, timeoutMs: PATIENCE_MS }),
    ping: pingWith(client),
    metrics: new DispatcherMetrics(metrics),
    onBug: error => t.fail('a bug', { error }),
  })
  t.teardown(() => dispatcher.close())
  const url = listen(t, id, server => routeDispatcher(server, dispatcher))
  const post = (path: string, body: string, headers: Record<string, string> = {}) => client.call(url, { path, body, headers, timeoutMs: PATIENCE_MS })
  const get = async (path: string) => JSON.parse((await client.call(url, { method: 'GET', path, timeoutMs: PATIENCE_MS })).toString()) as unknown
  return { store, view, dispatcher, metrics, url, client, post, get, path: path ?? join(folder, 'comments.db') }
}

async function storedOf(metrics: Registry): Promise<number> {
  const metric = await metrics.getSingleMetric('live_dispatcher_comments_stored_total')!.get()
  return metric.values[0]!.value
}

const asEdge = (url = 'http://127.0.0.1:1') => ({ 'x-live-edge': 'e', 'x-live-instance': 'e-1', 'x-live-url': url })

t.test('posts, history, syncs and replays over HTTP', async t => {
  const { post, get } = start(t)
  const batch = { passedOn: false, posts: [draft('v', 'one'), draft('v', 'zwei 😀'), draft('v', ' ')] }
  const results = parseResults(await post('/internal/posts', printPosts(batch)))
  t.match(results, [{ created: true, comment: { content: 'one' } }, { created: true }, { error: { code: 'BAD_COMMENT' } }])
  const ids = results.slice(0, 2).map(result => ('comment' in result ? result.comment.id : 0))
  const page = await get('/internal/history/v?pageSize=1')
  t.match(page, { comments: [{ id: String(ids[1]), videoId: 'v', content: 'zwei 😀' }], nextCursor: String(ids[1]) })
  t.match(await get(`/internal/history/v?cursor=${ids[0]}&direction=after`), { comments: [{ id: String(ids[1]) }], nextCursor: null })
  const [answer] = parseAnswers(await post('/internal/sync', printSync([{ videoId: 'v', last: ids[0], want: undefined }]), asEdge()))
  t.match(answer, { videoId: 'v', head: ids[1], comments: [{ prev: ids[0], id: ids[1] }] })
  const [replay] = parseAnswers(await post('/internal/replay', printReplay({ videoId: 'v', after: 0, until: ids[1]!, limit: 10 })))
  t.same(replay!.comments.map(({ id }) => id), ids)
})

t.test('acts over HTTP, and a video\'s state for those who read it', async t => {
  const { post, get } = start(t)
  const [result] = parseResults(await post('/internal/posts', printPosts({ passedOn: false, posts: [draft('v', 'regretted')] })))
  const target = 'comment' in result! ? result.comment.id : 0
  t.same(await get(`/internal/comments/v/${target}`), { authorId: 'ann' })
  const act = async (act: Act) => parseActResult(await post('/internal/acts', printActRequest({ passedOn: false, order: { videoId: 'v', key: JSON.stringify(act), actorId: 'mod', asModerator: true, act }, leftMs: PATIENCE_MS })))
  t.match(await act({ type: 'pinned', target }), { created: true })
  const sync = async (headers: object) => parseAnswers(await post('/internal/sync', printSync([{ videoId: 'v', last: undefined, want: undefined }]), { ...asEdge(), ...headers }))[0]
  t.match((await sync({ [READS_HEADER]: READS_ENTRIES }))!.state, { pinned: { id: target, content: 'regretted' } })
  t.equal((await sync({}))!.state, undefined, 'an edge of the former version could not read the line')
  t.match(await act({ type: 'deleted', target }), { created: true })
  t.match(await act({ type: 'deleted', target }), { created: false })
  t.match(await get('/internal/history/v'), { comments: [{ id: String(target), deleted: true }], nextCursor: null })
  t.match((await sync({ [READS_HEADER]: READS_ENTRIES }))!.state, { pinned: undefined })
  await t.rejects(get(`/internal/comments/v/${target}`), { name: 'PeerError', status: 404 })
  await t.rejects(post('/internal/acts', '{"passedOn":false,"act":{"videoId":"v","key":"k","actorId":"mod","type":"settings"}}'), { name: 'PeerError', status: 400 })
  t.same(JSON.parse((await post('/internal/erase-author', '{"authorId":"ann","actorId":"op"}')).toString()), { erased: 0, after: null })
})

t.test('a cluster by itself answers no other cluster, and names no home', async t => {
  const { post, get } = start(t)
  const asPeer = { [PEER_HEADER]: 'other' }
  const refused = { name: 'PeerError', status: 403 }
  await t.rejects(post('/internal/sync', printPeerSync({ requests: [{ videoId: 'v', last: undefined, want: undefined }], viewers: new Map() }), asPeer), refused)
  await t.rejects(post('/internal/batch', printHint({ videoId: 'v', id: 1 }), asPeer), refused)
  t.equal(await get('/internal/home/v'), null)
})

t.test('a stored comment arrives at the edge whose sync was seen', async t => {
  const { post } = start(t)
  const batches: Batch[] = []
  const edge = listen(t, 'e', server => {
    server.route('POST', '/internal/batch', async exchange => {
      batches.push(parseBatch(await exchange.body(1 << 20)))
      return { status: 204 }
    })
  })
  await post('/internal/sync', printSync([{ videoId: 'v', last: undefined, want: undefined }]), asEdge(edge))
  const [result] = parseResults(await post('/internal/posts', printPosts({ passedOn: false, posts: [draft('v')] })))
  await until(() => batches.length > 0)
  t.match(batches, [{ comments: [{ videoId: 'v', prev: 0, id: 'comment' in result! ? result.comment.id : 0 }], hints: [] }])
})

t.test('two dispatchers on one file: a post at the wrong one is stored by the owner', async t => {
  const one = start(t, 'one')
  const two = start(t, 'two', one.path)
  for (const { view, dispatcher } of [one, two]) {
    for (const [id, { url }] of [['one', one], ['two', two]] as const) view.apply({ kind: 'dispatcher', id, node: { ...dispatcherNode(id), internalUrl: url } }, 0)
    dispatcher.viewChanged()
  }
  await Promise.all([one, two].map(({ store }) => store.look())) // each has its threads, and the file open
  const posts = Array.from({ length: 40 }, (_, i) => draft(`video${i}`))
  const results = parseResults(await one.post('/internal/posts', printPosts({ passedOn: false, posts })))
  t.same(results.filter(result => !('comment' in result && result.created)), [])
  const stored = await Promise.all([one, two].map(({ metrics }) => storedOf(metrics)))
  t.equal(stored[0]! + stored[1]!, 40)
  t.ok(stored[0]! > 0 && stored[1]! > 0, 'each its own')
  t.match(await two.get('/internal/history/video0'), { comments: [{ videoId: 'video0' }], nextCursor: null })
})

t.test('another dispatcher\'s comment is taken', async t => {
  const { post } = start(t)
  t.equal((await post('/internal/batch', printComment({ videoId: 'v', prev: 0, id: 5, json: '{}' }))).length, 0)
})

t.test('what cannot be read is refused by name', async t => {
  const { post, get, client, url } = start(t)
  const status = async (work: Promise<unknown>, code: string, http = 400) => {
    const error = (await work.then(() => ({}), (error: unknown) => error)) as { status?: number; body?: Buffer }
    t.equal(error.status, http, code)
    t.match(JSON.parse(error.body?.toString() ?? '{}'), { error: { code } })
  }
  await status(post('/internal/posts', 'nonsense'), 'BAD_REQUEST')
  await status(post('/internal/posts', '{"posts":[]}'), 'BAD_REQUEST')
  await status(post('/internal/sync', 'S v - -\n'), 'BAD_REQUEST') // who asks?
  for (const lacking of ['x-live-edge', 'x-live-instance', 'x-live-url']) await status(post('/internal/sync', 'S v - -\n', { ...asEdge(), [lacking]: '' }), 'BAD_REQUEST')
  await status(post('/internal/sync', 'S v -\n', asEdge()), 'BAD_REQUEST')
  await status(post('/internal/replay', 'P v 1 2\n'), 'BAD_REQUEST')
  await status(post('/internal/batch', 'C v 0 1 {}'), 'BAD_REQUEST')
  await status(get('/internal/history/no%20id'), 'BAD_VIDEO_ID')
  await status(get('/internal/history/v?cursor=-1'), 'BAD_CURSOR')
  await status(get('/internal/history/v?cursor=9007199254740992'), 'BAD_CURSOR')
  await status(get('/internal/history/v?direction=up'), 'BAD_DIRECTION')
  for (const size of ['0', '201', '1.5', 'x', '1e2']) await status(get(`/internal/history/v?pageSize=${size}`), 'BAD_PAGE_SIZE')
  for (const size of ['1', '200']) t.match(await get(`/internal/history/v?pageSize=${size}`), { comments: [] }, `${size} is allowed`)
  await status(client.call(url, { path: '/internal/posts', body: Buffer.alloc(5 << 20), timeoutMs: PATIENCE_MS }), 'BODY_TOO_LARGE', 413)
})

t.test('while the store is away posts say so one by one and history answers 503', async t => {
  const { post, get } = start(t, 'd', '/dev/null/comments.db')
  t.match(parseResults(await post('/internal/posts', printPosts({ passedOn: false, posts: [draft('v')] }))), [{ error: { code: 'STORE_UNAVAILABLE' } }])
  const failure = (work: Promise<unknown>) => work.catch((error: unknown) => error)
  t.match(await failure(get('/internal/history/v')), { status: 503 })
  t.match(await failure(post('/internal/sync', printSync([{ videoId: 'v', last: 0, want: undefined }]), asEdge())), { status: 503 })
})

t.test('a store that cannot be checked now is not told as damaged', async t => {
  const client = new InternalClient(undefined)
  t.teardown(() => client.close())
  for (const [reason, check] of [
    ['SQLITE_CORRUPT', 'SQLITE_CORRUPT'],
    ['SQLITE_NOTADB', 'SQLITE_NOTADB'],
    ['SQLITE_BUSY', 'unfinished'],
    ['FILE_MISSING', 'unfinished'],
    ['no node answers: 10.0.0.1:9042: no answer in time', 'unfinished'],
  ] as const) {
    const desk = { standing: { report: {} }, check: async () => Promise.reject(new StoreUnavailableError(reason)) } as unknown as StoreDesk
    const url = listen(t, 'd', server => routeStore(server, desk))
    const answer = await client.call(url, { method: 'GET', path: '/internal/store', timeoutMs: PATIENCE_MS })
    t.same(JSON.parse(answer.toString()), { check }, reason)
  }
})
