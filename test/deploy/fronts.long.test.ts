import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startCluster } from '../support/cluster.js'
import type { Front } from '../support/front.js'
import { fronts, manyAddresses } from '../support/fronts.js'
import { sendRaw } from '../support/raw-request.js'
import { ResumingViewer, SecureClient } from '../support/secure-client.js'
import { until } from '../support/until.js'

/** These cannot send again what was on its way when a gateway went, nor what it refused before they know that it is away: Caddy 2.6 has
 * read a post by then. */
const NOT_SENT_AGAIN = new Set(['Caddy', 'Apache'])

t.test('in front of two gateways', async t => {
  // Each test has a video of its own.
  const behind = await startCluster(t, ['--gateways', '2', '--edges', '2'])
  const gateways = behind.record().gateways.map(({ url }) => url!)

  await t.test('each part counts who speaks HTTP/1.0 to any of its ports, and nobody does by himself', async t => {
    for (const { id, url, internalUrl } of ['gateway-1', 'edge-1', 'dispatcher-1'].map(id => behind.member(id))) {
      t.equal(await behind.metric(id, 'live_unread_connections_total'), 0)
      const urls = [url, internalUrl].filter(url => url !== null)
      for (const each of urls) t.match((await sendRaw(Number(new URL(each).port), 'GET /healthz HTTP/1.0\r\n\r\n')).statuses, [505])
      await until(async () => (await behind.metric(id, 'live_unread_connections_total')) === urls.length)
    }
  })

  for (const [name, start] of Object.entries(fronts)) {
    const first = `${name}-first`

    await t.test(`through ${name}: a stream, each comment at once, compressed by the gateway, resumed`, async t => {
      const front = await start(t, gateways)
      const client = new SecureClient(t, front)
      const plain = new ResumingViewer(t, client, first)
      const zipped = new ResumingViewer(t, client, first, { 'accept-encoding': 'gzip' })
      await until(() => plain.ready && zipped.ready, { what: 'both are ready: nothing is held back' })
      t.equal(client.protocol, 'h2')
      t.equal(plain.headers['content-encoding'], undefined)
      t.equal(zipped.headers['content-encoding'], 'gzip')
      for (const { headers } of [plain, zipped]) t.match(headers, { ':status': 200, 'content-type': /^text\/event-stream/, 'cache-control': 'no-store, no-transform' })

      const ids: string[] = []
      for (const content of ['one', 'two', 'three']) {
        const { status, body } = await client.post(first, content)
        t.equal(status, 201, body)
        ids.push((JSON.parse(body) as { id: string }).id)
        await until(() => plain.ids.length === ids.length && zipped.ids.length === ids.length, { what: `${content} has come, before anything follows it` })
      }
      t.same(plain.ids, ids)
      t.same(zipped.ids, ids)
      const resumed = new ResumingViewer(t, client, first, { 'last-event-id': ids[0]! })
      await until(() => resumed.ids.length === 2)
      t.same(resumed.ids, ids.slice(1))
      t.same((await behind.history(first)).map(({ id }) => id), ids)

      for (const viewer of [plain, zipped, resumed]) viewer.leave()
      const watching = async () => (await Promise.all(['gateway-1', 'gateway-2'].map(id => behind.metric(id, 'live_gateway_viewers')))).reduce((sum, each) => sum + each)
      if (name === 'Varnish') return // it notices when it has something to pass on
      await until(async () => (await watching()) === 0, { what: 'the gateways know that they have left, before anything more is written to them' })
    })
  }

  await t.test('gateways that stop or die, one after the other, cost no comment', async t => {
    const all: Posted[] = []
    for (const [name, start] of Object.entries(fronts)) all.push(new Posted(t, name, await start(t, gateways)))
    await until(() => all.every(({ viewers }) => viewers.every(({ ready }) => ready)), { timeoutMs: 60_000, what: 'all are ready' })

    const posting = all.map(each => each.post())
    for (const [id, signal] of [['gateway-1', 'SIGTERM'], ['gateway-2', 'SIGTERM'], ['gateway-1', 'SIGKILL']] as const) {
      const before = all.map(({ acknowledged }) => acknowledged.length)
      await until(() => all.every(({ acknowledged }, index) => acknowledged.length > before[index]! + 20), { timeoutMs: 60_000, what: `posts through each before ${id} gets ${signal}` })
      await behind.again(id, behind.kill(id, signal))
      const reads = () => behind.metric(id, 'live_gateway_history_reads_total')
      for (const each of all) {
        const before = await reads()
        await until(async () => (await each.read(), (await reads()) > before), { timeoutMs: 60_000, what: `${each.name} has found ${id} again` })
      }
    }
    for (const each of all) each.done = true
    await Promise.all(posting)
    for (const { name, video, acknowledged, refused, viewers } of all) {
      await t.test(`through ${name}`, async t => {
        await until(() => viewers.every(({ ids }) => ids.at(-1) === acknowledged.at(-1)), { timeoutMs: 60_000, what: 'all have the last comment' })
        t.same(NOT_SENT_AGAIN.has(name) ? refused.filter(line => !line.includes(' 504 ')) : refused, [])
        for (const viewer of viewers) {
          t.same(viewer.ids, acknowledged)
          t.same(viewer.refused, [])
        }
        t.ok(viewers.some(({ streams }) => streams > 1), 'streams ended on the way')
        t.same((await behind.history(video)).map(({ id }) => id), acknowledged, 'and none was stored twice')
      })
    }
  })
})

