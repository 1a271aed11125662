import t, { type Test } from 'tap'
import { Limits } from '../../gateway/limits.js'
import { connectionLimit, viewerLimit } from '../../gateway/viewer-limit.js'
import { keysOf, parseAddress } from '../../runtime/http/address.js'
import type { Limit } from '../../runtime/limits/limit.js'
import { FakeClock } from '../support/fake-clock.js'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { runGateway, type GatewayGiven } from '../support/gateway.js'
import { refusals, set } from '../support/limits.js'
import { until } from '../support/until.js'
import { watch } from '../support/viewer.js'

const far = { keys: ['192.0.2.1'], local: false }
const here = { keys: ['127.0.0.1'], local: true }

function limits(given: Partial<Record<'postsPerAuthor' | 'postsPerAddress' | 'streamsPerAuthor' | 'streamsPerAddress', Limit>>) {
  const clock = new FakeClock()
  return { clock, limits: new Limits({ clock, refusals: refusals(), postsPerAuthor: set(), postsPerAddress: set(), streamsPerAuthor: set(), streamsPerAddress: set(), ...given }) }
}

/** Retry-After of a refusal, undefined where there is none. */
function refused(work: () => unknown): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return (error as { headers: Record<string, string> }).headers['retry-after']
  }
}

t.test('an author posts twice the rate at once, then at the rate, from wherever', async t => {
  const { clock, limits: ours } = limits({ postsPerAuthor: { most: 5, local: false } })
  const post = (author: string, client = far) => refused(() => ours.postBy(author, client))
  for (let i = 0; i < 10; i++) t.equal(post('ann', i % 2 === 0 ? far : { keys: ['elsewhere'], local: false }), undefined)
  t.equal(post('ann'), '1')
  t.equal(post('bob'), undefined, 'another author is not kept out')
  t.equal(post('ann', here), undefined, 'this machine is, by default, not limited')
  await clock.advance(200)
  t.equal(post('ann'), undefined)
  t.equal(post('ann'), '1')
})

t.test('the time to wait is told in whole seconds', async t => {
  const { clock, limits: ours } = limits({ postsPerAuthor: set(0.1) })
  t.equal(refused(() => ours.postBy('ann', far)), undefined)
  t.equal(refused(() => ours.postBy('ann', far)), '10')
  await clock.advance(3_500)
  t.equal(refused(() => ours.postBy('ann', far)), '7')
  await clock.advance(6_500)
  t.equal(refused(() => ours.postBy('ann', far)), undefined)
})

t.test('streams are counted by address and by author, and counted off when they end', async t => {
  const { limits: ours } = limits({ streamsPerAddress: set(2), streamsPerAuthor: set(1) })
  const end = ours.stream(far, 'ann')
  t.equal(refused(() => ours.stream({ keys: ['elsewhere'], local: false }, 'ann')), '30')
  const other = ours.stream(far, 'bob')
  t.equal(refused(() => ours.stream(far, undefined)), '30')
  t.equal(refused(() => ours.stream(far, 'carl')), '30')
  end?.ended()
  const third = ours.stream(far, 'ann')
  t.ok(refused(() => ours.stream(far, undefined)), 'ended once, counted off once')
  other?.ended()
  third?.ended()
  t.equal(refused(() => ours.stream(far, 'carl')), undefined, 'who was refused for its address does not count for its author')
})

t.test('a stream refused for its author takes no place of its address; either limit does without the other', async t => {
  const { limits: both } = limits({ streamsPerAddress: set(2), streamsPerAuthor: set(1) })
  both.stream(far, 'ann')
  for (let i = 0; i < 3; i++) t.equal(refused(() => both.stream(far, 'ann')), '30')
  t.equal(refused(() => both.stream(far, 'bob')), undefined)
  for (const one of ['streamsPerAddress', 'streamsPerAuthor']) {
    const { limits: alone } = limits({ [one]: set(1) })
    alone.stream(far, 'ann')?.ended()
    t.equal(refused(() => alone.stream(far, 'ann')), undefined, one)
  }
})

t.test('a gateway full of viewers has connections left for posts', async t => {
  for (const descriptors of [20, 1_000, 20_000]) t.ok(viewerLimit(descriptors) < connectionLimit(descriptors))
})

const proxied = (given: GatewayGiven): GatewayGiven => ({ trustedProxies: '127.0.0.1', ...given })
const from = (address: string) => ({ 'x-forwarded-for': address })

