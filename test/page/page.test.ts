import t from 'tap'
import type { Page } from 'playwright-core'
import { startBrowser } from '../support/chromium.js'
import { startCluster } from '../support/cluster.js'
import { until } from '../support/until.js'

t.test('the page in a real browser', async t => {
  const cluster = await startCluster(t)
  const browser = await startBrowser(t)

  /** A page of its own browser context, and what went wrong in it. */
  async function open(video: string): Promise<{ page: Page; problems: string[] }> {
    const context = await browser.newContext({ viewport: { width: 360, height: 640 } })
    t.after(() => context.close())
    const page = await context.newPage()
    const problems: string[] = []
    page.on('pageerror', error => problems.push(error.message))
    page.on('console', message => {
      if (message.type() === 'error') problems.push(message.text())
    })
    await page.goto(`${cluster.url}/?video=${video}`)
    await page.locator('body[data-state=live]').waitFor()
    return { page, problems }
  }
  const contents = (page: Page) => page.locator('#comments li p').allTextContents()
  const post = async (page: Page, name: string, text: string) => {
    await page.fill('#author', name)
    await page.fill('#content', text)
    await page.click('#send')
  }

  t.test('two people post and see each other', async t => {
    const [ann, bob] = [await open('chat'), await open('chat')]
    t.equal(await ann.page.locator('#empty').isVisible(), true)
    await post(ann.page, 'ann', 'hello from ann')
    await bob.page.getByText('hello from ann').waitFor()
    await post(bob.page, 'bob', 'hello from bob')
    await ann.page.getByText('hello from bob').waitFor()
    for (const { page, problems } of [ann, bob]) {
      t.same(await contents(page), ['hello from ann', 'hello from bob'])
      t.same(await page.locator('#comments li b').allTextContents(), ['ann', 'bob'])
      await page.getByText('2 watching').waitFor()
      t.equal(await page.inputValue('#content'), '')
      t.same(problems, [], 'nothing went wrong in the page')
    }
    t.equal(await ann.page.evaluate('document.documentElement.scrollWidth <= innerWidth'), true, 'it fits a phone')
  })

  t.test('text is never markup', async t => {
    const { page, problems } = await open('markup')
    const nasty = '<img src=x onerror="document.title=1"><script>document.title=2</script><b>bold</b> &amp;'
    await cluster.post('markup', { content: nasty, authorId: '<i>eve</i>' })
    await page.locator('#comments li').waitFor()
    t.same(await contents(page), [nasty])
    t.same(await page.locator('#comments li b').allTextContents(), ['<i>eve</i>'])
    t.equal(await page.locator('#comments img, #comments script, #comments i').count(), 0)
    t.equal(await page.title(), 'markup · Live comments')
    t.same(problems, [])
  })

  t.test('a newcomer sees the newest comments and scrolls back to the first', async t => {
    const expected = Array.from({ length: 120 }, (_, i) => `number ${i}`)
    for (const text of expected) await cluster.say('long', text)
    const { page } = await open('long')
    await until(async () => (await contents(page)).length === 50)
    t.same(await contents(page), expected.slice(-50))
    for (const count of [100, 120]) {
      await page.click('#older')
      await until(async () => (await contents(page)).length === count)
    }
    t.same(await contents(page), expected)
    t.equal(await page.locator('#older').isVisible(), false, 'there is nothing older')
  })

  t.test('a comment that is refused stays in the box, with the reason', async t => {
    const { page } = await open('refused')
    await post(page, 'ann', 'x'.repeat(1_001))
    await page.locator('#error').filter({ hasText: /at most 1000 characters/ }).waitFor()
    t.equal((await page.inputValue('#content')).length, 1_001)
  })

  t.test('the page goes on after its gateway was gone, without a gap or a repeat', async t => {
    const { page } = await open('gone')
    await cluster.say('gone', 'before it went')
    await page.getByText('before it went').waitFor()
    const pid = cluster.kill('gateway-1')
    await page.locator('body[data-state=connecting]').waitFor()
    await cluster.again('gateway-1', pid)
    await cluster.say('gone', 'after it came back')
    await page.getByText('after it came back').waitFor({ timeout: 15_000 })
    t.same(await contents(page), ['before it went', 'after it came back'])
  })
})
