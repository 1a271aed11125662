import t from 'tap'
import { until } from '../support/until.js'
import { runGateway } from '../support/gateway.js'
import { watch } from '../support/viewer.js'

t.test('a gateway that drains sends its viewers away with a retry, takes none, and says so to what stands in front', async t => {
  const { url, part } = runGateway(t)
  const viewers = Array.from({ length: 20 }, () => watch(t, `${url}/comments/demo`))
  await until(() => part.gateway.sessions.size === 20)
  const drained = part.drain(300)
  t.match(await (await fetch(`${url}/readyz`)).json(), { error: { code: 'NOT_READY', message: 'draining' } })
  const newcomer = watch(t, `${url}/comments/demo`)
  await newcomer.closed
  t.equal(newcomer.status, 200)
  t.ok(newcomer.retryMs! >= 500)
  await drained
  for (const viewer of viewers) {
    await viewer.closed
    t.ok(viewer.retryMs! >= 500)
  }
  t.equal((await fetch(`${url}/comments/demo`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' })).status, 400, 'posts are still looked at')

  part.resume()
  t.equal((await fetch(`${url}/readyz`)).status, 200)
  const again = watch(t, `${url}/comments/demo`)
  await until(() => part.gateway.sessions.size === 1)
  t.notOk(again.isClosed)
})

t.test('a drain that is called off ends no more streams, also where another one follows', async t => {
  const { url, part } = runGateway(t)
  for (let i = 0; i < 40; i++) watch(t, `${url}/comments/demo`)
  await until(() => part.gateway.sessions.size === 40)
  const drained = part.drain(4_000)
  await until(() => part.gateway.sessions.size < 40)
  part.resume()
  await drained
  const left = part.gateway.sessions.size
  t.ok(left > 0, `${left} are left`)
  watch(t, `${url}/comments/demo`)
  await until(() => part.gateway.sessions.size === left + 1)
  await part.drain(100)
  t.equal(part.gateway.sessions.size, 0)
})
