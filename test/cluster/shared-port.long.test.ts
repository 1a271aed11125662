import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { PortClaim, sharePort } from '../../cluster/shared-port.js'
import { Ports } from '../../cluster/ports.js'
import { run, startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { until } from '../support/until.js'
import { Viewer, watchReady } from '../support/viewer.js'

t.setTimeout(230_000)

const GATEWAYS = ['gateway-1', 'gateway-2', 'gateway-3']
const VIEWERS = 24
const VIDEO = 'shared'
const POST_EVERY_MS = 10

t.test('gateways share a port where there are several and the kernel is Linux, unless the environment says otherwise', async t => {
  t.equal(sharePort(4, undefined, 'linux'), 'true')
  t.equal(sharePort(4, '', 'linux'), 'true')
  t.equal(sharePort(1, undefined, 'linux'), 'false')
  t.equal(sharePort(4, undefined, 'darwin'), 'false')
  t.equal(sharePort(4, 'false', 'linux'), 'false')
  t.equal(sharePort(4, 'true', 'darwin'), 'true', 'which each gateway refuses')
})

t.test('a port has one supervisor', { skip: process.platform !== 'linux' && 'only Linux shares ports' }, async t => {
  const port = await new Ports().take('127.0.0.1')
  const claim = await PortClaim.of('127.0.0.1', port)
  t.ok(claim)
  t.equal(await PortClaim.of('127.0.0.1', port), undefined)
  claim!.close()
  const next = await PortClaim.of('127.0.0.1', port)
  t.ok(next)
  next!.close()
})

/** Posts without pause until it is stopped, each time until it is answered 201. */
class Poster {
  acknowledged = 0
  /** Answers other than 201. */
  readonly refused: string[] = []
  /** Why there was no answer. */
  readonly lost: string[] = []
  readonly #url: string
  readonly #agent: Agent | false
  #posting = true
  readonly #done: Promise<void>

  /** @param agent keeps its connections; false: each post comes on one of its own */
  constructor(cluster: Cluster, agent: Agent | false) {
    this.#url = cluster.stream(VIDEO)
    this.#agent = agent
    this.#done = this.#run()
  }

  async stop(): Promise<void> {
    this.#posting = false
    await this.#done
  }

  async #run(): Promise<void> {
    while (this.#posting) {
      const key = randomUUID()
      while (!(await this.#post(key))) await sleep(POST_EVERY_MS)
      this.acknowledged++
      await sleep(POST_EVERY_MS)
    }
  }

  #post(key: string): Promise<boolean> {
    return new Promise(resolve => {
      const post = request(this.#url, { method: 'POST', agent: this.#agent, headers: { 'content-type': 'application/json', 'idempotency-key': key } }, response => {
        const isStored = response.statusCode === 201
        if (!isStored) this.refused.push(String(response.statusCode))
        response.resume().on('close', () => resolve(isStored))
      })
      post.on('error', (error: NodeJS.ErrnoException) => {
        this.lost.push(error.code ?? error.message)
        resolve(false)
      })
      post.end(JSON.stringify({ content: key }))
    })
  }
}

/** Watches from the first comment on, and comes back as a browser does. */
class ReturningViewer {
  readonly ids: string[] = []
  /** Of connections that brought no stream. */
  readonly failed: (number | undefined)[] = []
  #current!: Viewer
  #left = false

  constructor(url: string) {
    void this.#run(url)
  }

  get isReady(): boolean {
    return !this.#current.isClosed && this.#current.events.some(({ event }) => event === 'ready')
  }

