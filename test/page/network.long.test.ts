import t, { type Test } from 'tap'
import { startCluster } from '../support/cluster.js'
import { Poster } from '../support/poster.js'
import { TcpProxy } from '../support/tcp-proxy.js'
import { until } from '../support/until.js'
import { startPages } from '../support/viewer-page.js'

t.test('when the line is bad', async t => {
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'])
  const open = await startPages(t, cluster)
  const stored = async (video: string) => (await cluster.history(video)).map(({ content }) => content)
  const proxied = async (t: Test) => {
    const proxy = await TcpProxy.open(t, Number(new URL(cluster.url).port))
    return { proxy, url: `http://127.0.0.1:${proxy.port}` }
  }

  await t.test('the network is cut and comes back: said in words, nothing missed, posts of that time sent once', async t => {
    const viewer = await open(t, 'cut', { query: { maxRate: 'all' } })
    const poster = new Poster(cluster, 'cut', 20)
    await until(async () => (await viewer.ids()).length > 5)
    await viewer.page.context().setOffline(true)
    await viewer.state('offline')
    await viewer.page.getByText('You are offline. Going on when the network is back.').waitFor()
    await viewer.post('ann', 'written in the tunnel')
    const waiting = viewer.page.locator('#unsent li')
    await waiting.getByText('Not sent yet: you are offline').waitFor()
    t.match(await waiting.textContent(), 'written in the tunnel', 'it is shown at once')
    await viewer.post('ann', 'and this as well')
    await viewer.page.context().setOffline(false)
    await viewer.state('live')
    await viewer.page.locator('#comments').getByText('and this as well').waitFor()
    await poster.stop()
    const all = await cluster.history('cut')
    await until(async () => (await viewer.ids()).at(-1) === all.at(-1)!.id)
    t.equal(await waiting.count(), 0)
    t.same(await viewer.ids(), all.map(({ id }) => id).slice(-200))
    t.same(all.filter(({ authorId }) => authorId === 'ann').map(({ content }) => content), ['written in the tunnel', 'and this as well'])
    t.same(poster.refused, [])
  })

  await t.test('a post whose answer was lost goes again under the same key', async t => {
    const viewer = await open(t, 'lost')
    const keys: (string | null)[] = []
    await viewer.page.route('**/comments/lost', async route => {
      keys.push(await route.request().headerValue('idempotency-key'))
      if (keys.length > 1) return route.continue()
      await route.fetch() // it arrives, is stored, and nobody hears of it
      return route.abort()
    })
    await viewer.post('ann', 'only once')
    await until(async () => keys.length === 2 && (await viewer.page.locator('#unsent li').count()) === 0)
    t.equal(keys[0], keys[1])
    t.same(await stored('lost'), ['only once'])
    t.same(await viewer.contents(), ['only once'])
  })

  await t.test('a server that is overloaded is asked again when it said', async t => {
    const viewer = await open(t, 'overload')
    let tries = 0
    await viewer.page.route('**/comments/overload', route =>
      ++tries > 2 ? route.continue() : route.fulfill({ status: 503, headers: { 'retry-after': '1' }, json: { error: { code: 'OVERLOADED', message: 'too much' } } }))
    await viewer.post('ann', 'in the end')
    await viewer.page.getByText('Not sent yet: the server cannot be reached. Trying again…').waitFor()
    await viewer.page.locator('#comments').getByText('in the end').waitFor()
    t.same(await stored('overload'), ['in the end'])
  })

  await t.test('a line that has been silent for 35 s is given up', async t => {
    const { proxy, url } = await proxied(t)
    const viewer = await open(t, 'silent', { url, clock: true })
    await cluster.say('silent', 'before')
    await viewer.page.clock.runFor(100)
    await viewer.page.getByText('before').waitFor()
    proxy.silent = true
    await cluster.say('silent', 'while nothing came')
    await viewer.page.clock.runFor(30_000)
    t.equal(await viewer.page.locator('#state').textContent(), 'Live')
    await viewer.page.clock.runFor(6_000)
    await viewer.page.getByText('Nothing heard for 35 seconds. Connecting again…').waitFor()
    const { accepted } = proxy
    proxy.cut()
    proxy.silent = false
    await until(async () => {
      await viewer.page.clock.runFor(1_000)
      return (await viewer.contents()).length === 2
    })
    t.ok(proxy.accepted > accepted)
    t.same(await viewer.contents(), ['before', 'while nothing came'])
  })

  await t.test('a hidden tab holds no stream, and catches up when it is seen', async t => {
    const { proxy, url } = await proxied(t)
    const viewer = await open(t, 'tab', { url })
    const watching = async () => ((await (await fetch(cluster.stream('tab', '/stats'))).json()) as { viewers: number }).viewers
    await until(async () => (await watching()) === 1)
    await cluster.say('tab', 'seen')
    await until(async () => (await viewer.contents()).length === 1)
    await viewer.hide(true)
    await viewer.state('hidden')
    await until(async () => (await watching()) === 0)
    for (let i = 0; i < 60; i++) await cluster.say('tab', `unseen ${i}`)
    const { accepted } = proxy
    t.same(await viewer.contents(), ['seen'])
    await viewer.hide(false)
    await until(async () => (await viewer.contents()).length === 61)
    t.same(await viewer.contents(), await stored('tab'))
    t.ok(proxy.accepted <= accepted + 1, 'one connection more')
  })

  await t.test('the gateway dies and comes again: no comment is missing or doubled', async t => {
    const viewer = await open(t, 'gone')
    await cluster.say('gone', 'before it went')
    await viewer.page.getByText('before it went').waitFor()
    const pid = cluster.kill('gateway-1')
    await viewer.state('lost')
    await viewer.page.getByText('Connection lost. Trying again…').waitFor()
    await cluster.again('gateway-1', pid)
    await cluster.say('gone', 'after it came back')
    await viewer.page.getByText('after it came back').waitFor()
    t.same(await viewer.contents(), ['before it went', 'after it came back'])
  })

  await t.test('a server that refuses is quoted', async t => {
    const viewer = await open(t, 'refusing')
    await viewer.page.route('**/comments/refusing?*', route => route.fulfill({ status: 403, json: { error: { code: 'FORBIDDEN', message: 'this video is for members' } } }))
    await viewer.hide(true)
    await viewer.hide(false)
    await viewer.state('refused')
    t.equal(await viewer.page.locator('#state').textContent(), 'The server refuses: this video is for members. Trying again…')
  })
})
