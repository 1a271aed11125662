import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { frame, FrameKind } from '../../protocol/frame.js'
import { blocks } from '../../protocol/gzip.js'
import { startBrowser } from '../support/chromium.js'
import { fakeDispatcher } from '../support/fake-dispatcher.js'
import { fakeEdge } from '../support/fake-edge.js'
import { runGateway } from '../support/gateway.js'
import { identityOf, Issuer } from '../support/issuer.js'
import { until } from '../support/until.js'
import { LONG_WORD, stickingOut, WIDTHS } from '../support/viewer-page.js'

const issuer = new Issuer()
const browser = await startBrowser(t)

const comment = (id: number, authorId = 'bob', content = `comment ${id}`) => ({ id: String(id), authorId, content, createdAt: Date.UTC(2026, 0, 1, 12) })

/** As an edge says it to a viewer that takes gzip. */
const said = (kind: FrameKind, id: number, name: string, data: unknown) => frame(kind, id, blocks(`${name && `event: ${name}\n`}id: ${id}\ndata: ${JSON.stringify(data)}\n\n`, 0))

/** A gateway whose edge says what the test wants said, and a page of the video. */
async function setUp(t: Test, { claims, lang = 'en' }: { readonly claims?: Record<string, unknown>; readonly lang?: string } = {}) {
  const dispatcher = fakeDispatcher(t, 'd')
  const edge = fakeEdge(t, 'e')
  const { url } = runGateway(t, { dispatchers: [dispatcher.node], edges: [edge.node], ...(claims && { identity: identityOf(issuer, { requireToWatch: false }) }) })
  const context = await browser.newContext({ viewport: { width: 360, height: 640 } })
  t.after(() => context.close())
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', error => problems.push(error.message))
  page.on('console', message => message.type() === 'error' && !/ status of 4/.test(message.text()) && problems.push(message.text()))
  // These routes of the gateway are not what is tested here.
  const asked: string[] = []
  let refusal: string | undefined
  await page.route(/\/comments\/demo\/.+/, route => {
    const request = route.request()
    if (request.method() === 'GET') return route.continue()
    asked.push(`${request.method()} ${new URL(request.url()).pathname} ${request.postData() ?? ''}`.trim())
    return refusal === undefined ? route.fulfill({ status: 204 }) : route.fulfill({ status: 403, json: { error: { code: 'FORBIDDEN', message: refusal } } })
  })
  await page.goto(`${url}/?video=demo&lang=${lang}`)
  const { stream } = await edge.stream(0)
  const say = (name: string, id: number, data: unknown) => stream.write(said(FrameKind.events, id, name, data))
  const ready = async (state: object = {}) => {
    stream.write(said(FrameKind.ready, 9, 'ready', { videoId: 'demo', viewers: 1, ...state }))
    await page.locator('body[data-state=live]').waitFor()
  }
  /** As the reader of a page without a site around it gives a token. */
  const signIn = async () => {
    await page.evaluate("document.getElementById('sign').hidden = false")
    await page.fill('#token', await issuer.token('ed', claims))
    await page.locator('#sign button').click()
  }
  return { dispatcher, page, problems, say, ready, signIn, asked, refuse: (message: string) => (refusal = message) }
}

/** A name in the menu's words. */
const isolated = (name: string) => `\u2068${name}\u2069`

const contents = (page: Page) => page.locator('#comments li p').allTextContents()