  get seen(): string[] {
    return [...this.ids, ...this.#current.ids]
  }

  leave(): void {
    this.#left = true
    this.#current.close()
  }

  async #run(url: string): Promise<void> {
    for (let lastEventId = '0'; !this.#left; ) {
      const viewer = (this.#current = new Viewer(url, { lastEventId }))
      await viewer.closed
      if (viewer.status !== 200 && !this.#left) this.failed.push(viewer.status)
      await sleep(viewer.retryMs ?? 500)
      this.ids.push(...viewer.ids)
      lastEventId = viewer.lastEventId || lastEventId
    }
  }
}

const posts = (cluster: Cluster) => Promise.all(GATEWAYS.map(id => cluster.metric(id, 'live_gateway_posts_total')))

t.test('several gateways at one address', { skip: process.platform !== 'linux' && 'only Linux spreads connections' }, async t => {
  const cluster = await startCluster(t, ['--gateways', String(GATEWAYS.length), '--edges', '2', '--dispatchers', '1'], { env: { SHARE_PORT: '' } })
  t.same(GATEWAYS.map(id => cluster.member(id).url), GATEWAYS.map(() => cluster.url), 'all have the address that is printed')

  await t.test('no other cluster may have that port', async t => {
    const { status, stderr } = await run(['cluster', '--gateways', '2', '--port', new URL(cluster.url).port, '--data', tempFolder(t)])
    t.equal(status, 1)
    t.match(stderr, / is taken/)
  })

  await t.test('one after the other is stopped and killed, under posts and viewers', t => stopped(t, cluster))
  await t.test('one that is drained gets no connection until that is called off', t => drained(t, cluster))
})

async function stopped(t: Test, cluster: Cluster): Promise<void> {
  const viewers = Array.from({ length: VIEWERS }, () => new ReturningViewer(cluster.stream(VIDEO)))
  t.after(() => viewers.forEach(viewer => viewer.leave()))
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const posters = [...Array.from({ length: 4 }, () => new Poster(cluster, false)), ...Array.from({ length: 4 }, () => new Poster(cluster, agent))]
  const lost = () => posters.flatMap(poster => poster.lost)
  const allReady = () => until(() => viewers.every(({ isReady }) => isReady), { timeoutMs: 30_000, what: 'all streams are there' })
  await allReady()
  await until(async () => (await posts(cluster)).every(count => count > 20), { what: 'each gateway is sent posts' })
  const watching = await Promise.all(GATEWAYS.map(id => cluster.metric(id, 'live_gateway_viewers')))
  t.equal(watching.reduce((sum, count) => sum + count), VIEWERS)
  t.ok(watching.filter(count => count > 0).length > 1, `viewers are spread: ${watching.join(', ')}`)

  const [last, ...others] = GATEWAYS.toReversed() as [string, ...string[]]
  for (const id of others) {
    await cluster.again(id, cluster.kill(id, 'SIGTERM'))
    await allReady()
  }
  // Without it the kernel may reset a connection that comes in the very moment when its listener closes.
  const spared = readFileSync('/proc/sys/net/ipv4/tcp_migrate_req', 'utf8').trim() === '1' ? 0 : 1
  t.ok(lost().length <= spared, `a stop costs no post its connection: ${lost().join(', ')}`)
  t.same(viewers.flatMap(({ failed }) => failed), [], 'and no stream')

  await cluster.again(last, cluster.kill(last))
  await allReady()
  await until(async () => (await posts(cluster)).every(count => count > 20), { what: 'each gateway is sent posts again' })
  await Promise.all(posters.map(poster => poster.stop()))
  t.notOk(lost().includes('ECONNREFUSED'), `a death costs what was on its way there: ${lost().join(', ')}`)
  t.same(posters.flatMap(({ refused }) => refused), [], 'every post was answered 201 in the end, and nothing else')

  const acknowledged = posters.reduce((sum, poster) => sum + poster.acknowledged, 0)
  const stored = (await until(async () => {
    const ids = (await cluster.history(VIDEO)).map(({ id }) => id)
    return ids.length >= acknowledged ? ids : undefined
  }, { what: `${acknowledged} comments are in history` }))
  t.equal(stored.length, acknowledged, 'each comment is stored once')
  for (const viewer of viewers) {
    await until(() => viewer.seen.length >= stored.length, { what: 'a viewer has seen everything' })
    t.same(viewer.seen, stored, 'once and in order')
  }
}

async function drained(t: Test, cluster: Cluster): Promise<void> {
  const [id] = GATEWAYS as [string]
  const count = () => cluster.metric(id, 'live_gateway_posts_total')
  const poster = new Poster(cluster, false)
  await cluster.registry('drain', id)
  let before = -1
  await until(async () => {
    const [sent, acknowledged] = [before, poster.acknowledged]
    await until(() => poster.acknowledged > acknowledged + 60)
    before = await count()
    return before === sent
  }, { timeoutMs: 30_000, what: 'none of 60 posts is sent to it' })
  t.equal((await fetch(`${cluster.member(id).internalUrl}/readyz`)).status, 503)
  const newcomers = await Promise.all(Array.from({ length: VIEWERS }, () => watchReady(t, cluster.stream(VIDEO))))
  t.ok(newcomers.every(({ isClosed }) => !isClosed), 'no newcomer is sent away')
  t.equal(await count(), before)
  t.equal(await cluster.metric(id, 'live_gateway_viewers'), 0)
  await cluster.registry('undrain', id)
  await until(async () => (await count()) > before, { what: 'it is sent posts again' })
  await poster.stop()
  t.same([...poster.refused, ...poster.lost], [])
}