/** What is posted to a video through a front, and who watches it there. */
class Posted {
  readonly name: string
  readonly video: string
  readonly viewers: readonly ResumingViewer[]
  readonly acknowledged: string[] = []
  readonly refused: string[] = []
  done = false
  readonly #client: SecureClient

  constructor(t: Test, name: string, front: Front) {
    this.name = name
    this.video = `${name}-second`
    this.#client = new SecureClient(t, front)
    this.viewers = Array.from({ length: 10 }, () => new ResumingViewer(t, new SecureClient(t, front), this.video))
  }

  /** Reads a page of history: nobody else does. */
  async read(): Promise<void> {
    await this.#client.call(`/comments/${this.video}`)
  }

  /** Posts with a key for each comment, and again until it is acknowledged: as the page posts. */
  async post(): Promise<void> {
    // The last one too is sent until it is acknowledged: it may have been stored by a try that was not.
    for (let unknown = false; (unknown || !this.done) && !this.#client.closed;) {
      const key = `comment-${this.acknowledged.length}`
      const { status, body } = await this.#client.post(this.video, key, { 'idempotency-key': key })
      unknown = status !== 201
      if (unknown) this.refused.push(`${new Date().toISOString()} ${status} ${body}`)
      else this.acknowledged.push((JSON.parse(body) as { id: string }).id)
      await sleep(10)
    }
  }
}

t.test('in front of a gateway with limits', { skip: !manyAddresses && 'this machine has one loopback address' }, async t => {
  const behind = await startCluster(t, ['--edges', '1', '--dispatchers', '1'], { env: { TRUSTED_PROXIES: '127.0.0.1', STREAMS_PER_ADDRESS: '2', POST_RATE_LIMIT_PER_ADDRESS: '0.1' } })
  for (const [index, [name, start]] of Object.entries(fronts).entries()) {
    await t.test(`through ${name}: one address's streams and posts beyond its limits are 429, another's are not`, async t => {
      const front = await start(t, [behind.url])
      const greedy = new SecureClient(t, front, `127.0.${index}.2`)
      const other = new SecureClient(t, front, `127.0.${index}.3`)
      const viewers = [new ResumingViewer(t, greedy, 'demo'), new ResumingViewer(t, greedy, 'demo')]
      await until(() => viewers.every(({ ready }) => ready), { what: 'both are ready' })
      for (const claimed of ['', '203.0.113.7']) {
        const stream = await greedy.call('/comments/demo', { headers: { accept: 'text/event-stream', 'x-forwarded-for': claimed } })
        t.match(stream, { status: 429, headers: { 'retry-after': /^\d+$/ } })
        t.match(JSON.parse(stream.body), { error: { code: 'RATE_LIMITED' } })
      }
      const neighbour = new ResumingViewer(t, other, 'demo')
      await until(() => neighbour.ready, { what: 'the other address watches' })

      t.equal((await greedy.post('demo', 'one')).status, 201)
      t.match(await greedy.post('demo', 'two', { 'x-forwarded-for': '203.0.113.7' }), { status: 429, headers: { 'retry-after': /^\d+$/ } })
      t.equal((await other.post('demo', 'three')).status, 201)
    })
  }
})