t.test('a deleted comment is gone: a row, what is held aside, and what history brings later', async t => {
  const { page, problems, say, ready } = await setUp(t)
  for (let id = 1; id <= 9; id++) say('', id, comment(id))
  await ready()
  await until(async () => (await contents(page)).length === 9)
  say('deleted', 10, { target: '3' })
  await until(async () => (await contents(page)).length === 8)
  t.notOk((await contents(page)).includes('comment 3'))

  // While the reader is elsewhere.
  for (let id = 11; id <= 40; id++) say('', id, comment(id, 'bob', `comment ${id}\nof\nlines`))
  await until(async () => (await contents(page)).length === 38)
  await page.hover('#scroll')
  await page.mouse.wheel(0, -900)
  await page.locator('#newest').waitFor()
  for (let id = 41; id <= 43; id++) say('', id, comment(id))
  await page.getByRole('button', { name: '3 new' }).waitFor()
  const row = page.locator('#comments li[data-id="22"]')
  const place = await row.boundingBox()
  say('deleted', 44, { target: '42' })
  say('deleted', 45, { target: '1' })
  await page.getByRole('button', { name: '2 new' }).waitFor()
  t.ok(Math.abs((await row.boundingBox())!.y - place!.y) < 1, 'what is read stays where it is')
  await page.locator('#newest').click()
  await until(async () => (await contents(page)).at(-1) === 'comment 43')
  t.equal((await contents(page)).includes('comment 42'), false)
  say('', 46, comment(46))
  say('deleted', 47, { target: '46' })
  say('', 48, comment(48))
  await until(async () => (await contents(page)).at(-1) === 'comment 48')
  t.notOk((await contents(page)).includes('comment 46'), 'in the same moment')
  t.same(problems, [])
})

t.test('a pinned comment stands at the top until it is unpinned or deleted', async t => {
  const { page, problems, say, ready } = await setUp(t)
  say('', 1, comment(1))
  await ready({ pinned: comment(1, 'eve', 'read this <b>first</b>') })
  const pinned = page.locator('#pinned')
  await pinned.getByText('read this <b>first</b>').waitFor()
  t.ok((await pinned.boundingBox())!.y < (await page.locator('#scroll').boundingBox())!.y)
  t.equal(await page.evaluate("(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight < 2)(document.getElementById('scroll'))"), true, 'the newest are seen all the same')
  say('pinned', 10, { comment: null })
  await pinned.waitFor({ state: 'hidden' })
  say('pinned', 11, { comment: comment(1) })
  await pinned.getByText('comment 1').waitFor()
  say('deleted', 12, { target: '1' })
  await pinned.waitFor({ state: 'hidden' })
  await until(async () => (await contents(page)).length === 0)
  t.same(problems, [])
})

t.test('closed, and for those signed in alone: the box says so, and keeps what is in it', async t => {
  const { page, problems, say, ready } = await setUp(t)
  await ready({ settings: { slowModeSeconds: 0, closed: true, signedInOnly: false } })
  const box = page.locator('#content')
  await page.getByText('Comments are closed.').waitFor()
  t.equal(await box.isDisabled(), true)
  say('settings', 10, { slowModeSeconds: 0, closed: false, signedInOnly: false })
  await page.getByText('Comments are closed.').waitFor({ state: 'hidden' })
  await box.fill('half a sen')
  say('settings', 11, { slowModeSeconds: 0, closed: false, signedInOnly: true })
  await page.getByText('Only signed-in viewers may write.').waitFor()
  t.same([await box.isDisabled(), await box.inputValue(), await page.locator('#send').isDisabled()], [true, 'half a sen', true])
  t.same(problems, [])
})

t.test('slow mode counts down on the button; what is typed meanwhile is kept, and sent once it may be', async t => {
  const { page, problems, ready, dispatcher } = await setUp(t)
  await ready({ settings: { slowModeSeconds: 2, closed: false, signedInOnly: false } })
  await page.getByText('Slow mode: one comment every 2 s.').waitFor()
  const send = page.locator('#send')
  await page.fill('#content', 'one')
  await send.click()
  await page.getByRole('button', { name: 'Wait 2 s' }).waitFor()
  await page.fill('#content', 'two')
  await page.keyboard.press('Enter')
  t.equal(await page.inputValue('#content'), 'two')
  t.equal(dispatcher.batches.length, 1)
  await page.getByRole('button', { name: 'Send' }).waitFor()
  t.equal(await send.textContent(), '')

  // The server counts too: a comment of another tab.
  let tries = 0
  await page.route('**/comments/demo', route => (++tries > 1 ? route.continue() : route.fulfill({ status: 429, headers: { 'retry-after': '1' }, json: { error: { code: 'SLOW_MODE', message: 'slow' } } })))
  await send.click()
  await page.getByText('Not sent yet: slow mode lets you write again in a moment').waitFor()
  await page.getByRole('button', { name: 'Wait 1 s' }).waitFor()
  await until(() => dispatcher.batches.length === 2)
  await page.locator('#unsent li').waitFor({ state: 'detached' })

  await page.unroute('**/comments/demo')
  await page.route('**/comments/demo', route => route.fulfill({ status: 403, json: { error: { code: 'BANNED', message: 'until tomorrow' } } }))
  await page.getByRole('button', { name: 'Send' }).waitFor()
  await page.fill('#content', 'three')
  await send.click()
  await page.getByText('Not sent: you may not write here at the moment').waitFor()
  t.same(problems, [])
})

