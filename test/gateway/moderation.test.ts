import t from 'tap'
import { DEFAULT_SETTINGS, type VideoState } from '../../protocol/entry.js'
import type { ErrorCode } from '../../protocol/errors.js'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { runGateway } from '../support/gateway.js'
import { identityOf, Issuer } from '../support/issuer.js'

const issuer = new Issuer({ ed: 'EdDSA' })
const identity = () => identityOf(issuer, { requireToWatch: false })
const moderator = await issuer.token('ed', { sub: 'mo', mod: true })

interface Asked {
  readonly method: 'GET' | 'PUT' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** A gateway, asked by a moderator unless told otherwise. */
function asking(url: string) {
  return async ({ method, path, body, token = moderator, headers = {} }: Asked) => {
    const response = await fetch(`${url}/comments/demo/${path}`, {
      method,
      headers: { ...(token === '' ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> & { error?: { code: string; message: string; idempotencyKey?: string } } }
  }
}

const ACTS: readonly Asked[] = [
  { method: 'DELETE', path: '20' },
  { method: 'PUT', path: 'pin', body: { commentId: '20' } },
  { method: 'PUT', path: 'pin', body: { commentId: null } },
  { method: 'PUT', path: 'settings', body: { slowModeSeconds: 30 } },
  { method: 'PUT', path: 'bans/bob%20b', body: { forSeconds: 60 } },
  { method: 'DELETE', path: 'bans/bob%20b' },
]

t.test('a moderator\'s acts go to a dispatcher as they were asked for, and are answered with their ids', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  dispatcher.state = { settings: { ...DEFAULT_SETTINGS, closed: true }, pinned: undefined }
  const { url } = runGateway(t, { dispatchers: [dispatcher.node], identity: identity() })
  const ask = asking(url)
  const before = Date.now()
  const answers = []
  for (const asked of ACTS) answers.push(await ask({ ...asked, headers: { 'idempotency-key': 'k' } }))
  const settings = { slowModeSeconds: 30, closed: true, signedInOnly: false }
  t.same(dispatcher.acts.map(({ order: { act } }) => (act.type === 'author-banned' && act.until > 0 ? { ...act, until: 'then' } : act)), [
    { type: 'deleted', target: 20 },
    { type: 'pinned', target: 20 },
    { type: 'pinned', target: undefined },
    { type: 'settings', settings },
    { type: 'author-banned', authorId: 'bob b', until: 'then' },
    { type: 'author-banned', authorId: 'bob b', until: 0 },
  ], 'what a patch of the settings leaves out stays')
  for (const { passedOn, order, leftMs } of dispatcher.acts) t.match({ passedOn, order, leftMs }, { passedOn: false, order: { videoId: 'demo', key: 'k', actorId: 'mo', asModerator: true }, leftMs: Number })
  t.match(answers.map(({ status, body }) => ({ status, ...body })), [1, 2, 3, 4, 5, 6].map(id => ({ status: 200, id: String(id) })))
  t.same(answers[3]!.body, { id: '4', settings })
  const { until } = answers[4]!.body as { until: number }
  t.ok(until >= before + 60_000 && until <= Date.now() + 60_000)
})

t.test('the settings are anyone\'s to read, unless watching needs a token', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const state: VideoState = { settings: { slowModeSeconds: 5, closed: false, signedInOnly: true }, pinned: { id: 20, videoId: 'demo', authorId: 'ann', content: 'hi', createdAt: 5 } }
  dispatcher.state = state
  const given = { dispatchers: [dispatcher.node] }
  const read = { method: 'GET', path: 'settings', token: '' } as const
  const open = await asking(runGateway(t, given).url)(read)
  t.same([open.status, open.body], [200, { settings: state.settings, pinned: { ...state.pinned, id: '20' } }])
  t.equal((await asking(runGateway(t, { ...given, identity: identityOf(issuer) }).url)(read)).status, 401)
  dispatcher.close()
  t.match(await asking(runGateway(t, given).url)(read), { status: 503, body: { error: { code: 'UNAVAILABLE' } } })
})

t.test('nobody moderates without a token that says so; an author may delete, and the dispatcher sees whose the comment is', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node], identity: identity() })
  const off = asking(runGateway(t, { dispatchers: [dispatcher.node] }).url)
  const ask = asking(url)
  const [ann, elsewhere, odd] = await Promise.all([issuer.token('ed'), issuer.token('ed', { mod: ['other'] }), issuer.token('ed', { mod: 'demo' })])
  for (const asked of ACTS) {
    t.match(await off(asked), { status: 403, body: { error: { code: 'FORBIDDEN', message: /identity is off/ } } }, asked.path)
    t.match(await ask({ ...asked, token: '' }), { status: 401, body: { error: { code: 'UNAUTHORIZED' } } }, asked.path)
    if (asked.path === '20') continue
    for (const token of [ann, elsewhere, odd]) t.match(await ask({ ...asked, token }), { status: 403, body: { error: { code: 'FORBIDDEN', message: 'the token has no mod for this video' } } }, asked.path)
  }
  t.same(dispatcher.acts, [])
  t.equal((await ask({ method: 'DELETE', path: '20', token: ann })).status, 200)
  t.match(dispatcher.acts[0], { order: { actorId: 'ann', asModerator: false } })
  dispatcher.answerAct = () => ({ error: { code: 'FORBIDDEN', message: 'only its author' } })
  t.match(await ask({ method: 'DELETE', path: '20', token: ann }), { status: 403, body: { error: { code: 'FORBIDDEN' } } })
  dispatcher.answerAct = () => ({ entryId: 9, created: true })
  t.equal((await ask({ ...ACTS[1]!, token: await issuer.token('ed', { mod: ['other', 'demo'] }) })).status, 200, 'a list of videos')
})

