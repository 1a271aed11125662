import fc from 'fast-check'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { Dispatcher } from '../../../dispatcher/dispatcher.js'
import { DispatcherMetrics } from '../../../dispatcher/metrics.js'
import { routeDispatcher } from '../../../dispatcher/server.js'
import { SqliteStore } from '../../../dispatcher/store/sqlite.js'
import { View } from '../../../registry/view.js'
import { systemClock } from '../../../runtime/clock.js'
import { internalServer } from '../../../runtime/peers/internal-server.js'
import { bytes, FRAMING_WORDS, requests, videoId } from '../grammar.js'
import { hostile } from '../mutate.js'
import { checkRaw } from '../raw-server.js'
import type { Target } from '../target.js'
import { postBatch, POST_WORDS } from './posts.js'
import { wireBatch, wireReplay, wireSync, WIRE_WORDS } from './wire.js'

const query = fc.constantFrom('', '?cursor=9&direction=after&pageSize=3', '?cursor=9007199254740991', '?cursor=', '?pageSize=0', '?direction=up', '?cursor=%00')
const paths = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('/internal/posts', '/internal/sync', '/internal/replay', '/internal/batch') },
  { weight: 2, arbitrary: fc.tuple(videoId, query).map(([video, query]) => `/internal/history/${video}${query}`) },
  { weight: 1, arbitrary: fc.constantFrom('/internal/ping', '/metrics', '/healthz', '/', '/internal/history/') },
)
const TOKEN = 'a-token-of-sixteen'
const EDGE = [`Authorization: Bearer ${TOKEN}`, 'X-Live-Wire: 1', 'X-Live-Edge: e', 'X-Live-Instance: i', 'X-Live-Url: http://127.0.0.1:1']
const HEADERS = ['X-Live-Wire: 2', 'Origin: null', 'X-Live-Nonce: AAAAAAAAAAAAAAAAAAAAAAAA', 'X-Live-Nonce: \xff', 'X-Live-To: other', 'X-Live-Url: javascript:1', 'X-Live-Url: http://[', 'X-Live-Edge: ../x']

/** Whole connections to a dispatcher's internal port, before a real store. What it would send to edges goes nowhere. */
export const dispatcherHttp: Target = {
  name: 'dispatcher-http',
  what: "requests, as bytes, to a dispatcher's internal port, before SQLite",
  cases: 1_500,
  lanes: 16,
  inputs: hostile(requests({ paths, headers: HEADERS, bodies: fc.oneof(fc.oneof(wireBatch, wireSync, wireReplay, postBatch).map(bytes)), always: EDGE }), [...FRAMING_WORDS, ...WIRE_WORDS, ...POST_WORDS]),
  open() {
    const bugs: unknown[] = []
    const onBug = (error: unknown) => void bugs.push(error)
    const folder = mkdtempSync(join(tmpdir(), 'live-fuzz-'))
    const store = new SqliteStore(join(folder, 'comments.db'))
    const metrics = new Registry()
    const dispatcher = new Dispatcher({
      self: 'd', store, view: new View(), viewIsCurrent: () => true, clock: systemClock, random: Math.random, metrics: new DispatcherMetrics(metrics), onBug,
      send: async () => Buffer.alloc(0),
      ping: async () => undefined,
      limits: { maxRecentBytes: 1 << 20 },
    })
    const server = internalServer({ token: TOKEN, metrics, identity: { id: 'd', instance: 'i1', version: '0' }, url: () => 'http://127.0.0.1:1', notReady: () => undefined, onBug })
    // What is under way is the store's: nothing else here takes time.
    let underWay = 0
    for (const method of ['append', 'page', 'lastIds'] as const) {
      const real = store[method].bind(store) as (...given: unknown[]) => Promise<unknown>
      Object.assign(store, {
        [method]: async (...given: unknown[]) => {
          underWay++
          try {
            return await real(...given)
          } finally {
            underWay--
          }
        },
      })
    }
    routeDispatcher(server, dispatcher)
    const port = server.listen('127.0.0.1', 0)
    return {
      async check(input) {
        await checkRaw(port, input, () => underWay > 0)
        if (bugs.length > 0) throw bugs.splice(0)[0]
      },
      async close() {
        server.close()
        dispatcher.close()
        await store.close()
        rmSync(folder, { recursive: true, force: true })
      },
    }
  },
}
