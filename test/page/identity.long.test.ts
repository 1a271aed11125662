import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { frame, FrameKind } from '../../protocol/frame.js'
import { blocks } from '../../protocol/gzip.js'
import { commentEvent, readyEvent } from '../../protocol/sse.js'
import { startBrowser } from '../support/chromium.js'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { fakeEdge } from '../support/fake-edge.js'
import { runGateway } from '../support/gateway.js'
import { identityOf, Issuer, seconds } from '../support/issuer.js'
import { until } from '../support/until.js'

const issuer = new Issuer()
const browser = await startBrowser(t)

/** As an edge says it to a viewer that takes gzip. */
const ready = frame(FrameKind.ready, 0, blocks(readyEvent(0, 'demo', 1), 0))
const comment = (id: number) => frame(FrameKind.events, id, blocks(commentEvent(id, JSON.stringify({ id: String(id), authorId: 'bob', content: `comment ${id}`, createdAt: 0 })), 0))

/** A site that frames the page and answers it as the protocol says; `window.give()` gives a token unasked. */
const HOST = (gateway: string) => `<!doctype html><iframe src="${gateway}/embed?video=demo"></iframe><script>
  const frame = document.querySelector('iframe')
  window.wanted = 0
  window.give = async () => frame.contentWindow.postMessage({ type: 'live-comments:token', token: await (await fetch('/token')).text() }, '${gateway}')
  addEventListener('message', event => {
    if (event.origin !== '${gateway}' || event.source !== frame.contentWindow || event.data.type !== 'live-comments:token-wanted') return
    window.wanted++
    window.give()
  })
</script>`

/** A gateway with identity on, an edge, a dispatcher, and two sites that frame its page: one of them may. */
async function setUp(t: Test) {
  const dispatcher = fakeDispatcher(t, 'd')
  const edge = fakeEdge(t, 'e')
  const given = { token: '', now: () => Date.now(), gateway: '' }
  const sites = await Promise.all(['listed', 'other'].map(async () => {
    const server = createServer((request, response) => {
      if (request.url === '/token') return void response.end(given.token)
      response.setHeader('content-type', 'text/html').end(HOST(given.gateway))
    })
    t.after(() => server.close())
    await once(server.listen(0, '127.0.0.1'), 'listening')
    return `http://localhost:${(server.address() as AddressInfo).port}`
  }))
  const allowedOrigins = new Set([sites[0]!])
  const { url, gateway } = runGateway(t, { dispatchers: [dispatcher.node], edges: [edge.node], allowedOrigins, identity: identityOf(issuer, { allowedOrigins, clock: { wall: () => given.now() } }) })
  given.gateway = url
  const open = async (address: string): Promise<Page> => {
    const context = await browser.newContext()
    t.after(() => context.close())
    const page = await context.newPage()
    await page.goto(address)
    return page
  }
  return { dispatcher, edge, gateway, given, url, listed: sites[0]!, other: sites[1]!, open }
}

t.test('in a frame it asks the site for a token: to watch, to write, and for a new one when the old has ended', async t => {
  const { dispatcher, edge, gateway, given, listed, open } = await setUp(t)
  given.token = await issuer.token('ed')
  const page = await open(listed)
  const frame = page.frameLocator('iframe')
  const first = await edge.stream(0)
  t.equal(first.query, 'recent=50&gzip=1', 'the edge hears nothing of it')
  first.stream.write(ready)
  await frame.locator('body[data-state=live]').waitFor()
  t.ok((await page.evaluate<number>('window.wanted')) >= 1)

  t.equal(await frame.locator('#name').isVisible(), false, 'who writes is not asked')
  await frame.locator('#content').fill('by token')
  await frame.locator('#send').click()
  await frame.locator('#comments').getByText('by token').waitFor()
  t.match(dispatcher.batches, [[{ authorId: 'ann', authorName: 'Ann Example', content: 'by token' }]])
  t.same(await frame.locator('#comments li b').allTextContents(), ['Ann Example'], 'shown by name')

  const asked = await page.evaluate<number>('window.wanted')
  given.now = () => Date.now() + 2 * 3_600_000 // the token has ended
  given.token = await issuer.token('rsa', { exp: seconds() + 3 * 3_600 })
  await gateway.sessions.endAll(0)
  const second = await edge.stream(1)
  t.equal(second.query, 'after=0&gzip=1', 'it goes on where it was')
  second.stream.write(Buffer.concat([ready, comment(2)]))
  await frame.locator('body[data-state=live]').waitFor()
  await frame.locator('#comments').getByText('comment 2').waitFor()
  t.ok((await page.evaluate<number>('window.wanted')) > asked)
})

