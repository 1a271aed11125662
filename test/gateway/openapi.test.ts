import { Ajv2020 } from 'ajv/dist/2020.js'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { render } from '../../gateway/docs.js'
import { openApi, type Media, type Operation, type Schema } from '../../gateway/openapi.js'
import { SseParser } from '../../protocol/sse.js'
import { projectRoot } from '../../runtime/root.js'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { runGateway } from '../support/gateway.js'
import { identityOf, Issuer } from '../support/issuer.js'
import { startOneProcess } from '../support/one-process.js'
import { until } from '../support/until.js'
import { watch, watchReady } from '../support/viewer.js'

const ajv = new Ajv2020({ strict: true, allErrors: true })

/** @param closed fields that are not described are faults too: what we answer we describe */
function faults(schema: Schema, value: unknown, closed = true): unknown {
  const sealed = (part: unknown): unknown => {
    if (typeof part !== 'object' || part === null) return part
    if (Array.isArray(part)) return part.map(sealed)
    const $ref = (part as { $ref?: string }).$ref
    if (typeof $ref === 'string') return sealed(openApi.components.schemas[$ref.split('/').at(-1)!])
    const inside = Object.fromEntries(Object.entries(part).map(([key, each]) => [key, sealed(each)]))
    return closed && 'properties' in inside ? { ...inside, additionalProperties: false } : inside
  }
  const validate = ajv.compile(sealed(schema) as object)
  return validate(value) ? [] : validate.errors
}

const operations = Object.entries(openApi.paths).flatMap(([path, { parameters: _, ...methods }]) => Object.entries(methods).map(([method, operation]) => ({ name: `${method.toUpperCase()} ${path}`, operation })))

t.test('every schema is one, and every example keeps it', async t => {
  for (const [name, schema] of Object.entries(openApi.components.schemas)) t.ok(Array.isArray(faults(schema, undefined)), name)
  const media = (operation: Operation): [string, Media][] => [operation.requestBody?.content ?? {}, ...Object.values(operation.responses).map(({ content = {} }) => content)].flatMap(content => Object.entries(content))
  for (const { name, operation } of operations) {
    for (const [type, { schema, example, 'x-server-sent-events': events = {} }] of media(operation)) {
      if (example !== undefined) t.same(faults(schema, example), [], `${name} ${type}`)
      for (const [event, { data, example }] of Object.entries(events)) {
        const [seen] = new SseParser().push(Buffer.from(example))
        t.equal(seen?.event, event)
        t.same(faults(data, JSON.parse(seen!.data)), [], event)
      }
    }
  }
  t.not((faults(openApi.components.schemas['Stats']!, { videoId: 'v', viewers: 1, edges: 1, more: 1 }) as unknown[]).length, 0, 'the test sees what is not described')
})