t.test('what breaks a rule is refused with the field and the rule, before a dispatcher is asked', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node], identity: identity() })
  const ask = asking(url)
  const put = (path: string, body: unknown) => ({ method: 'PUT', path, body }) as const
  const cases: [Asked, ErrorCode, RegExp][] = [
    [{ method: 'DELETE', path: 'x' }, 'BAD_ACT', /^commentId must/],
    [{ method: 'DELETE', path: '0' }, 'BAD_ACT', /^commentId must/],
    [{ method: 'DELETE', path: '99999999999999999' }, 'BAD_ACT', /^commentId must/],
    [put('pin', {}), 'BAD_ACT', /^commentId must be the id of a comment, in decimal, or null$/],
    [put('pin', { commentId: 20 }), 'BAD_ACT', /^commentId must/],
    ...['[]', 'null', '3'].map((body): [Asked, ErrorCode, RegExp] => [put('pin', body), 'BAD_ACT', /^the body must be a JSON object/]),
    [put('pin', '{'), 'BAD_ACT', /^the body must be JSON/],
    [put('settings', {}), 'BAD_ACT', /^the body must have slowModeSeconds, closed, signedInOnly or some/],
    [put('settings', { slowmode: 3 }), 'BAD_ACT', /^the body must have/],
    [put('settings', { slowModeSeconds: 31_536_000 }), 'BAD_ACT', /slowModeSeconds must be a whole number from 0 to 3600/],
    [put('settings', { slowModeSeconds: -1 }), 'BAD_ACT', /slowModeSeconds must/],
    [put('settings', { closed: 'yes' }), 'BAD_ACT', /closed must be true or false/],
    [put('bans/mo', { forSeconds: 60 }), 'BAD_ACT', /^authorId must not be the moderator's own/],
    [put('bans/%20', { forSeconds: 60 }), 'BAD_ACT', /^authorId must be 1 to 64/],
    [put('bans/%ff', { forSeconds: 60 }), 'BAD_ACT', /^authorId must be 1 to 64/],
    [put(`bans/${'x'.repeat(65)}`, { forSeconds: 60 }), 'BAD_ACT', /^authorId must be 1 to 64/],
    [put('bans/bob', {}), 'BAD_ACT', /^forSeconds must be a whole number from 1 to 31536000/],
    ...[0, 31_536_001, 1.5, '60'].map((forSeconds): [Asked, ErrorCode, RegExp] => [put('bans/bob', { forSeconds }), 'BAD_ACT', /^forSeconds must/]),
    [{ ...ACTS[0]!, headers: { 'idempotency-key': 'a key' } }, 'BAD_IDEMPOTENCY_KEY', /^Idempotency-Key must/],
    [{ method: 'DELETE', path: '../no.video/20' }, 'BAD_VIDEO_ID', /^videoId must/],
    [{ ...put('pin', '{"commentId":null}'), headers: { 'content-type': 'text/plain' } }, 'UNSUPPORTED_MEDIA_TYPE', /application\/json/],
    [put('pin', { commentId: 'x'.repeat(9_000) }), 'BODY_TOO_LARGE', /8192/],
  ]
  for (const [asked, code, message] of cases) t.match(await ask(asked), { body: { error: { code, message } } }, `${asked.method} ${asked.path} ${JSON.stringify(asked.body)?.slice(0, 40)}`)
  t.same(dispatcher.acts, [])
  for (const forSeconds of [1, 31_536_000]) t.equal((await ask(put('bans/bob', { forSeconds }))).status, 200, 'a ban may last from a second to a year')
})

