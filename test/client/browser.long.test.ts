import { spawn } from 'node:child_process'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { projectRoot } from '../../runtime/root.js'
import { startBrowser } from '../support/chromium.js'
import { startCluster } from '../support/cluster.js'
import { Poster } from '../support/poster.js'
import { until } from '../support/until.js'

t.setTimeout(230_000)

const folder = join(projectRoot, 'client')
const source = (name: string) => readFileSync(join(folder, `${name}.ts`), 'utf8')

/** Serves the bundle, each module by itself, and an empty page, from an origin that is not the cluster's. */
async function serveClient(t: Test): Promise<string> {
  const { bundle } = (await import(join(folder, 'bundle.js'))) as { bundle: (read: (name: string) => string) => string }
  const server = createServer(({ url = '/' }, response) => {
    if (url === '/') return response.setHeader('content-type', 'text/html').end('<!doctype html><title>Test</title><main></main>')
    response.setHeader('content-type', 'text/javascript')
    if (url === '/bundle.js') return response.end(bundle(source))
    const name = /^\/([a-z-]+)\.js$/.exec(url)?.[1]
    if (name === undefined || name === 'favicon') return response.writeHead(404).end()
    return response.end(ts.transpileModule(source(name), { compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext } }).outputText)
  }).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** `npm run example -- NAME`, on any port; ended with `t`. */
async function startExample(t: Test, name: string) {
  const child = spawn('npm', ['run', '-s', 'example', '--', name, '0'], { cwd: projectRoot, stdio: ['ignore', 'pipe', 'inherit'], detached: true })
  t.after(() => {
    try {
      process.kill(-child.pid!)
    } catch {
      // It has ended.
    }
  })
  const said = (await once(createInterface(child.stdout), 'line')) as [string]
  return new URL(said[0]).origin
}

