import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startBrowser } from '../support/chromium.js'
import { startCluster } from '../support/cluster.js'
import { until } from '../support/until.js'
import { LONG_WORD, stickingOut, WIDTHS } from '../support/viewer-page.js'

t.test('an operator looks at a cluster, drains an edge, and sees a part die', async t => {
  const cluster = await startCluster(t, ['--gateways', '2', '--edges', '2', '--dispatchers', '1'])
  const token = readFileSync(join(cluster.data, 'internal-token'), 'utf8').trim()
  const address = `${cluster.member('gateway-1').internalUrl}/operators`
  const browser = await startBrowser(t)
  const open = async (width: number, colorScheme: 'light' | 'dark') => {
    const page = await (await browser.newContext({ viewport: { width, height: 900 }, colorScheme })).newPage()
    page.on('pageerror', error => t.fail(error.message))
    await page.goto(address)
    return page
  }
  const page = await open(1280, 'light')

  await t.test('nothing is shown without the token', async t => {
    await page.fill('#token', 'not the token')
    await page.click('#sign button')
    await page.getByText('that is not the token').waitFor()
    t.equal(await page.locator('main').isVisible(), false)
    for (const path of ['overview', 'comments/demo']) t.equal((await fetch(`${address}/${path}`)).status, 401)
    t.equal((await fetch(`${address}/drain`, { method: 'POST', body: '{}' })).status, 401)
    await page.fill('#token', token)
    await page.click('#sign button')
    await page.getByText('All is well.').waitFor()
  })

  await t.test('nodes, a video with its viewers and rate, and its comments', async t => {
    t.same(await page.locator('#nodes tbody tr td:first-child').allTextContents(), ['gateway-1', 'gateway-2', 'edge-1', 'edge-2', 'dispatcher-1'])
    const stream = await fetch(`${cluster.url}/comments/demo`, { headers: { accept: 'text/event-stream' } })
    t.teardown(() => stream.body!.cancel())
    for (let i = 0; i < 20; i++) await cluster.say('demo', `number ${i}`)
    const row = page.locator('#videos tbody tr', { hasText: 'demo' })
    await until(async () => (await row.locator('td').nth(1).textContent()) === '1' && (await row.locator('td').nth(2).textContent()) === '2')
    t.match(await row.locator('td').nth(3).textContent(), /^edge-[12]$/)
    await row.getByRole('button').click()
    await page.locator('#comments').getByText('number 19').waitFor()
    await cluster.say('demo', 'and one more, live')
    await page.locator('#comments').getByText('and one more, live').waitFor()
  })

  await t.test('a comment is deleted, and its author banned, from the page', async t => {
    await cluster.post('demo', { authorId: 'troll', content: 'something nasty' })
    const row = page.locator('#comments li', { hasText: 'something nasty' })
    await row.getByRole('button', { name: 'Ban for a day' }).click()
    await page.locator('#ask').getByRole('button', { name: 'Ban' }).click()
    await until(async () => (await cluster.post('demo', { authorId: 'troll', content: 'again' })).status === 403)
    await row.getByRole('button', { name: 'Delete' }).click()
    await page.locator('#ask').getByRole('button', { name: 'Delete' }).click()
    await row.waitFor({ state: 'detached' })
    t.notMatch(JSON.stringify(await cluster.history('demo')), 'nasty')
  })

  await t.test('an act that cannot be is refused, with the field and the rule', async t => {
    for (const [act, message] of [
      [{ type: 'deleted', target: '9007199254740992' }, /^target must be the id of a comment/],
      [{ type: 'author-banned', authorId: '', forSeconds: 60 }, /^authorId must be 1 to 64 characters/],
    ] as const) {
      const refused = await fetch(`${address}/acts`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: JSON.stringify({ videoId: 'demo', act }) })
      t.equal(refused.status, 400)
      t.match(await refused.json(), { error: { code: 'BAD_ACT', message } })
    }
  })

  await t.test('a drain is asked for twice, and taken back', async t => {
    const row = page.locator('#nodes tbody tr', { hasText: 'edge-2' })
    await row.getByRole('button', { name: 'Drain edge-2' }).click()
    await page.locator('#ask').getByRole('button', { name: 'Cancel' }).click()
    await row.getByRole('button', { name: 'Drain edge-2' }).click()
    await page.locator('#ask').getByRole('button', { name: 'Drain' }).click()
    await row.getByText('draining').waitFor()
    await row.getByRole('button', { name: 'Undrain edge-2' }).click()
    await row.locator('.badge.up').waitFor()
    const refused = await fetch(`${address}/drain`, { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: '{"id":"nobody","drain":true}' })
    t.equal(refused.status, 404)
    t.match(await refused.json(), { error: { code: 'NOT_FOUND', message: /nobody/ } })
  })

  await t.test('a part that freezes is said at once', async t => {
    const pid = cluster.kill('edge-2', 'SIGSTOP')
    await page.getByText('edge edge-2 does not answer').waitFor()
    cluster.kill('edge-2')
    await cluster.again('edge-2', pid)
    await page.getByText('All is well.').waitFor()
    t.equal(await page.locator('#state').textContent(), 'live')
  })

  await t.test('nothing sticks out, whatever is written, named or said', async t => {
    const video = 'V'.repeat(64)
    const stream = await fetch(cluster.stream(video), { headers: { accept: 'text/event-stream' } })
    t.teardown(() => stream.body!.cancel())
    for (const authorId of ['W'.repeat(64), 'ليلى']) await cluster.post(video, { authorId, content: LONG_WORD })
    for (const width of WIDTHS) {
      const phone = await open(width, 'dark')
      await phone.fill('#token', LONG_WORD)
      t.same(await stickingOut(phone), [], `${width}, signed out`)
      await phone.fill('#token', token)
      await phone.click('#sign button')
      await phone.locator('#videos').getByRole('button', { name: video }).click()
      await phone.locator('#comments li').nth(1).waitFor()
      const nothing = async (what: string) => {
        t.same(await stickingOut(phone, '.wide'), [], `${width}, ${what}`)
        t.equal(await phone.evaluate('document.documentElement.scrollWidth'), width)
      }
      await nothing('comments')
      await phone.locator('#comments li').first().getByRole('button', { name: 'Ban' }).click()
      await nothing('a question')
      t.match(await phone.locator('#question').textContent(), /^Ban \u2068.+\u2069 from V+ for a day\?$/, 'a name turns nothing that stands beside it')
      await phone.locator('#ask').getByRole('button', { name: 'Cancel' }).click()
      // Its own words, and names that no test can have.
      await phone.evaluate(`for (const id of ['cluster', 'totals', 'state', 'failed', 'unwatched', 'question']) Object.assign(document.getElementById(id), { textContent: '${LONG_WORD}', hidden: false })
        document.querySelector('#problems').replaceChildren(Object.assign(document.createElement('p'), { textContent: '${LONG_WORD}' }))
        for (const cell of document.querySelectorAll('td:first-child')) cell.textContent = '${LONG_WORD}'`)
      await nothing('every text')
    }
  })

  t.same(await page.evaluate('document.cookie'), '', 'nothing is left in a cookie')
})
