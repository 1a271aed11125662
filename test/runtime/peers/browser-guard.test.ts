import { request } from 'node:http'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { WIRE_HEADER, WIRE_VERSION } from '../../../protocol/wire.js'
import { internalServer, type InternalOptions } from '../../../runtime/peers/internal-server.js'

const WIRE = { [WIRE_HEADER]: String(WIRE_VERSION) }

function serve(t: Test, token?: string, page?: InternalOptions['page']) {
  const metrics = new Registry()
  const server = internalServer({ token, metrics, identity: { id: 'd1', instance: 'i1', version: '0' }, url: () => 'http://dispatcher-1:9082', ...(page ? { page } : {}), notReady: () => undefined, onBug: error => t.fail(String(error)) })
  let posts = 0
  server.route('POST', '/internal/posts', async exchange => {
    await exchange.body(1_000)
    posts++
    return { status: 200 }
  })
  t.after(() => server.close())
  const port = server.listen('127.0.0.1', 0)
  const ask = (method: string, path: string, headers: Record<string, string> = {}) =>
    new Promise<{ status: number; body: string }>((resolve, reject) => {
      const asked = request({ port, method, path, headers, agent: false }, response => {
        let body = ''
        response.setEncoding('utf8').on('data', (text: string) => (body += text)).on('end', () => resolve({ status: response.statusCode!, body }))
      })
      asked.on('error', reject).end(method === 'POST' ? '{}' : undefined)
    })
  return { ask, posts: () => posts, metrics }
}

/** What browsers send of themselves: with a post of a form, a request of a script, an image, an address that is typed. */
const BROWSERS: readonly Record<string, string>[] = [
  { origin: 'http://evil.example' },
  { origin: 'null' },
  { origin: '' },
  { origin: 'é' },
  { 'sec-fetch-site': 'cross-site' },
  { 'sec-fetch-site': 'same-origin' },
  { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-user': '?1', 'sec-fetch-dest': 'document' },
  { 'sec-fetch-mode': 'no-cors' },
  { 'sec-fetch-mode': 'navigate' },
  { 'sec-fetch-dest': 'image' },
  { 'sec-fetch-user': '?1' },
]

t.test('no route of an internal port serves a web page, with a token and without', async t => {
  for (const token of [undefined, 'a-token-of-the-parts']) {
    const { ask, posts, metrics } = serve(t, token)
    const known: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
    for (const browser of BROWSERS) {
      for (const [method, path] of [['POST', '/internal/posts'], ['OPTIONS', '/internal/posts'], ['GET', '/internal/ping'], ['GET', '/metrics'], ['GET', '/healthz'], ['GET', '/readyz'], ['GET', '/nothing']] as const) {
        const { status, body } = await ask(method, path, { ...WIRE, ...known, ...browser })
        t.equal(status, 403, `${method} ${path} ${JSON.stringify(browser)}`)
        t.match(JSON.parse(body), { error: { code: 'FORBIDDEN', message: String } })
      }
    }
    t.equal(posts(), 0)
    t.match(await metrics.metrics(), `live_internal_refusals_total{code="FORBIDDEN"} ${7 * BROWSERS.length}`)
  }
})

t.test('a call between parts names its wire version; a health check and a scrape need not', async t => {
  const { ask, posts } = serve(t)
  for (const [method, path] of [['POST', '/internal/posts'], ['GET', '/internal/ping'], ['GET', '/internal/nothing']] as const) t.equal((await ask(method, path)).status, 403, path)
  t.equal(posts(), 0)
  t.equal((await ask('POST', '/internal/posts', WIRE)).status, 200)
  for (const path of ['/healthz', '/readyz', '/metrics']) t.equal((await ask('GET', path)).status, 200, path)
  for (const path of ['/healthz', '/metrics']) t.equal((await ask('GET', path, { 'sec-fetch-mode': 'cors' })).status, 200, 'as Node\'s fetch sends it')
})

t.test('without a token the host that is asked must be this one: the page of another may have been led here', async t => {
  const { ask } = serve(t)
  for (const host of ['rebind.example:9082', 'rebind.example', 'localhost.evil.example', '127.0.0.1.evil.example', 'x']) {
    for (const path of ['/metrics', '/internal/ping', '/healthz']) t.equal((await ask('GET', path, { ...WIRE, host })).status, 403, `${host} ${path}`)
  }
  for (const host of ['127.0.0.1:9082', '10.1.2.3:9082', '[::1]:9082', '[fe80::1]', 'localhost:9082', 'LOCALHOST', 'dispatcher-1:9082', 'Dispatcher-1']) t.equal((await ask('GET', '/metrics', { host })).status, 200, host)
  const { ask: asked } = serve(t, 'a-token-of-the-parts')
  t.equal((await asked('GET', '/metrics', { host: 'by-another-name', authorization: 'Bearer a-token-of-the-parts' })).status, 200, 'a token is no page\'s')
})

t.test('a page for operators: its files are open, what it asks for has the token, and no other site\'s page asks', async t => {
  const { ask } = serve(t, 'a-token-of-the-parts', { folder: '/nothing', files: new Set(['/nothing']) })
  const status = async (path: string, headers: Record<string, string>, method = 'GET') => (await ask(method, path, headers)).status
  const own = { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' }
  const known = { authorization: 'Bearer a-token-of-the-parts' }
  t.equal(await status('/nothing', { 'sec-fetch-site': 'none', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' }), 404, 'let through: there is no such route here')
  t.equal(await status('/nothing/overview', own), 401)
  t.equal(await status('/nothing/overview', { ...own, ...known }), 404)
  t.equal(await status('/nothing/drain', { ...own, ...known, host: '127.0.0.1:9', origin: 'http://127.0.0.1:9' }, 'POST'), 404)
  for (const other of [{ 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }, { origin: 'http://evil.example' }, { origin: 'null' }] as Record<string, string>[]) {
    for (const path of ['/nothing', '/nothing/overview']) t.equal(await status(path, { ...known, ...other }), 403, JSON.stringify(other))
  }
  for (const path of ['/metrics', '/internal/ping', '/healthz']) t.equal(await status(path, { ...WIRE, ...known, ...own }), 403, `${path} is for no page`)
})