t.test('acts count as posts of their address and author', async t => {
  for (const limit of ['postsPerAuthor', 'postsPerAddress'] as const) {
    const { url } = runGateway(t, { dispatchers: [fakeDispatcher(t, 'd').node], identity: identity(), limits: { [limit]: 0.001 } })
    const ask = asking(url)
    t.equal((await ask(ACTS[0]!)).status, 200, limit)
    const second = await ask(ACTS[1]!)
    t.match(second, { status: 429, body: { error: { code: 'RATE_LIMITED' } } }, limit)
    t.match(second.headers.get('retry-after'), /^[1-9]/)
  }
})

t.test('where the owner cannot, the next dispatcher is asked under the same key', async t => {
  const dispatchers = [fakeDispatcher(t, 'd1'), fakeDispatcher(t, 'd2')]
  const { url } = runGateway(t, { dispatchers: dispatchers.map(({ node }) => node), identity: identity() })
  const asked = () => dispatchers.flatMap(({ acts }) => acts)
  for (const dispatcher of dispatchers) {
    dispatcher.answerAct = () => (asked().length === 1 ? { error: { code: 'STORE_UNAVAILABLE', message: 'no disk' } } : { entryId: 7, created: true })
  }
  t.match(await asking(url)(ACTS[0]!), { status: 200, body: { id: '7' } })
  t.same(asked().map(({ passedOn }) => passedOn).sort(), [false, true])
  t.equal(new Set(asked().map(({ order: { key } }) => key)).size, 1)
})

t.test('503 says that nothing was done, 504 that it may have been and by which key to ask', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node], identity: identity() })
  const ask = asking(url)
  for (const [code, status] of [['KEY_REUSED', 422], ['STORE_UNAVAILABLE', 503], ['UPGRADE_UNFINISHED', 503], ['COMMENT_NOT_FOUND', 404], ['OUTCOME_UNKNOWN', 504]] as const) {
    dispatcher.answerAct = () => ({ error: { code, message: 'why' } })
    const answer = await ask({ ...ACTS[0]!, headers: { 'idempotency-key': 'mine' } })
    t.match(answer, { status, body: { error: { code } } }, code)
    t.equal(answer.body.error?.idempotencyKey, code === 'OUTCOME_UNKNOWN' ? 'mine' : undefined)
  }
  dispatcher.answerAct = () => {
    setImmediate(() => dispatcher.close())
    return undefined
  }
  t.match(await ask(ACTS[0]!), { status: 504, body: { error: { code: 'OUTCOME_UNKNOWN', idempotencyKey: /^[0-9a-f-]{36}$/ } } })
  t.match(await asking(runGateway(t, { identity: identity() }).url)(ACTS[0]!), { status: 503, body: { error: { code: 'UNAVAILABLE' } } })
})

t.test('a post says whether a token named its author and made a moderator of them; what the state refuses is passed on', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node], identity: identity() })
  const post = (at: string, token?: string) => fetch(`${at}/comments/demo`, { method: 'POST', headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) }, body: '{"content":"x"}' })
  for (const token of [moderator, await issuer.token('ed')]) t.equal((await post(url, token)).status, 201)
  const anonymous = runGateway(t, { dispatchers: [dispatcher.node] }).url
  t.equal((await post(anonymous)).status, 201)
  t.same(dispatcher.batches.flat().map(draft => [draft.signedIn, draft.exempt]), [[true, true], [true, undefined], [undefined, undefined]])
  for (const [code, status, headers] of [['BANNED', 403, {}], ['COMMENTS_CLOSED', 403, {}], ['SIGN_IN_REQUIRED', 401, { 'www-authenticate': 'Bearer realm="live-comments"' }], ['SLOW_MODE', 429, { 'retry-after': '8' }]] as const) {
    dispatcher.answer = () => ({ error: { code, message: 'why', ...(code === 'SLOW_MODE' ? { retryAfterSeconds: 7.2 } : {}) } })
    const response = await post(anonymous)
    t.match([response.status, await response.json()], [status, { error: { code } }])
    for (const [name, value] of Object.entries(headers)) t.equal(response.headers.get(name), value, code)
  }
})

t.test('browsers may ask for each of the methods', async t => {
  const { url } = runGateway(t)
  const { status, headers } = await fetch(`${url}/comments/demo/20`, { method: 'OPTIONS' })
  t.same([status, headers.get('access-control-allow-methods')], [204, 'GET, HEAD, POST, PUT, DELETE, OPTIONS'])
})

const HELD = { id: '0f1e2d3c4b5a69788796a5b4c3d2e1f0', videoId: 'demo', authorId: 'ann', content: 'perhaps', heldAt: 5 }
const heldPath = `held/${HELD.id}`