t.test('every path, status and schema is what the gateway answers', async t => {
  const cluster = startOneProcess(t)
  const provoked = new Set<string>()
  /** Asks, and holds the answer against what is described. */
  const ask = async (t: Test, path: string, url: string, init: RequestInit = {}) => {
    const name = `${init.method ?? 'GET'} ${path}`
    const response = await fetch(url, init)
    const described = operations.find(operation => operation.name === name)?.operation.responses[response.status]
    t.ok(described, `${name} ${response.status} is described`)
    provoked.add(`${name} ${response.status}`)
    const type = response.headers.get('content-type')?.split(';')[0] ?? ''
    const media = described?.content?.[type]
    if (described?.content) t.ok(media, `${name} ${response.status} answers ${type}`)
    const text = await response.text()
    if (type === 'application/json' && media) t.same(faults(media.schema, JSON.parse(text), !path.endsWith('.json')), [], `${name} ${response.status}`)
    if ((init.method ?? 'GET') === 'GET' && described?.content?.['text/html']) t.match(text, /^<!doctype html>/)
    return { response, text }
  }
  const comments = '/comments/{videoId}'
  const body = (value: unknown, more: Record<string, string> = {}): RequestInit => ({ method: 'POST', headers: { 'content-type': 'application/json', ...more }, body: JSON.stringify(value) })

  await t.test('what goes well', async t => {
    const viewer = await watchReady(t, cluster.stream('demo'))
    const key = { 'idempotency-key': 'k1' }
    const { text } = await ask(t, comments, cluster.stream('demo'), body({ content: 'hello' }, key))
    await ask(t, comments, cluster.stream('demo'), body({ content: 'other' }, key)) // 422
    await ask(t, comments, cluster.stream('demo'))
    const { id } = JSON.parse(text) as { id: string }
    await ask(t, comments, cluster.stream('demo', `?cursor=${id}&direction=before&pageSize=1`))
    await ask(t, comments, cluster.stream('demo', '?wait=5&cursor=0')) // a long-poll
    await ask(t, `${comments}/stats`, cluster.stream('demo/stats'))
    await ask(t, '/counts', `${cluster.url}/counts?videos=demo,other`)
    await ask(t, '/healthz', `${cluster.url}/healthz`)
    await ask(t, '/readyz', `${cluster.url}/readyz`)
    for (const path of ['/openapi.json', '/asyncapi.json', '/docs']) {
      const { response } = await ask(t, path, cluster.url + path)
      await ask(t, path, cluster.url + path, { headers: { 'if-none-match': response.headers.get('etag')! } })
    }
    const described = openApi.paths[comments]!.get!.responses[200]!.content!['text/event-stream']!['x-server-sent-events']!
    await viewer.waitForEvent('message')
    await viewer.waitForEvent('viewers', { timeoutMs: 20_000 })
    for (const { event, data } of viewer.events) t.same(faults(described[event]!.data, JSON.parse(data)), [], event)
    t.equal(viewer.headers['content-type'], 'text/event-stream; charset=utf-8')
    const several = await watchReady(t, `${cluster.url}/comments?videos=demo,other&recent=1`)
    t.equal(several.status, 200)
    provoked.add('GET /comments 200')
    for (const { data } of several.events) t.same(faults(openApi.components.schemas['OfVideo']!, JSON.parse(data)), [])
    t.same(faults(openApi.components.schemas['Places']!, several.lastEventId), [])
  })

  await t.test('what is refused', async t => {
    await ask(t, comments, cluster.stream('no.video'))
    for (const query of ['?cursor=x', '?direction=up', '?pageSize=0', '?wait=61']) await ask(t, comments, cluster.stream('demo', query))
    for (const query of ['?recent=201', '?lastEventId=x']) await ask(t, comments, cluster.stream('demo', query), { headers: { accept: 'text/event-stream' } })
    await ask(t, `${comments}/stats`, cluster.stream('no.video/stats'))
    for (const path of ['/comments', '/counts']) await ask(t, path, `${cluster.url}${path}?videos=a,a`)
    for (const [value, headers] of [[{ content: '' }, {}], [{ content: 'x' }, { 'idempotency-key': 'a key' }]] as const) await ask(t, comments, cluster.stream('demo'), body(value, headers))
    await ask(t, comments, cluster.stream('demo'), body({ content: 'x'.repeat(9_000) }))
    await ask(t, comments, cluster.stream('demo'), { method: 'POST', headers: { 'content-type': 'text/plain' }, body: 'x' })
  })

  await t.test('what is too much', async t => {
    const dispatcher = fakeDispatcher(t, 'd')
    const { url } = runGateway(t, { dispatchers: [dispatcher.node], limits: { postsPerAddress: 0.001, streamsPerAddress: 1 } })
    await ask(t, comments, `${url}/comments/demo`, body({ content: 'x' }))
    const post = await ask(t, comments, `${url}/comments/demo`, body({ content: 'x' }))
    const viewer = watch(t, `${url}/comments/demo`)
    await until(() => viewer.status)
    const stream = await ask(t, comments, `${url}/comments/demo`, { headers: { accept: 'text/event-stream' } })
    const several = await ask(t, '/comments', `${url}/comments?videos=a,b`, { headers: { accept: 'text/event-stream' } })
    for (const { response } of [post, stream, several]) {
      t.equal(response.status, 429)
      t.match(response.headers.get('retry-after'), /^[1-9][0-9]*$/)
    }
  })

  await t.test('who is kept out', async t => {
    const issuer = new Issuer()
    const { url } = runGateway(t, { dispatchers: [fakeDispatcher(t, 'd').node], identity: identityOf(issuer) })
    const [good, elsewhere] = [await issuer.token('ed'), await issuer.token('ed', { videos: [] })].map(token => ({ authorization: `Bearer ${token}` }))
    for (const headers of [{}, elsewhere]) {
      for (const [path, init] of [[comments, { headers }], [comments, body({ content: 'x' }, headers)], [`${comments}/stats`, { headers }]] as const) {
        const { response } = await ask(t, path, url + path.replace('{videoId}', 'demo'), init)
        t.match(response.headers.get('www-authenticate'), /^Bearer /)
      }
      for (const path of ['/comments', '/counts']) await ask(t, path, `${url}${path}?videos=demo,other`, { headers: { accept: 'text/event-stream', ...headers } })
    }
    const { text } = await ask(t, comments, `${url}/comments/demo`, body({ content: 'x' }, good))
    t.match(JSON.parse(text), { authorName: 'Ann Example' })
  })

  await t.test('what moderators do', async t => {
    const issuer = new Issuer({ ed: 'EdDSA' })
    const dispatcher = fakeDispatcher(t, 'd')
    const identity = identityOf(issuer, { requireToWatch: false })
    const { url } = runGateway(t, { dispatchers: [dispatcher.node], identity })
    const limited = runGateway(t, { dispatchers: [dispatcher.node], identity, limits: { postsPerAddress: 0.001 } })
    await fetch(`${limited.url}/comments/demo`, body({ content: 'x' }))
    const headers = { authorization: `Bearer ${await issuer.token('ed', { mod: true })}` }
    const author = { authorization: `Bearer ${await issuer.token('ed')}` }
    const acts: [path: string, at: string, method: string, good: unknown, bad: string][] = [
      [`${comments}/{commentId}`, '/20', 'DELETE', undefined, '/x'],
      [`${comments}/pin`, '/pin', 'PUT', { commentId: '20' }, '/pin'],
      [`${comments}/settings`, '/settings', 'PUT', { closed: true }, '/settings'],
      [`${comments}/bans/{authorId}`, '/bans/bob', 'PUT', { forSeconds: 60 }, '/bans/bob'],
      [`${comments}/bans/{authorId}`, '/bans/bob', 'DELETE', undefined, '/bans/%20'],
    ]
    for (const [path, at, method, good, bad] of acts) {
      const does = async (init: RequestInit, place = at, base = url) => ask(t, path, `${base}/comments/demo${place}`, { method, ...init })
      const sent = (value: unknown, who: Record<string, string> = headers): RequestInit => (good === undefined ? { headers: who } : { headers: { ...who, 'content-type': 'application/json' }, body: JSON.stringify(value) })
      dispatcher.answerAct = () => ({ entryId: 21, created: true })
      await does(sent(good))
      await does(sent({}), bad)
      await does(sent(good, {}))
      dispatcher.answerAct = () => ({ error: { code: 'FORBIDDEN', message: 'why' } })
      await does(sent(good, author))
      const { response } = await does(sent(good), at, limited.url)
      t.match(response.headers.get('retry-after'), /^[1-9]/)
      for (const code of ['KEY_REUSED', 'UPGRADE_UNFINISHED', 'OUTCOME_UNKNOWN', ...(openApi.paths[path]![method === 'PUT' ? 'put' : 'delete']!.responses[404] ? (['COMMENT_NOT_FOUND'] as const) : [])] as const) {
        dispatcher.answerAct = () => ({ error: { code, message: 'why' } })
        await does(sent(good))
      }
      if (good === undefined) continue
      await does(sent('x'.repeat(9_000)))
      await does({ headers: { ...headers, 'content-type': 'text/plain' }, body: 'x' })
    }
    const settings = `${comments}/settings`
    await ask(t, settings, `${url}/comments/demo/settings`)
    await ask(t, settings, `${url}/comments/no.video/settings`)
    const closed = runGateway(t, { dispatchers: [dispatcher.node], identity: identityOf(issuer) })
    await ask(t, settings, `${closed.url}/comments/demo/settings`)
    await ask(t, settings, `${closed.url}/comments/demo/settings`, { headers: { authorization: `Bearer ${await issuer.token('ed', { videos: [] })}` } })
    await ask(t, settings, `${runGateway(t).url}/comments/demo/settings`)
  })

  await t.test('what is held, and what moderators say of it', async t => {
    const issuer = new Issuer({ ed: 'EdDSA' })
    const dispatcher = fakeDispatcher(t, 'd')
    const identity = identityOf(issuer, { requireToWatch: false })
    const { url } = runGateway(t, { dispatchers: [dispatcher.node], identity })
    const limited = runGateway(t, { dispatchers: [dispatcher.node], identity, limits: { postsPerAddress: 0.001 } })
    const headers = { authorization: `Bearer ${await issuer.token('ed', { mod: true })}` }
    dispatcher.answer = () => ({ held: true })
    await ask(t, comments, `${limited.url}/comments/demo`, body({ content: 'x' }, headers))
    const id = '0f1e2d3c4b5a69788796a5b4c3d2e1f0'
    dispatcher.held = [{ id, videoId: 'demo', authorId: 'ann', authorName: 'Ann', content: 'x', heldAt: 5 }]
    const held = `${comments}/held`
    await ask(t, held, `${url}/comments/demo/held`, { headers })
    await ask(t, held, `${url}/comments/no.video/held`, { headers })
    await ask(t, held, `${url}/comments/demo/held`)
    await ask(t, held, `${url}/comments/demo/held`, { headers: { authorization: `Bearer ${await issuer.token('ed')}` } })
    await ask(t, held, `${runGateway(t, { identity }).url}/comments/demo/held`, { headers })

    const decide = (value: unknown, who: Record<string, string> = headers, base = url) =>
      ask(t, `${held}/{heldId}`, `${base}/comments/demo/held/${id}`, { method: 'PUT', headers: { 'content-type': 'application/json', ...who }, body: JSON.stringify(value) })
    for (const value of [{ decision: 'approve' }, { decision: 'refuse', reason: 'be kind' }, {}, 'x'.repeat(9_000)]) await decide(value)
    await decide({ decision: 'approve' }, {})
    await decide({ decision: 'approve' }, { authorization: `Bearer ${await issuer.token('ed')}` })
    await decide({ decision: 'approve' }, { ...headers, 'content-type': 'text/plain' })
    await decide({ decision: 'approve' }, headers, limited.url)
    for (const code of ['COMMENT_NOT_FOUND', 'ALREADY_DECIDED', 'OVERLOADED', 'OUTCOME_UNKNOWN'] as const) {
      dispatcher.answerDecision = () => ({ error: { code, message: 'why' } })
      await decide({ decision: 'approve' })
    }
  })

  await t.test('what is away', async t => {
    const { url } = runGateway(t, { viewLoaded: () => false })
    await ask(t, comments, `${url}/comments/demo`)
    await ask(t, comments, `${url}/comments/demo`, body({ content: 'x' }))
    await ask(t, `${comments}/stats`, `${url}/comments/demo/stats`)
    await ask(t, '/counts', `${url}/counts?videos=demo`)
    await ask(t, '/readyz', `${url}/readyz`)
    const dispatcher = fakeDispatcher(t, 'd')
    const busy = runGateway(t, { dispatchers: [dispatcher.node] })
    for (const code of ['OVERLOADED', 'STORE_UNAVAILABLE', 'OUTCOME_UNKNOWN'] as const) {
      dispatcher.answer = () => ({ error: { code, message: 'why' } })
      const { response } = await ask(t, comments, `${busy.url}/comments/demo`, body({ content: 'x' }))
      t.equal(response.headers.has('retry-after'), code === 'OVERLOADED')
    }
  })

  t.same([...provoked].sort(), operations.flatMap(({ name, operation }) => Object.keys(operation.responses).map(status => `${name} ${status}`)).sort(), 'no status is described that was not seen')
})