t.test('a moderator deletes, pins and bans by a menu, with the keyboard too', async t => {
  const { page, problems, say, ready, signIn, asked, refuse } = await setUp(t, { claims: { mod: ['demo'] } })
  say('', 1, comment(1))
  say('', 2, { ...comment(2, 'eve/1'), authorName: 'Eve' })
  await ready({ settings: { slowModeSeconds: 30, closed: true, signedInOnly: true } })
  await page.getByText('Comments are closed.').waitFor()
  t.equal(await page.locator('.act').count(), 0)
  await signIn()
  await page.locator('.act').nth(1).waitFor()
  t.equal(await page.locator('#content').isDisabled(), false, 'moderators write all the same')

  const button = page.getByRole('button', { name: `Comment by ${isolated('Eve')}: more` })
  await button.click()
  t.same(await page.getByRole('menuitem').allTextContents(), ['Delete', 'Pin', ...['10 minutes', 'a day', 'a year'].map(time => `Ban ${isolated('Eve')} for ${time}`)])
  const box = (await page.locator('#menu').boundingBox())!
  t.ok(box.x >= 0 && box.x + box.width <= 360 && box.y >= 0 && box.y + box.height <= 640, 'all of it is seen')
  await page.getByRole('menuitem', { name: 'Pin' }).click()
  say('pinned', 10, { comment: { ...comment(2, 'eve/1'), authorName: 'Eve' } })
  await page.locator('#pinned').getByRole('button', { name: `Comment by ${isolated('Eve')}: more` }).click()
  await page.getByRole('menuitem', { name: 'Unpin' }).click()
  await button.last().focus()
  await page.keyboard.press('Enter')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('ArrowDown')
  await page.keyboard.press('Enter')
  await button.last().click()
  await page.getByRole('menuitem', { name: 'for a year' }).click()
  await button.last().click()
  await page.keyboard.press('Escape')
  await page.locator('#menu').waitFor({ state: 'hidden' })
  await button.last().click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await until(() => asked.length === 5)
  t.same(asked, [
    'PUT /comments/demo/pin {"commentId":"2"}',
    'PUT /comments/demo/pin {"commentId":null}',
    'PUT /comments/demo/bans/eve%2F1 {"forSeconds":600}',
    'PUT /comments/demo/bans/eve%2F1 {"forSeconds":31536000}',
    'DELETE /comments/demo/2',
  ])
  refuse('not yours')
  await button.last().click()
  await page.getByRole('menuitem', { name: 'Delete' }).click()
  await page.getByText(`Not done: ${isolated('not yours')}`).waitFor()
  t.same(problems, [])
})

t.test('a moderator sees what is held, and approves or refuses it; nobody else is told', async t => {
  const { dispatcher, page, problems, ready, signIn } = await setUp(t, { claims: { mod: ['demo'] } })
  const held = (digit: string, content: string) => ({ id: digit.repeat(32), videoId: 'demo', authorId: 'ann', content, heldAt: Date.UTC(2026, 0, 1, 12) })
  dispatcher.held = [held('1', 'first <b>of all</b>'), held('2', 'second')]
  dispatcher.answerDecision = ({ decision }) => {
    dispatcher.held = dispatcher.held.slice(1)
    return decision.kind === 'approve' ? { id: 7 } : { refused: true }
  }
  await page.unroute(/\/comments\/demo\/.+/)
  await ready()
  t.equal(await page.locator('#held').count(), 0)
  await signIn()
  const list = page.locator('#held')
  await list.getByText('Held for review: 2').click()
  await list.getByText('first <b>of all</b>').waitFor()
  await list.getByRole('button', { name: 'Approve' }).first().click()
  await list.getByText('Held for review: 1').waitFor()
  t.same(await list.locator('li p').allTextContents(), ['second'])
  await list.getByRole('button', { name: 'Refuse' }).click()
  await list.waitFor({ state: 'hidden' })
  t.match(dispatcher.decisions, [{ path: `demo/${'1'.repeat(32)}`, actorId: 'ann', decision: { kind: 'approve' } }, { path: `demo/${'2'.repeat(32)}`, decision: { kind: 'refuse' } }])
  t.same(problems, [])
})