function post(url: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/comments/demo`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: '{"content":"x"}' })
}

async function stream(t: Test, url: string, headers: Record<string, string> = {}) {
  const viewer = watch(t, `${url}/comments/demo`, { headers })
  await until(() => viewer.status)
  return viewer
}

t.test('posts beyond an address\'s rate are 429 with Retry-After, by the real address, before they are read', async t => {
  const dispatcher = fakeDispatcher(t, 'd')
  const { url, register } = runGateway(t, proxied({ dispatchers: [dispatcher.node], limits: { postsPerAddress: { most: 1, local: false } } }))
  const statuses = async (headers: Record<string, string>) => [(await post(url, headers)).status, (await post(url, headers)).status, (await post(url, headers)).status]
  t.same(await statuses(from('192.0.2.1')), [201, 201, 429])
  t.same(await statuses(from('192.0.2.2')), [201, 201, 429])
  t.same(await statuses(from('1.1.1.1, 192.0.2.3')), [201, 201, 429])
  t.equal((await post(url, from('9.9.9.9, 192.0.2.3'))).status, 429, 'what a client writes itself does not make it another')
  t.same(await statuses({}), [201, 201, 201], 'this machine, beyond doubt')
  t.same(await statuses(from('nonsense')), [201, 201, 429], 'not beyond doubt')
  const refused = await fetch(`${url}/comments/demo`, { method: 'POST', headers: { ...from('192.0.2.1'), 'content-type': 'text/plain' }, body: 'x' })
  t.equal(refused.status, 429)
  t.match(refused.headers.get('retry-after'), /^[1-9][0-9]*$/)
  t.match(await refused.json(), { error: { code: 'RATE_LIMITED', message: /1 posts? a second .* address/ } })
  t.match(await register.metrics(), /live_test_refused_total\{kind="posts_per_address"\} 6/)
  t.match(await register.metrics(), /live_gateway_posts_total\{status="429"\} 6/)
})

t.test('all networks of one customer together may do twice what one may', async t => {
  const { limits: ours } = limits({ postsPerAddress: set(10), streamsPerAddress: set(10) })
  const six = (site: number, network: number) => ({ keys: keysOf(parseAddress(`2001:db8:${site}:${network.toString(16)}::1`)!), local: false })
  const taken = (site: number, step: number) => Array.from({ length: 200 }, (_, i) => refused(() => ours.post(six(site, i * step)))).filter(wait => wait === undefined).length
  t.equal(taken(1, 1), 30, 'of one /56: a burst of 20, and half as much again')
  t.equal(taken(2, 256), 40, 'of one /48: twice as much')
  t.equal(taken(3, 0), 20)
  const streams = Array.from({ length: 200 }, (_, i) => {
    try {
      return ours.stream(six(1, i * 256), undefined)
    } catch {
      return undefined
    }
  }).filter(stream => stream !== undefined)
  t.equal(streams.length, 20)
  for (const stream of streams) stream.ended()
  for (let i = 0; i < 10; i++) t.ok(ours.stream(six(1, 0), undefined), 'all are counted off')
  t.equal(refused(() => ours.stream(six(1, 0), undefined)), '30')
  t.ok(ours.stream(six(1, 256), undefined))
})

t.test('streams beyond an address\'s number are 429 with Retry-After, until one ends, however it ends', async t => {
  const { url, gateway } = runGateway(t, proxied({ limits: { streamsPerAddress: 2 } }))
  const first = await stream(t, url, from('2001:db8::1'))
  const second = await stream(t, url, from('2001:db8::2'))
  t.same([first.status, second.status], [200, 200])
  const refused = await fetch(`${url}/comments/demo`, { headers: { accept: 'text/event-stream', ...from('2001:db8::3') } })
  t.equal(refused.status, 429)
  t.equal(refused.headers.get('retry-after'), '30')
  t.match(await refused.json(), { error: { code: 'RATE_LIMITED', message: /2 streams .* address/ } })
  t.equal((await stream(t, url, from('2001:db8:0:1::3'))).status, 200, 'the next network is another')
  t.equal((await fetch(`${url}/comments/demo`, { method: 'HEAD', headers: { accept: 'text/event-stream', ...from('2001:db8::3') } })).status, 200)
  first.close()
  await until(async () => (await stream(t, url, from('2001:db8::1'))).status === 200, { what: 'a place is free when a viewer leaves' })
  await gateway.sessions.endAll(0)
  t.equal((await stream(t, url, from('2001:db8::1'))).status, 200, 'and when we end the stream')
})

t.test('none for this machine unless set', async t => {
  const { url } = runGateway(t, { limits: { streamsPerAddress: { most: 1, local: false } } })
  for (let i = 0; i < 3; i++) t.equal((await stream(t, url)).status, 200)
})

t.test('beyond an address\'s connections the next is closed before anything is read', async t => {
  const { url, register } = runGateway(t, { limits: { connectionsPerAddress: 3 } })
  const viewers = await Promise.all([stream(t, url), stream(t, url), stream(t, url)])
  const refused = watch(t, `${url}/comments/demo`)
  await refused.closed
  t.equal(refused.status, undefined)
  t.notOk(viewers.some(({ isClosed }) => isClosed))
  t.match(await register.metrics(), /live_test_refused_total\{kind="connections_per_address"\} 1/)
})