t.test('a moderator reads what is held, and decides', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  dispatcher.held = [HELD]
  const ask = asking(runGateway(t, { dispatchers: [dispatcher.node], identity: identity() }).url)
  const list = await ask({ method: 'GET', path: 'held' })
  t.same([list.status, list.body, list.headers.get('cache-control')], [200, { held: [HELD] }, 'no-store'])
  t.match(await ask({ method: 'PUT', path: heldPath, body: { decision: 'approve' } }), { status: 200, body: { id: '1' } })
  t.match(await ask({ method: 'PUT', path: heldPath, body: { decision: 'refuse', reason: ' be kind ' } }), { status: 200, body: { refused: true } })
  t.match(dispatcher.decisions, [
    { path: `demo/${HELD.id}`, actorId: 'mo', decision: { kind: 'approve' }, leftMs: Number },
    { path: `demo/${HELD.id}`, actorId: 'mo', decision: { kind: 'refuse', reason: 'be kind' } },
  ])
  for (const [code, status] of [['ALREADY_DECIDED', 409], ['COMMENT_NOT_FOUND', 404], ['STORE_UNAVAILABLE', 503], ['OUTCOME_UNKNOWN', 504]] as const) {
    dispatcher.answerDecision = () => ({ error: { code, message: 'so it is' } })
    t.match(await ask({ method: 'PUT', path: heldPath, body: { decision: 'approve' } }), { status, body: { error: { code } } })
  }
})

t.test('nobody else sees what is held, and what breaks a rule is refused by name', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  dispatcher.held = [HELD]
  const ask = asking(runGateway(t, { dispatchers: [dispatcher.node], identity: identity() }).url)
  const off = asking(runGateway(t, { dispatchers: [dispatcher.node] }).url)
  const [ann, elsewhere] = await Promise.all([issuer.token('ed'), issuer.token('ed', { mod: ['other'] })])
  for (const asked of [{ method: 'GET', path: 'held' }, { method: 'PUT', path: heldPath, body: { decision: 'approve' } }] as const) {
    t.match(await off(asked), { status: 403, body: { error: { code: 'FORBIDDEN', message: /identity is off/ } } })
    t.match(await ask({ ...asked, token: '' }), { status: 401 })
    for (const token of [ann, elsewhere]) t.match(await ask({ ...asked, token }), { status: 403, body: { error: { code: 'FORBIDDEN', message: 'the token has no mod for this video' } } })
  }
  const put = (body: unknown, path = heldPath) => ask({ method: 'PUT', path, body })
  for (const [answer, message] of [
    [put({ decision: 'approve' }, 'held/1'), /^heldId must be/],
    [put({}), /^decision must be approve or refuse/],
    [put({ decision: 'perhaps' }), /^decision must/],
    [put({ decision: 'approve', reason: 'fine' }), /^reason must not be given with approve/],
    [put({ decision: 'refuse', reason: '' }), /^reason must be 1 to 200 characters in one line/],
    [put({ decision: 'refuse', reason: 'a\nb' }), /^reason must be 1 to 200/],
    [put({ decision: 'refuse', reason: 'x'.repeat(201) }), /^reason must be 1 to 200/],
    [put({ decision: 'refuse', reason: 7 }), /^reason must be 1 to 200/],
    [put({ decision: 'refuse', why: 'x' }), /^the body must have decision and reason, and nothing else/],
    [put([]), /^the body must be a JSON object/],
  ] as const) t.match(await answer, { status: 400, body: { error: { code: 'BAD_ACT', message } } })
  t.same(dispatcher.decisions, [])
})

t.test('a decision is made at the next dispatcher where the owner is away, and nobody knows of one that is not answered', async t => {
  const dispatchers = [fakeDispatcher(t, 'd1'), fakeDispatcher(t, 'd2')]
  const ask = asking(runGateway(t, { dispatchers: dispatchers.map(({ node }) => node), identity: identity() }).url)
  dispatchers[0]!.answerDecision = dispatchers[1]!.answerDecision = () => (dispatchers.flatMap(({ decisions }) => decisions).length === 1 ? { error: { code: 'STORE_UNAVAILABLE', message: 'no disk' } } : { id: 7 })
  t.match(await ask({ method: 'PUT', path: heldPath, body: { decision: 'approve' } }), { status: 200, body: { id: '7' } })
  for (const dispatcher of dispatchers) dispatcher.close()
  t.match(await ask({ method: 'GET', path: 'held' }), { status: 503, body: { error: { code: 'UNAVAILABLE' } } })
  t.match(await ask({ method: 'PUT', path: heldPath, body: { decision: 'approve' } }), { status: 503, body: { error: { code: 'UNAVAILABLE' } } })
})
