import { Registry } from 'prom-client'
import t from 'tap'
import { EdgeMetrics } from '../../../edge/metrics.js'
import { Syncs } from '../../../edge/sync.js'
import { history } from '../../../gateway/history.js'
import { OwnerCalls } from '../../../gateway/owner-calls.js'
import { Failover } from '../../../runtime/peers/failover.js'
import { homeError } from '../../../runtime/peers/home-error.js'
import { PeerError } from '../../../runtime/peers/peer-error.js'
import { FakeClock } from '../../support/fake-clock.js'
import { dispatcherNode } from '../../support/nodes.js'

const answer = (code: string, status = 503) => new PeerError('status', String(status), { status, body: Buffer.from(JSON.stringify({ error: { code, message: 'why' } })) })

t.test('only an answer that names the code is one of a home', async t => {
  t.match(homeError(answer('HOME_UNAVAILABLE')), { code: 'HOME_UNAVAILABLE', message: 'why' })
  for (const error of [answer('UNAVAILABLE'), answer('NO_CODE_OF_OURS'), answer('HOME_UNAVAILABLE', 500), new PeerError('status', '', { status: 503, body: Buffer.from('<html>') }), new PeerError('lost', ''), new Error('x')]) t.equal(homeError(error), undefined)
})

t.test('a dispatcher that cannot reach a home has answered: neither a gateway nor an edge backs off from it', async t => {
  const clock = new FakeClock()
  const nodes = [dispatcherNode('d1'), dispatcherNode('d2')]
  const failover = new Failover({ clock, random: () => 0.5, ping: () => Promise.resolve(undefined), known: () => true, onRefused: () => {} })
  t.teardown(() => failover.close())
  let error = answer('HOME_UNAVAILABLE')
  const client = { call: () => Promise.reject(error) }
  const options = { client, clock, failover, owners: () => nodes }
  const syncs = new Syncs({ ...options, send: client.call, answered: () => {}, metrics: new EdgeMetrics(new Registry()), onPeerError: () => t.fail('no failure of a dispatcher') })
  const reads: readonly (() => Promise<unknown>)[] = [() => history(options, 'v', new URLSearchParams()), () => new OwnerCalls(options).read('v', '/internal/state/v', String), () => syncs.replay({ videoId: 'v', after: 0, until: 5, limit: 9 })]
  for (const [i, code] of ['HOME_UNAVAILABLE', 'HOME_UNAVAILABLE', undefined].entries()) {
    await t.rejects(reads[i]!(), code === undefined ? { name: 'PeerError' } : { code })
    t.equal(failover.backedOffCount, 0, `read ${i}`)
  }
  error = answer('STORE_UNAVAILABLE')
  t.match(await history(options, 'v', new URLSearchParams()), { status: 503 })
  t.equal(failover.backedOffCount, 2, 'as from one that fails')
})