t.test('the client in a real browser, on a page of another origin', async t => {
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'])
  const url = await serveClient(t)
  const browser = await startBrowser(t)

  const problems: string[] = []
  const open = async (t: Test, video: string, setUp = '') => {
    const context = await browser.newContext()
    t.after(() => context.close())
    const page = await context.newPage()
    page.on('pageerror', error => problems.push(error.message))
    await page.goto(url)
    await page.evaluate(`(async () => {
      ${setUp}
      const { Comments } = await import('/bundle.js')
      const comments = (globalThis.comments = new Comments('${cluster.url}', '${video}', { storage: localStorage }))
      const ids = (globalThis.ids = [])
      const states = (globalThis.states = [])
      comments.on('comment', ({ id }) => ids.push(id))
      comments.on('state', ({ is }) => states.push(is))
    })()`)
    await is(page, 'live')
    return page
  }
  const is = (page: Page, state: string) => until(async () => (await page.evaluate('comments.state.is')) === state, { what: `the state is ${state}` })
  const ids = (page: Page) => page.evaluate<string[]>('ids')
  const watching = async (video: string) => ((await (await fetch(cluster.stream(video, '/stats'))).json()) as { viewers: number }).viewers

  await t.test('the network is cut and comes back: nothing missed or repeated, posts sent once and in order, also those of a page that was closed', async t => {
    const page = await open(t, 'cut')
    const poster = new Poster(cluster, 'cut')
    t.after(() => poster.stop())
    await until(async () => (await ids(page)).length > 5)
    await page.context().setOffline(true)
    await is(page, 'offline')
    await page.evaluate("void comments.post('in the tunnel', 'ben')")
    await page.evaluate("void comments.post('still there', 'ben')")
    await page.context().setOffline(false)
    await is(page, 'live')
    await until(async () => (await page.evaluate('comments.posts.length')) === 0)
    await poster.stop()
    const all = await cluster.history('cut')
    await until(async () => (await ids(page)).at(-1) === all.at(-1)!.id)
    t.same(await ids(page), all.map(({ id }) => id).slice(-(await ids(page)).length))
    const mine = async () => (await cluster.history('cut')).filter(({ authorId }) => authorId === 'ben').map(({ content }) => content)
    t.same(await mine(), ['in the tunnel', 'still there'])

    await page.context().setOffline(true)
    await page.evaluate("comments.post('written before the page went', 'ben').catch(() => {}) && 0")
    await page.evaluate('comments.close()')
    await page.context().setOffline(false)
    await page.evaluate(`(async () => { const { Comments } = await import('/bundle.js'); globalThis.comments = new Comments('${cluster.url}', 'cut', { storage: localStorage }) })()`)
    await until(async () => (await mine()).length === 3)
    t.equal((await mine())[2], 'written before the page went')
  })

  await t.test('a hidden tab has no stream, and catches up when it is seen', async t => {
    const page = await open(t, 'tab')
    const hide = (hidden: boolean) => page.evaluate(`Object.defineProperty(document, 'hidden', { configurable: true, value: ${hidden} }); document.dispatchEvent(new Event('visibilitychange'))`)
    await until(async () => (await watching('tab')) === 1)
    await hide(true)
    await is(page, 'hidden')
    await until(async () => (await watching('tab')) === 0)
    const said: string[] = []
    for (let i = 0; i < 20; i++) said.push((await cluster.say('tab', `${i}`)).id)
    t.same(await ids(page), [])
    await hide(false)
    await until(async () => (await ids(page)).length === 20)
    t.same(await ids(page), said)
    await page.evaluate('comments.close()')
    await until(async () => (await watching('tab')) === 0)
  })

  await t.test('where fetch cannot stream, the browser\'s EventSource does', async t => {
    const page = await open(t, 'source', 'delete Response.prototype.body')
    await cluster.say('source', 'one')
    await until(async () => (await ids(page)).length === 1)
    await page.context().setOffline(true)
    await cluster.say('source', 'two')
    await page.context().setOffline(false)
    await until(async () => (await ids(page)).length === 2)
    t.same(await ids(page), (await cluster.history('source')).map(({ id }) => id))
  })

  await t.test('the element shows comments as text, and posts', async t => {
    const context = await browser.newContext()
    t.after(() => context.close())
    const page = await context.newPage()
    await page.goto(url)
    await cluster.say('element', '<b>not markup</b>')
    await page.evaluate(`(async () => {
      await import('/element.js')
      document.querySelector('main').innerHTML = '<live-comments url="${cluster.url}" video="element" author="ann"></live-comments>'
    })()`)
    await page.getByText('anonymous <b>not markup</b>').waitFor()
    await page.locator('live-comments input').fill('hello')
    await page.locator('live-comments input').press('Enter')
    await page.getByText('ann hello').waitFor()
    t.same((await cluster.history('element')).map(({ authorId }) => authorId), ['anonymous', 'ann'])
    await page.evaluate("document.querySelector('live-comments').remove()")
    await until(async () => (await watching('element')) === 0)
  })
  await t.test('the example by React, started as the README says', async t => {
    const url = await startExample(t, 'react')
    const context = await browser.newContext({ viewport: { width: 390, height: 640 } })
    t.after(() => context.close())
    const page = await context.newPage()
    page.on('pageerror', error => problems.push(error.message))
    const { id } = await cluster.say('hook', 'from elsewhere')
    await page.goto(`${url}/?video=hook&server=${cluster.url}`)
    await page.getByText('from elsewhere').waitFor()
    await page.getByText('live, 1 watching').waitFor()
    await page.getByLabel('Your comment').fill('by the hook')
    await page.keyboard.press('Enter')
    await page.locator('ol').getByText('by the hook').waitFor()
    t.same(await page.locator('ol li').allTextContents(), ['anonymous from elsewhere', 'anonymous by the hook'])
    t.equal((await cluster.history('hook'))[0]!.id, id)
    await page.close()
    await until(async () => (await watching('hook')) === 0)
  })
  await t.test('the plain example, started as the README says, and the bot that answers in it', async t => {
    const url = await startExample(t, 'plain')
    const bot = spawn(process.execPath, [join(projectRoot, 'client', 'examples', 'node-bot', 'bot.js'), cluster.url, 'plain'], { stdio: ['ignore', 'inherit', 'inherit'] })
    t.after(() => bot.kill('SIGKILL'))
    const ended = once(bot, 'close')
    await until(async () => (await watching('plain')) === 1)
    const context = await browser.newContext({ viewport: { width: 390, height: 640 } })
    t.after(() => context.close())
    const page = await context.newPage()
    page.on('pageerror', error => problems.push(error.message))
    await page.goto(`${url}/?video=plain&server=${cluster.url}`)
    await page.locator('input').fill('!time')
    await page.keyboard.press('Enter')
    await page.locator('ol li').nth(1).waitFor()
    t.match(await page.locator('ol li').allTextContents(), [/^anonymous: !time$/, /^clock: anonymous: it is \d{4}-/])
    bot.kill('SIGINT')
    t.same(await ended, [0, null], 'the bot ends when it is asked to')
  })
  t.same(problems, [], 'nothing was thrown in a page')
})