t.test('every route of the API is described, and none besides', async t => {
  const { url, server } = runGateway(t)
  const routed = server.routes.map(route => route.replace(/:(\w+)/g, '{$1}'))
  const described = operations.map(({ name }) => name)
  t.same(described.filter(name => !routed.includes(name)), [])
  t.same(routed.filter(route => /^\w+ \/(comments|healthz|readyz|openapi|docs)/.test(route) && !described.includes(route)), [])
  t.same(await (await fetch(`${url}/openapi.json`)).json(), JSON.parse(JSON.stringify(openApi)))
  const missing = await fetch(`${url}/nothing`)
  t.match([missing.status, await missing.json()], [404, { error: { code: 'NOT_FOUND' } }])
  const wrong = await fetch(`${url}/comments/demo`, { method: 'DELETE' })
  t.match([wrong.status, wrong.headers.get('allow'), await wrong.json()], [405, 'GET, HEAD, POST, OPTIONS', { error: { code: 'METHOD_NOT_ALLOWED' } }])
})

t.test('the readable page tells all of it, loads nothing and runs nothing', async t => {
  const { url } = runGateway(t)
  const response = await fetch(`${url}/docs`)
  const html = await response.text()
  t.match(response.headers.get('content-security-policy'), /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+'; base-uri 'none'; form-action 'none'/)
  t.notMatch(html, /<script|<link|<img|<iframe|https?:\/\/|@import|url\(/i)
  for (const { operation } of operations) t.match(html, `id="${operation.operationId}"`)
  for (const name of Object.keys(openApi.components.schemas)) t.match(html, `id="${name}"`)
  for (const [, name] of html.matchAll(/href="#([^"]+)"/g)) t.match(html, `id="${name}"`)
  t.match(render({ ...openApi, info: { ...openApi.info, title: '<script>alert(1)</script>' } }), '&#60;script&#62;')
  t.ok(html.length < 62_000, `${html.length} bytes`)
})

t.test('the readable page has every description, example, rule and link, and no part that is empty', async t => {
  const html = render(openApi)
  const shown = (text: string) => text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`).replace(/`([^`]+)`/g, '<code>$1</code>')
  t.notMatch(html, /<(dl|p)><\/\1>|\bundefined\b|\[object|NaN|, ,/)
  const described = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return
    for (const [name, each] of Object.entries(value)) {
      if (name === 'description') for (const paragraph of (each as string).split('\n\n')) t.match(html, shown(paragraph))
      else if (name === '$ref') t.match(html, `href="#${(each as string).split('/').at(-1)}"`)
      else if (name === 'enum') t.match(html, `one of ${(each as string[]).map(word => `<code>${word}</code>`).join(', ')}`)
      else if (name === 'pattern') t.match(html, `pattern <code>${shown(each as string)}</code>`)
      else if (name === 'headers') for (const header of Object.values(each as Record<string, { description: string }>)) t.match(html, shown(header.description))
      else described(each)
    }
  }
  described(openApi)
  for (const { parameters = [], ...methods } of Object.values(openApi.paths)) {
    for (const { example } of [...parameters, ...Object.values(methods).flatMap(({ parameters = [] }) => parameters)]) if (example !== undefined) t.match(html, `For example <code>${String(example)}</code>.`)
  }
})

t.test('an answer has what OpenAPI knows of one, and its words are whole', async t => {
  t.notMatch(JSON.stringify(openApi), /NaN/)
  for (const { name, operation } of operations) {
    for (const [status, response] of Object.entries(operation.responses)) t.same(Object.keys(response).filter(key => !['description', 'headers', 'content'].includes(key)), [], `${name} ${status}`)
  }
})

t.test('the codes described are those of errors.ts', async t => {
  const source = readFileSync(join(projectRoot, 'protocol/errors.ts'), 'utf8')
  for (const { name, operation } of operations) {
    for (const [status, { content }] of Object.entries(operation.responses)) {
      const codes = JSON.stringify(content ?? {}).match(/"[A-Z]{3,}(_[A-Z]+)*"/g) ?? []
      for (const code of codes) if (status >= '400') t.match(source, `${code.slice(1, -1)}: ${status}`, `${name} ${code}`)
    }
  }
})