t.test('who writes what is held is told so, until it comes or is put aside', async t => {
  const { dispatcher, page, problems, say, ready } = await setUp(t)
  dispatcher.answer = () => ({ held: true })
  await ready()
  const waiting = page.locator('#unsent li')
  for (const content of ['one', 'two']) {
    await page.fill('#content', content)
    await page.keyboard.press('Enter')
    await waiting.filter({ hasText: content }).getByText('Held for review').waitFor()
  }
  say('', 10, comment(10, 'anonymous', 'one'))
  await until(async () => (await contents(page)).includes('one'))
  t.equal(await waiting.count(), 1)
  await waiting.getByRole('button', { name: 'Hide' }).click()
  await waiting.waitFor({ state: 'detached' })
  t.same(problems, [])
})

t.test('authors delete their own, and nothing else', async t => {
  const { page, problems, say, ready, signIn, asked } = await setUp(t, { claims: { mod: ['other'] } })
  say('', 1, comment(1))
  say('', 2, comment(2, 'ann'))
  await ready()
  await signIn()
  const button = page.getByRole('button', { name: `Comment by ${isolated('ann')}: more` })
  await button.click()
  t.same(await page.getByRole('menuitem').allTextContents(), ['Delete'])
  await page.getByRole('menuitem').click()
  await until(() => asked.length === 1)
  t.same(asked, ['DELETE /comments/demo/2'])
  t.equal(await page.locator('.act').count(), 1)
  t.same(problems, [])
})

t.test('whatever a name is, the menu stays in the window, and its own words where they are', async t => {
  const { page, problems, say, ready, signIn, refuse } = await setUp(t, { claims: { mod: true } })
  // The last two are names of before there was a rule.
  const names = ['W'.repeat(64), 'ليلى', 'ann\u2069\u202e', '\u202eann\u2066']
  names.forEach((name, i) => say('', i + 1, comment(i + 1, name, LONG_WORD)))
  await ready({ pinned: comment(1, names[0], LONG_WORD), settings: { slowModeSeconds: 3_600, closed: false, signedInOnly: false } })
  await signIn()
  await page.locator('.act').nth(names.length).waitFor()
  refuse(LONG_WORD)
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 640 })
    await page.locator('#pinned .act').click()
    t.same(await stickingOut(page), [], `${width}`)
    await page.getByRole('menuitem', { name: 'Delete' }).click()
    await page.getByText('Not done').waitFor()
    t.same(await stickingOut(page), [], `${width}, refused`)
  }
  for (const [i, name] of names.entries()) {
    await page.locator(`#comments li[data-id="${i + 1}"] .act`).click()
    const lefts = await page.evaluate<number[]>(`(() => {
      const { firstChild: text } = document.querySelector('#menu button:last-child')
      const said = ' for a year'
      const from = text.data.indexOf(said)
      const range = document.createRange()
      return Array.from(said, (_, at) => (range.setStart(text, from + at), range.setEnd(text, from + at + 1), range.getBoundingClientRect().left))
    })()`)
    if (i > 0) t.same(lefts, [...lefts].sort((a, b) => a - b), JSON.stringify(name))
    await page.keyboard.press('Escape')
  }
  t.same(problems, [])
})

t.test('the menu speaks the reader\'s language, from right to left too', async t => {
  const { page, problems, say, ready, signIn } = await setUp(t, { claims: { mod: true }, lang: 'ar' })
  say('', 1, comment(1))
  await ready({ settings: { slowModeSeconds: 30, closed: false, signedInOnly: false } })
  await signIn()
  await page.locator('.act').click()
  t.equal(await page.getByRole('menuitem').first().textContent(), 'حذف')
  const box = (await page.locator('#menu').boundingBox())!
  t.ok(box.x >= 0 && box.x + box.width <= 360)
  t.same(problems, [])
})

t.end()
