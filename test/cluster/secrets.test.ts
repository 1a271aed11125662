import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { DISPATCHERS, EDGES } from '../../protocol/nodes.js'
import { startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'

import { watchReady } from '../support/viewer.js'
import { openZk, startZooKeeper } from '../support/zookeeper.js'

t.setTimeout(230_000)

const AUTH = 'parts:Zk-Password-5c1'
/** What was said, shown or sent, and must stand in no log and no metric. */
const secrets = new Map([
  ['a comment', 'Said-By-Ann-8f3'],
  ['a refused comment', 'Refused-Text-2d9'],
  ['a listed word', 'listedword7a1'],
  ['an access token', 'Access-Token-e44'],
  ['a cookie', 'Cookie-Token-b20'],
  ['a bearer token', 'Bearer-Token-9c6'],
  ['a wrong internal token', 'Wrong-Internal-3e7'],
  ['an internal post', 'Internal-Text-6b8'],
  ['the credentials for ZooKeeper', AUTH.slice(AUTH.indexOf(':') + 1)],
  ['an X-Forwarded-For address', '203.0.113.77'],
  ['a Forwarded address', '2001:db8:77::77'],
])
// The peer's own address: on Linux all of 127.0.0.0/8 is this machine.
const PEER = '127.77.1.9'
if (process.platform === 'linux') secrets.set('an address', PEER)
const secret = (name: string) => secrets.get(name)!

/** A text in every form in which it may stand in a log. */
function forms(text: string): string[] {
  const bytes = Buffer.from(text)
  // In base64 what stands before a text moves its letters: three ways, whose ends depend on what is beside it.
  const base64 = [0, 1, 2].map(before => Buffer.concat([Buffer.alloc(before), bytes]).toString('base64').slice(before === 0 ? 0 : before + 1).replace(/=+$/, '').slice(0, -1))
  return [text, encodeURIComponent(text), [...bytes].join(','), bytes.toString('hex'), ...base64, ...base64.map(each => each.replaceAll('+', '-').replaceAll('/', '_'))]
}

/** What stands in `text` and must not: which secret, in what form. */
function leaks(text: string): string[] {
  return [...secrets].flatMap(([name, value]) => forms(value).filter(form => text.includes(form)).map(form => `${name}, as ${form}`))
}

t.test('the check finds a secret in whatever form', async t => {
  const value = secret('an access token')
  for (const text of [`{"x":"${value}"}`, `?a=${encodeURIComponent(value)}`, JSON.stringify(Buffer.from(`x${value}`)), Buffer.from(value).toString('base64'), Buffer.from(`a:${value}y`).toString('base64'), Buffer.from(`Bearer${value}`).toString('base64url'), Buffer.from(value).toString('hex')]) t.not(leaks(text).length, 0, text)
  t.same(leaks('{"event":"listening","url":"http://127.0.0.1:8080"}'), [])
})

t.test('no token, no comment and no full address stands in a log or a metric, whatever was asked and whatever broke', async t => {
  const zookeeper = await startZooKeeper(t)
  const connectString = `${zookeeper.connect}/secrets`
  const words = join(tempFolder(t), 'words')
  writeFileSync(words, `${secret('a listed word')}\n`)
  const env = { LOG_LEVEL: 'trace', ZOOKEEPER_AUTH: AUTH, CONTENT_WORDS_FILE: words, CONTENT_LINKS: 'refuse', CONTENT_MAX_LENGTH: '500', CONTENT_DUPLICATE_SECONDS: '60' }
  const cluster = await startCluster(t, ['--zookeeper', connectString, '--edges', '2', '--dispatchers', '2', '--watchdog', '0'], { env })
  const token = readFileSync(join(cluster.data, 'internal-token'), 'utf8').trim()
  secrets.set('the internal token', token)
  const metrics: string[] = []
  const scrape = async () => {
    for (const { id, internalUrl, pid } of cluster.members()) {
      if (internalUrl === null || pid === null) continue
      const answer = await fetch(`${internalUrl}/metrics`, { headers: { authorization: `Bearer ${token}` } }).catch(() => undefined)
      if (answer?.ok) metrics.push(`${id}\n${await answer.text()}`)
    }
  }

  await ask(cluster)
  await askInternally(cluster, token)
  await watchReady(t, `${cluster.stream('demo')}?access_token=${secret('an access token')}`)
  await scrape()

  // What breaks is logged with what it was about.
  const zk = await openZk(t, connectString, { auth: [AUTH] })
  await zk.create(`${EDGES}/odd`, Buffer.from(`{"rubbish":"${secret('a comment')}"`))
  await zk.create(`${DISPATCHERS}/odd`, Buffer.from(secret('an internal post')))
  const edge = cluster.kill('edge-1')
  const dispatcher = cluster.kill('dispatcher-1', 'SIGSTOP')
  const posts = Array.from({ length: 20 }, (_, i) => cluster.post(`video${i}`, { content: `${secret('a comment')} ${i}`, authorId: `ann${i}` }))
  await Promise.all(posts)
  process.kill(dispatcher, 'SIGKILL')
  await zookeeper.kill()
  await ask(cluster)
  await zookeeper.start()
  await cluster.again('edge-1', edge)
  await cluster.again('dispatcher-1', dispatcher)
  await ask(cluster)
  await scrape()
  await cluster.stop()

  const folder = join(cluster.data, 'logs')
  const logs = new Map(readdirSync(folder).map(name => [name, readFileSync(join(folder, name), 'utf8')]))
  logs.set('the supervisor', cluster.output + cluster.errors)
  logs.set('ZooKeeper', readFileSync(join(zookeeper.folder, 'zookeeper.log'), 'utf8'))
  metrics.forEach(text => logs.set(`metrics of ${text.split('\n', 1)[0]}`, text))
  const all = [...logs.values()].join('\n')
  for (const event of ['comment_stored', 'comment_forwarded', 'comment_received', 'registry_rubbish', 'zookeeper_lost', 'words_read', 'draining', 'live_dispatcher_posts_total{code="WORD_NOT_ALLOWED"}', 'live_internal_refusals_total{code="UNAUTHORIZED"}']) t.match(all, event, `it was loud enough to tell of ${event}`)
  t.same([...logs].flatMap(([name, text]) => leaks(text).map(leak => `${name}: ${leak}`)), [])
})

/** Everything that a stranger may ask of the public ports, well and badly, with secrets wherever one fits. */
async function ask(cluster: Cluster): Promise<void> {
  const url = cluster.url
  const carried = {
    authorization: `Bearer ${secret('a bearer token')}`,
    cookie: `token=${secret('a cookie')}`,
    'x-forwarded-for': secret('an X-Forwarded-For address'),
    forwarded: `for="[${secret('a Forwarded address')}]"`,
    'user-agent': secret('a bearer token'),
    referer: `http://x/?access_token=${secret('an access token')}`,
  }
  const query = `access_token=${secret('an access token')}`
  const json = { 'content-type': 'application/json' }
  const send = (path: string, headers: Record<string, string> = {}, body?: string, to = url) => exchange(to, `${path}${path.includes('?') ? '&' : '?'}${query}`, { ...carried, ...headers }, body)
  const refused = secret('a refused comment')
  const asked = [
    ...['/', '/healthz', '/readyz', '/docs', '/openapi.json', '/metrics', '/internal/ping', `/${refused}`, '/comments/demo', '/comments/demo/stats', `/comments/${refused}%20`, '/comments/demo?cursor=x', '/embed?video=demo'].map(path => send(path)),
    send('/comments/demo', json, JSON.stringify({ content: secret('a comment'), authorId: 'ann' })),
    send('/comments/demo', { ...json, 'idempotency-key': refused }, JSON.stringify({ content: secret('a comment'), authorId: 'bob' })),
    ...[
      { content: `${refused} https://example.com` },
      { content: `${refused} ${secret('a listed word')}` },
      { content: refused.repeat(40) },
      { content: refused.repeat(80) },
      { content: secret('a comment'), authorId: 'ann' },
      { content: `${refused}\0` },
      { content: 1, authorId: refused.repeat(5) },
      [refused],
    ].map(body => send('/comments/demo', json, JSON.stringify(body))),
    send('/comments/demo', json, `{"content":"${refused}`),
    send('/comments/demo', json, refused.repeat(1_000)),
    send('/comments/demo', { 'content-type': `text/${refused}` }, refused),
    send('/comments/demo', { ...json, 'idempotency-key': `${refused} with blanks` }, JSON.stringify({ content: refused })),
    ...cluster.record().edges.flatMap(({ url }) => ['/comments/demo', '/healthz', `/${refused}`, '/internal/ping'].map(path => send(path, {}, undefined, url!))),
    stream(`${url}/comments/demo?${query}`, carried),
    stream(`${url}/comments/demo?${query}&lastEventId=${refused}`, carried),
    ...cluster.record().edges.map(({ url: edge }) => stream(`${edge}/comments/demo?${query}`, carried)),
    raw(url, `GET /comments/demo?${query} HTTP/1.1\r\nHost: x\r\nCookie: token=${secret('a cookie')}\r\n${refused}\r\n\r\n`),
    raw(url, `${refused} / HTTP/1.1\r\nHost: x\r\n\r\n`),
    raw(url, `POST /comments/demo?${query} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 400\r\n\r\n{"content":"${refused}`),
  ]
  await Promise.all(asked)
}

/** What another part, or somebody who would be one, may ask of the internal ports. */
async function askInternally(cluster: Cluster, token: string): Promise<void> {
  const text = secret('an internal post')
  const ask = async (internalUrl: string, authorization: string) => {
    const headers = { authorization, 'x-live-edge': text, 'x-live-instance': text, 'x-live-url': `http://${text}` }
    for (const path of ['/metrics', '/internal/ping', '/internal/holdings', '/internal/nothing', `/internal/history/demo?cursor=${text}`, `/internal/stream/demo?after=${text}`, `/internal/stream/demo?access_token=${text}`]) await exchange(internalUrl, path, headers)
    for (const path of ['/internal/posts', '/internal/sync', '/internal/replay', '/internal/batch']) {
      for (const body of [text, `C demo 0 1 {"content":"${text}"}`, `H ${text}\n`, `{"passedOn":true,"posts":[{"videoId":"${text}!"}]}`, JSON.stringify({ passedOn: true, posts: [{ videoId: 'demo', authorId: text, content: text, key: text }] })]) await exchange(internalUrl, path, headers, body)
    }
  }
  const urls = cluster.members().flatMap(({ internalUrl }) => internalUrl ?? [])
  await Promise.all(urls.flatMap(url => [token, secret('a wrong internal token')].map(each => ask(url, `Bearer ${each}`))))
}

/** One request from an address of its own; whatever comes back will do. */
function exchange(origin: string, path: string, headers: Record<string, string>, body?: string): Promise<void> {
  return new Promise(resolve => {
    const { hostname, port } = new URL(origin)
    const asked = request({ hostname, port, path, headers, method: body === undefined ? 'GET' : 'POST', agent: false, timeout: 9_000, ...from() }, response => {
      response.once('data', () => setTimeout(() => asked.destroy(), 50))
      response.once('close', resolve).resume()
    })
    asked.once('error', () => resolve()).once('close', resolve).once('timeout', () => asked.destroy())
    asked.end(body)
  })
}

/** A stream, left after a moment. */
function stream(url: string, headers: Record<string, string>): Promise<void> {
  const { origin, pathname, search } = new URL(url)
  return exchange(origin, pathname + search, { ...headers, accept: 'text/event-stream' })
}

/** Bytes that are no request, and the end of the line. */
function raw(origin: string, bytes: string): Promise<void> {
  return new Promise(resolve => {
    const { hostname, port } = new URL(origin)
    const socket = connect({ host: hostname, port: Number(port), ...from() }, () => socket.end(bytes))
    socket.once('close', () => resolve()).once('error', () => {}).resume()
    setTimeout(() => socket.destroy(), 500)
  })
}

const from = () => (process.platform === 'linux' ? { localAddress: PEER } : {})