t.test('what is written before there is a token is kept until there is one', async t => {
  const { dispatcher, given, listed, open } = await setUp(t)
  const page = await open(listed)
  const frame = page.frameLocator('iframe')
  await frame.locator('#content').fill('too early')
  await frame.locator('#send').click()
  await frame.getByText('waiting for the site to sign you in').waitFor()
  t.equal(dispatcher.batches.length, 0)
  given.token = await issuer.token('ec')
  await page.evaluate('window.give()')
  await until(() => dispatcher.batches.length === 1)
  await frame.locator('#unsent li').waitFor({ state: 'detached' })
})

t.test('without a site around it the reader gives the token, in a field that is there when one is needed', async t => {
  const { dispatcher, edge, url, open } = await setUp(t)
  const page = await open(`${url}/?video=demo`)
  const field = page.getByLabel('A token is needed')
  await page.fill('#content', 'first')
  await page.click('#send')
  await page.getByText('Not sent: a token is needed').waitFor()
  await field.fill('none that is valid')
  await page.keyboard.press('Enter')
  await until(async () => (await field.isVisible()) && (await field.inputValue()) === '')
  await field.fill(await issuer.token('ed'))
  await page.getByRole('button', { name: 'Use it' }).click()
  const { stream } = await edge.stream(0)
  stream.write(ready)
  await page.locator('body[data-state=live]').waitFor()
  await page.locator('#comments').getByText('first').waitFor()
  t.match(dispatcher.batches, [[{ authorId: 'ann', content: 'first' }]], 'what was refused for want of it is sent')
  t.equal(await field.isVisible(), false)
})

t.test('a site that may not frame it gets no page, and only the parent is believed', async t => {
  const { dispatcher, edge, given, url, listed, other, open } = await setUp(t)
  given.token = await issuer.token('ed')
  const refused = await open(other)
  await until(async () => (await refused.evaluate<number>('frames.length')) === 1)
  await refused.evaluate('window.give().catch(() => {})')
  t.equal(await refused.frameLocator('iframe').locator('#comments').count(), 0)
  t.equal(await refused.evaluate('window.wanted'), 0)

  const alone = await open(`${url}/?video=demo`)
  await alone.locator('body[data-state=refused]').waitFor()
  t.match(await alone.locator('#state').textContent(), /The server refuses: a token is needed/)
  await alone.evaluate(`window.postMessage({ type: 'live-comments:token', token: ${JSON.stringify(given.token)} }, '*')`)
  await alone.fill('#content', 'mine')
  await alone.click('#send')
  await alone.getByText('Not sent: a token is needed').waitFor()

  given.token = ''
  const framed = (await open(listed)).frameLocator('iframe')
  await framed.locator('body[data-state=refused]').waitFor()
  await framed.locator('body').evaluate("(_, token) => window.postMessage({ type: 'live-comments:token', token }, '*')", await issuer.token('ed'))
  await framed.locator('#content').fill('mine')
  await framed.locator('#send').click()
  await framed.getByText('waiting for the site to sign you in').waitFor()
  t.same([edge.streams.length, dispatcher.batches.length], [0, 0])
})

t.end()
