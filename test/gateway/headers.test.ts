import t, { type Test } from 'tap'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { runGateway, type GatewayGiven } from '../support/gateway.js'
import { identityOf, Issuer } from '../support/issuer.js'
import { until } from '../support/until.js'
import { watch } from '../support/viewer.js'

const LISTED = 'https://good.example'
const API_POLICY = "default-src 'none'; frame-ancestors 'none'"
const stream = { accept: 'text/event-stream' }
const json = { 'content-type': 'application/json' }

type Headers = Record<string, string>

interface Asked {
  readonly path: string
  readonly init?: RequestInit
  readonly status: number
  /** What differs from the answers of the API. */
  readonly policy?: RegExp
  readonly referrer?: string
  readonly vary?: string
}

const negotiated = 'Accept, Accept-Encoding'
const page = (ancestors: string) => new RegExp(`^default-src 'none'; script-src 'self'; .*frame-ancestors ${ancestors}; require-trusted-types-for 'script'; trusted-types 'none'$`)

/** Every route, and what is no route. @param ancestors who may frame `/embed` */
function asked(ancestors: string, asset: string): Record<string, Asked[]> {
  return {
    'GET /': [{ path: '/', status: 200, policy: page("'self'"), referrer: 'same-origin' }],
    'GET /embed': [{ path: '/embed', status: 200, policy: page(ancestors), referrer: 'same-origin' }],
    'GET /replay': [{ path: '/replay', status: 200, policy: page(ancestors), referrer: 'same-origin' }],
    'GET /page/:hash/:file': [{ path: asset, status: 200, vary: 'Accept-Encoding' }, { path: '/page/x/none', status: 404 }],
    'GET /openapi.json': [{ path: '/openapi.json', status: 200 }],
    'GET /asyncapi.json': [{ path: '/asyncapi.json', status: 200 }],
    'GET /docs': [{ path: '/docs', status: 200, policy: /^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'$/ }],
    'GET /healthz': [{ path: '/healthz', status: 200 }, { path: '/healthz', init: { method: 'HEAD' }, status: 200 }, { path: '/healthz', init: { method: 'POST' }, status: 405 }],
    'GET /readyz': [{ path: '/readyz', status: 200 }],
    'GET /comments': [
      { path: '/comments?videos=a,b', init: { headers: stream }, status: 200, vary: negotiated },
      { path: '/comments?videos=a,b', init: { headers: stream, method: 'HEAD' }, status: 200, vary: negotiated },
      { path: '/comments', init: { headers: stream }, status: 400, vary: negotiated },
    ],
    'GET /counts': [{ path: '/counts?videos=a,b', status: 200 }],
    'GET /comments/:videoId': [
      { path: '/comments/demo', status: 200, vary: negotiated },
      { path: '/comments/no.video', status: 400, vary: negotiated },
      { path: '/comments/demo', init: { headers: stream }, status: 200, vary: negotiated },
      { path: '/comments/demo', init: { headers: { ...stream, 'accept-encoding': 'gzip' } }, status: 200, vary: negotiated },
      { path: '/comments/demo', init: { headers: stream, method: 'HEAD' }, status: 200, vary: negotiated },
      { path: '/comments/demo', init: { headers: stream }, status: 429, vary: negotiated },
    ],
    'POST /comments/:videoId': [
      { path: '/comments/demo', init: { method: 'POST', headers: json, body: '{"content":"x"}' }, status: 201, vary: negotiated },
      { path: '/comments/demo', init: { method: 'POST', body: 'x' }, status: 415, vary: negotiated },
      { path: '/comments/demo', init: { method: 'OPTIONS' }, status: 204, vary: negotiated },
    ],
    'GET /comments/:videoId/stats': [{ path: '/comments/demo/stats', status: 200 }],
    // Identity is off: nobody may.
    'DELETE /comments/:videoId/:commentId': [{ path: '/comments/demo/1', init: { method: 'DELETE' }, status: 403 }, { path: '/comments/demo/1', init: { method: 'OPTIONS' }, status: 204 }],
    'PUT /comments/:videoId/pin': [{ path: '/comments/demo/pin', init: { method: 'PUT', headers: json, body: '{}' }, status: 403 }],
    'GET /comments/:videoId/settings': [{ path: '/comments/demo/settings', status: 200 }],
    'PUT /comments/:videoId/settings': [{ path: '/comments/demo/settings', init: { method: 'PUT', headers: json, body: '{}' }, status: 403 }],
    'PUT /comments/:videoId/bans/:authorId': [{ path: '/comments/demo/bans/ann', init: { method: 'PUT', headers: json, body: '{}' }, status: 403 }],
    'DELETE /comments/:videoId/bans/:authorId': [{ path: '/comments/demo/bans/ann', init: { method: 'DELETE' }, status: 403 }],
    'GET /comments/:videoId/held': [{ path: '/comments/demo/held', status: 403 }],
    'PUT /comments/:videoId/held/:heldId': [{ path: `/comments/demo/held/${'0'.repeat(32)}`, init: { method: 'PUT', headers: json, body: '{}' }, status: 403 }],
    none: [{ path: '/nothing', status: 404 }],
  }
}

/** The headers alone: a stream has no end. */
async function headersOf(t: Test, url: string, init: RequestInit): Promise<{ status: number; headers: Headers }> {
  const leave = new AbortController()
  t.after(() => leave.abort())
  const { status, headers, body } = await fetch(url, { ...init, signal: leave.signal })
  if (!headers.get('content-type')?.startsWith('text/event-stream')) await body?.cancel()
  return { status, headers: Object.fromEntries(headers) }
}

t.test('where a cookie may say who somebody is, only named sites may frame the page', async t => {
  const framedBy = async (given: GatewayGiven) => /frame-ancestors ([^;]+)/.exec((await fetch(`${runGateway(t, given).url}/embed`)).headers.get('content-security-policy')!)![1]
  const identity = identityOf(new Issuer({ ed: 'EdDSA' }))
  t.equal(await framedBy({ identity }), "'self'", '* names none')
  t.equal(await framedBy({ identity, allowedOrigins: new Set([LISTED]) }), `'self' ${LISTED}`)
  t.equal(await framedBy({}), '*')
})

t.test('a page that differs has another tag, or browsers would keep the former one', async t => {
  const tagOf = async (given: GatewayGiven) => (await fetch(runGateway(t, given).url)).headers.get('etag')
  t.equal(await tagOf({}), await tagOf({}))
  t.not(await tagOf({ identity: identityOf(new Issuer({ ed: 'EdDSA' })) }), await tagOf({}))
})

for (const [name, allowed, origins] of [
  ['any origin', '*', { [LISTED]: '*', 'https://bad.example': '*' }],
  ['listed origins', new Set([LISTED]), { [LISTED]: LISTED, 'https://bad.example': undefined, 'https://good.example.bad.example': undefined, null: undefined }],
] as const) {
  t.test(`every answer of every route has the headers it needs and no others: ${name}`, async t => {
    const dispatcher = fakeDispatcher(t, 'd')
    const given = { dispatchers: [dispatcher.node], allowedOrigins: allowed }
    const { url, server } = runGateway(t, given)
    const full = runGateway(t, { ...given, limits: { streamsPerAddress: 1 } })
    const viewer = watch(t, `${full.url}/comments/demo`)
    await until(() => viewer.status)
    const asset = /\/page\/[^"]+\/page\.js/.exec(await (await fetch(`${url}/`)).text())![0]
    const cases = asked(allowed === '*' ? '\\*' : `'self' ${LISTED}`, asset)
    t.same(Object.keys(cases).filter(route => route !== 'none').sort(), [...server.routes].sort(), 'every route is asked')
    for (const [route, each] of Object.entries(cases)) {
      for (const { path, init = {}, status, policy, referrer = 'no-referrer', vary } of each) {
        for (const [origin, answer] of Object.entries(origins as Record<string, string | undefined>)) {
          const what = `${init.method ?? 'GET'} ${path} ${status} from ${origin}`
          const got = await headersOf(t, (status === 429 ? full.url : url) + path, { ...init, headers: { ...(init.headers as Headers), origin } })
          const { headers } = got
          t.equal(got.status, status, what)
          t.equal(headers['x-content-type-options'], 'nosniff', what)
          t.equal(headers['referrer-policy'], referrer, what)
          t.match(headers['content-security-policy'], policy ?? API_POLICY, what)
          t.equal(headers['access-control-allow-origin'], answer, what)
          t.equal(headers['access-control-allow-credentials'], undefined, what)
          t.equal(headers['vary'], [allowed === '*' ? undefined : 'Origin', vary].filter(Boolean).join(', ') || undefined, what)
          for (const banner of ['server', 'x-powered-by', 'uwebsockets', 'via']) t.notOk(banner in headers, `${what}: ${banner}`)
          if (status === 200 && init.method !== 'HEAD') t.ok(headers['content-type'], `${what}: its type`)
          const preflight = init.method === 'OPTIONS'
          t.equal(headers['access-control-expose-headers'], answer && !preflight ? 'retry-after' : undefined, what)
          t.equal('access-control-allow-methods' in headers, Boolean(answer && preflight), `${route}: ${what}`)
        }
      }
    }
  })
}
