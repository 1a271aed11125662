import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { Dispatcher } from '../dispatcher/dispatcher.js'
import { DispatcherMetrics } from '../dispatcher/metrics.js'
import { routeDispatcher } from '../dispatcher/server.js'
import { internalRoutes } from '../edge/server.js'
import { View } from '../registry/view.js'
import { systemClock, type Clock } from '../runtime/clock.js'
import type { HttpServer } from '../runtime/http/server.js'
import { InternalClient } from '../runtime/peers/client.js'
import { internalServer } from '../runtime/peers/internal-server.js'
import { takesToken } from '../runtime/peers/internal-token.js'
import { MemoryStore } from './dispatcher/memory-store.js'
import { EdgeStage } from './support/edge-stage.js'

const OPEN = ['/healthz', '/readyz']
const NEW = 'the-new-token-of-the-parts'
const OLD = 'the-old-token-of-the-parts'
const WRONG = [undefined, '', 'Bearer', `Bearer ${OLD}`, NEW, `Basic ${NEW}`, `Bearer ${NEW}x`, `Bearer ${NEW.slice(1)}`, `Bearer ${NEW},${OLD}`]

interface Served {
  readonly routes: readonly string[]
  readonly url: string
  readonly unauthorized: () => Promise<number>
}

/** The internal server of each part, with all of its routes, as its main.ts makes it. */
function serve(t: Test, token: string): Record<'gateway' | 'edge' | 'dispatcher', Served> {
  const part = (metrics: Registry, route: (server: HttpServer) => void): Served => {
    const server = internalServer({ token, metrics, identity: { id: 'n', instance: 'i1', version: '0' }, notReady: () => undefined, onBug: error => t.fail(String(error)) })
    route(server)
    t.after(() => server.close())
    const url = `http://127.0.0.1:${server.listen('127.0.0.1', 0)}`
    return { routes: server.routes, url, unauthorized: async () => (await metrics.getSingleMetric('live_internal_refusals_total')!.get()).values.find(({ labels }) => labels.code === 'UNAUTHORIZED')!.value }
  }
  const stage = new EdgeStage<Clock>({}, systemClock)
  t.after(() => stage.edge.stop())
  const registry = new Registry()
  const dispatcher = new Dispatcher({ self: 'd', store: new MemoryStore(), view: new View(), viewIsCurrent: () => true, clock: systemClock, random: Math.random, send: () => Promise.reject(new Error('nobody is there')), ping: () => Promise.resolve('refused'), metrics: new DispatcherMetrics(registry), onBug: error => t.fail(String(error)) })
  t.after(() => dispatcher.close())
  return {
    gateway: part(new Registry(), () => {}),
    edge: part(stage.register, server => internalRoutes(server, stage.edge)),
    dispatcher: part(registry, server => routeDispatcher(server, dispatcher)),
  }
}

t.test('every internal route of every part wants the token, whatever the method, and so does what is no route', async t => {
  const parts = serve(t, NEW)
  t.ok(parts.edge.routes.includes('GET /internal/stream/:videoId') && parts.dispatcher.routes.includes('POST /internal/posts') && parts.gateway.routes.includes('GET /metrics'))
  for (const [name, { routes, url, unauthorized }] of Object.entries(parts)) {
    let refused = 0
    for (const route of [...routes, 'GET /internal/nothing', 'GET /nothing', 'POST /']) {
      const [own = '', pattern = ''] = route.split(' ')
      const path = pattern.replace(':videoId', 'v')
      for (const method of new Set([own, 'HEAD', 'OPTIONS', 'POST', 'PATCH'])) {
        for (const authorization of method === own ? WRONG : [undefined, `Bearer ${OLD}`]) {
          const { status } = await fetch(url + path, { method, headers: authorization === undefined ? {} : { authorization } })
          if (OPEN.includes(path)) t.not(status, 401)
          else {
            refused++
            if (status !== 401) t.fail(`${name}: ${method} ${path} was answered ${status}`)
          }
        }
      }
    }
    t.equal(await unauthorized(), refused, `${name} counts what it refuses`)
    for (const path of ['/internal/ping?token=x', '/METRICS', '//metrics', '/metrics/', '/healthz%2f..%2fmetrics', '/healthz;/metrics', '/healthz/x']) t.equal((await fetch(url + path)).status, 401, `${name} ${path}`)
    t.equal((await fetch(`${url}/metrics`, { headers: { authorization: `Bearer ${NEW}` } })).status, 200)
  }
})

t.test('while it is changed any of the tokens is taken, and the first is sent', async t => {
  const { gateway } = serve(t, `${NEW},${OLD}`)
  const call = async (token: string) => {
    const client = new InternalClient(token)
    t.after(() => client.close())
    return client.call(gateway.url, { method: 'GET', path: '/internal/ping', timeoutMs: 2_000 })
  }
  await call(NEW)
  await call(OLD)
  await call(`${OLD},something-else-entirely`)
  await t.rejects(call(`something-else-entirely,${OLD}`), { name: 'PeerError', message: / answered 401$/ })
  await t.rejects(call(NEW.slice(1)), { name: 'PeerError', message: / answered 401$/ })
})

t.test('a token is a whole one: no part of the list, no two together, nothing empty', async t => {
  const takes = takesToken(`${NEW},${OLD}`)
  t.ok(takes(`Bearer ${NEW}`) && takes(`Bearer ${OLD}`))
  for (const header of ['', 'Bearer ', NEW, `bearer ${NEW}`, `Bearer ${NEW},${OLD}`, `Bearer ${NEW} `, `Bearer ${NEW}\0`]) t.notOk(takes(header), JSON.stringify(header))
})
