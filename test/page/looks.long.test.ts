import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { projectRoot } from '../../runtime/root.js'
import { startOneProcess } from '../support/one-process.js'
import { until } from '../support/until.js'
import { startPages, type ViewerPage } from '../support/viewer-page.js'

const DAY_MS = 86_400_000

t.test('how it looks', async t => {
  const cluster = startOneProcess(t)
  const open = await startPages(t, cluster)
  const box = async (viewer: ViewerPage, selector: string) => (await viewer.page.locator(selector).boundingBox())!

  await t.test('comments stand at the bottom from the first one, and before it there are words', async t => {
    const viewer = await open(t, 'few')
    await viewer.page.getByText('No comments yet').waitFor()
    t.equal(await viewer.page.getByText('This is where it began').isVisible(), false)
    for (let count = 1; count <= 3; count++) {
      await cluster.say('few', `number ${count}`)
      await until(async () => (await viewer.ids()).length === count)
      const [all, last] = [await box(viewer, '#scroll'), await box(viewer, '#comments li:last-child')]
      t.ok(all.y + all.height - last.y - last.height < 12, 'by the box')
    }
    t.equal(await viewer.page.getByText('No comments yet').isVisible(), false)
    await viewer.page.getByText('This is where it began').waitFor()
  })

  await t.test('name, time and text of a short comment share one line, on a phone too', async t => {
    await cluster.say('line', 'the first has its day above it')
    await cluster.post('line', { authorId: 'ola', content: 'GOAL!' })
    for (const width of [320, 1280]) {
      const viewer = await open(t, 'line', { viewport: { width, height: 560 } })
      await viewer.page.getByText('GOAL!').waitFor()
      const row = await box(viewer, '#comments li:last-child')
      t.ok(row.height < 2 * parseFloat(await viewer.page.evaluate("getComputedStyle(document.querySelector('#comments p')).lineHeight")), `${row.height} px at ${width}`)
      for (const part of ['b', 'time', 'p']) {
        const { y, height } = await box(viewer, `#comments li:last-child ${part}`)
        t.ok(y >= row.y && y + height <= row.y + row.height, `${part} at ${width}`)
      }
    }
  })

  await t.test('the time narrows the first line alone', async t => {
    await cluster.post('narrow', { authorId: 'ola', content: 'W'.repeat(100) })
    for (const width of [320, 390]) {
      const { page } = await open(t, 'narrow', { viewport: { width, height: 560 } })
      await page.locator('#comments p').waitFor()
      // The word is too long to stand beside the name, so its first line is the row's second.
      const [second, third] = await page.evaluate<number[]>("Array.from(document.querySelector('#comments p').getClientRects(), ({ width }) => width)")
      t.equal(second, third, `at ${width}`)
    }
  })

  await t.test('the word beside the name field stays whole in a frame on the smallest phone', async t => {
    const viewer = await open(t, 'narrow', { path: '/embed', viewport: { width: 280, height: 560 } })
    const [word, field] = [await box(viewer, '#name span'), await box(viewer, '#author')]
    t.ok(word.height <= field.height && field.x + field.width <= 280, `${word.height} px beside ${field.height}`)
  })

  await t.test('nothing lies under the bar at the bottom of a phone without buttons, with the box or without it', async t => {
    for (const [readonly, lowest] of [['false', '#send'], ['true', '#comments li:last-child']] as const) {
      const viewer = await open(t, 'narrow', { query: { readonly }, viewport: { width: 390, height: 844 } })
      const devtools = await viewer.page.context().newCDPSession(viewer.page)
      await devtools.send('Emulation.setSafeAreaInsetsOverride', { insets: { bottom: 34 } })
      await until(async () => {
        const { y, height } = await box(viewer, lowest)
        return y + height <= 844 - 34
      }, { what: `${lowest} is above it` })
    }
  })

  await t.test('while a long text is written above a phone\'s keyboard, comments are still seen', async t => {
    const viewer = await open(t, 'narrow', { viewport: { width: 320, height: 280 } })
    await viewer.page.fill('#content', 'W'.repeat(1_000))
    const [comments, content] = [await box(viewer, '#scroll'), await box(viewer, '#content')]
    t.ok(comments.height > 60, `${comments.height} px`)
    t.ok(content.height > 50 && content.y + content.height <= 280, 'and so is the text')
  })

  await t.test('a comment of more than eight lines is cut there, until the rest is wanted', async t => {
    await cluster.say('long', 'eight lines\n2\n3\n4\n5\n6\n7\n8')
    await cluster.say('long', Array.from({ length: 250 }, (_, i) => `${i}`).join('\n'))
    await cluster.say('long', 'a\n'.repeat(12) + 'https://example.com/')
    const viewer = await open(t, 'long', { viewport: { width: 360, height: 800 } })
    const more = viewer.page.getByRole('button', { name: 'more' })
    await until(async () => (await more.count()) === 2)
    const height = async (nth: number) => (await viewer.page.locator('#comments li > div:not(.day)').nth(nth).boundingBox())!.height
    t.equal(await height(1), await height(0), 'as high as eight lines')
    t.match(await viewer.page.evaluate("getComputedStyle(document.querySelector('.more')).backgroundImage"), /^linear-gradient\(to left,.+rgba\(0, 0, 0, 0\)\)$/, 'the text fades out before the button, and no letter is cut in two')
    await more.first().click()
    t.ok((await height(1)) > 3_000)
    t.equal(await more.count(), 1)
    // Whoever reads on is left there.
    await cluster.say('long', 'a new one')
    await viewer.page.getByRole('button', { name: '1 new' }).click()
    await viewer.page.locator('#comments').getByText('a new one').waitFor()
    await viewer.page.getByRole('link').focus()
    t.equal(await more.count(), 0, 'what the keyboard comes to is seen')
    t.ok((await viewer.page.getByRole('link').boundingBox())!.height > 10)

    // What is wider later has fewer lines.
    await cluster.say('words', 'some words '.repeat(30))
    const narrow = await open(t, 'words', { viewport: { width: 320, height: 560 } })
    await narrow.page.getByRole('button', { name: 'more' }).waitFor()
    await narrow.page.setViewportSize({ width: 1280, height: 560 })
    await narrow.page.getByRole('button', { name: 'more' }).waitFor({ state: 'detached' })
  })

  await t.test('each day is said above its first comment, and the full time where one asks', async t => {
    const now = new Date().setHours(9, 5, 0, 0)
    const times = [now - 400 * DAY_MS, now - 2 * DAY_MS, now - 2 * DAY_MS + 1, now - DAY_MS, now, now + 1]
    const events = times.map((createdAt, i) => `id: ${i + 1}\ndata: ${JSON.stringify({ id: `${i + 1}`, authorId: 'bob', content: `comment ${i + 1}`, createdAt })}\n\n`)
    const viewer = await open(t, 'other', { locale: 'en-US' })
    await viewer.page.route('**/comments/days?recent=*', route => route.fulfill({ contentType: 'text/event-stream', body: `retry: 60000\n\n${events.join('')}event: ready\nid: 6\ndata: {"videoId":"days","viewers":1}\n\n` }))
    await viewer.page.goto(`${cluster.url}/?video=days`)
    await until(async () => (await viewer.ids()).length === times.length)
    const day = (time: number) => new Intl.DateTimeFormat('en-US', { weekday: 'long', day: 'numeric', month: 'long' }).format(time)
    const days = await viewer.page.evaluate<(string | null)[]>("Array.from(document.querySelectorAll('#comments li'), row => row.querySelector('.day')?.textContent ?? null)")
    t.match(days[0], /^\w+day, \w+ \d+, \d{4}$/, 'of another year')
    // A run in the first days of a year has other years in it.
    if (new Date(times[1]!).getFullYear() === new Date(now).getFullYear()) t.same(days.slice(1), [day(times[1]!), null, day(times[3]!), day(now), null])
    t.match(await viewer.page.locator('#comments time').first().textContent(), /^9:05\sAM$/, 'as one writes it')
    t.equal(await viewer.page.locator('#comments time').first().getAttribute('title'), new Intl.DateTimeFormat('en-US', { dateStyle: 'full', timeStyle: 'medium' }).format(times[0]))
    t.equal(await viewer.page.locator('#comments time').first().getAttribute('datetime'), new Date(times[0]!).toISOString())
  })

  await t.test('links can be followed, by who wants to, and give nothing away', async t => {
    await cluster.post('links', { authorId: 'https://not.example/', content: 'see https://example.com/a?b=1#c. And javascript:alert(1) <a href="https://evil.example">x</a>' })
    const viewer = await open(t, 'links')
    const links = viewer.page.locator('#comments a')
    await links.first().waitFor()
    t.same(await viewer.page.evaluate("Array.from(document.querySelectorAll('a'), ({ href, rel, target, textContent }) => ({ href, rel, target, textContent }))"), [
      { href: 'https://example.com/a?b=1#c', rel: 'nofollow ugc noopener', target: '_blank', textContent: 'https://example.com/a?b=1#c' },
      { href: 'https://evil.example/', rel: 'nofollow ugc noopener', target: '_blank', textContent: 'https://evil.example' },
    ])
    t.same(await viewer.contents(), ['see https://example.com/a?b=1#c. And javascript:alert(1) <a href="https://evil.example">x</a>'])
    t.same(viewer.problems, [])
  })

  await t.test('no rate and no number of viewers is shown while offline', async t => {
    const viewer = await open(t, 'pace')
    await cluster.say('pace', 'one')
    await viewer.page.getByText(/comments\/s/).waitFor()
    await viewer.page.context().setOffline(true)
    await viewer.state('offline')
    t.equal(await viewer.page.locator('#rate').textContent(), '')
    t.equal(await viewer.page.locator('#numbers').isVisible(), false)
  })

  await t.test('a frame is as its address says', async t => {
    const at = (t: Test, query: Record<string, string>, path: '/' | '/embed' = '/embed') => open(t, 'few', { path, query, colorScheme: 'light' })
    const style = (viewer: ViewerPage, selector: string, name: string) => viewer.page.evaluate<string>(`getComputedStyle(document.querySelector('${selector}'))['${name}']`)

    const full = await at(t, { title: ' <b>Cup</b> final ', theme: 'dark', accent: '#FFD400', readonly: 'true', lang: 'de' })
    t.equal(await full.page.locator('h1').textContent(), '<b>Cup</b> final')
    t.equal(await full.page.title(), '<b>Cup</b> final · Live comments')
    t.equal(await style(full, 'body', 'color'), 'rgb(236, 238, 242)', 'dark, on a system that is light')
    t.equal(await full.page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--accent')"), '#FFD400')
    t.equal(await full.page.locator('form:visible').count(), 0)
    t.equal(await full.page.getAttribute('html', 'lang'), 'de')
    await full.page.getByText(/\d dabei/).waitFor()
    await full.page.getByText('Hier fing es an.').waitFor()
    t.same(full.problems, [])

    const arabic = await at(t, { lang: 'ar' }, '/')
    t.equal(await arabic.page.getAttribute('html', 'dir'), 'rtl')
    await arabic.page.getByText('من هنا كانت البداية.').waitFor()
    const [row, time] = [await box(arabic, '#comments li >> nth=0'), await box(arabic, '#comments time >> nth=0')]
    t.ok(time.x < row.x + row.width / 2, 'the other way round')

    const nonsense = await at(t, { title: '', theme: 'pink', accent: 'red;background:url(https://evil.example)', readonly: 'false', lang: '../../x' })
    t.equal(await nonsense.page.locator('h1').textContent(), 'few')
    t.equal(await style(nonsense, 'body', 'color'), 'rgb(21, 23, 28)')
    t.equal(await nonsense.page.getAttribute('html', 'style'), null)
    t.equal(await nonsense.page.locator('#form').isVisible(), true)
    t.match(await nonsense.page.getAttribute('html', 'lang'), /^en/)
    t.same(nonsense.problems, [])
  })

  await t.test('docs/examples/embed.html shows what an address can ask for, and writes it', async t => {
    const site = createServer((_, response) => response.setHeader('content-type', 'text/html').end(readFileSync(join(projectRoot, 'docs', 'examples', 'embed.html'))))
    t.after(() => site.close())
    await once(site.listen(0, '127.0.0.1'), 'listening')
    const { page } = await open(t, 'few')
    await page.goto(`http://localhost:${(site.address() as AddressInfo).port}/`)
    await page.fill('#gateway', cluster.url)
    await page.fill('#video', 'few')
    await page.fill('#title', 'Cup & "final"')
    await page.selectOption('#theme', 'dark')
    await page.selectOption('#lang', 'fr')
    await page.check('#readonly')
    const frame = page.frameLocator('iframe')
    await frame.locator('body.embed[data-state=live]').waitFor()
    await frame.locator('html.readonly[lang=fr]').waitFor()
    t.equal(await frame.locator('h1').textContent(), 'Cup & "final"')
    const code = (await page.locator('pre').textContent())!
    await page.setContent(code)
    await page.frameLocator('iframe').locator('html.readonly[lang=fr]').waitFor()
  })

  await t.test('names and initials can be read in every colour, in both themes', async t => {
    await cluster.say('colours', 'hello')
    const viewer = await open(t, 'colours')
    await viewer.page.getByText('hello').waitFor()
    const worst = await viewer.page.evaluate<Record<string, number>>(`(() => {
      const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true })
      const luminance = color => {
        context.fillStyle = color
        context.fillRect(0, 0, 1, 1)
        const [red, green, blue] = Array.from(context.getImageData(0, 0, 1, 1).data, part => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4))
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05
      }
      const contrast = (one, other) => Math.max(luminance(one), luminance(other)) / Math.min(luminance(one), luminance(other))
      const row = document.querySelector('#comments li')
      const initial = getComputedStyle(row, '::before')
      const worst = {}
      for (const theme of ['light', 'dark']) for (const mine of ['', 'mine']) for (let hue = 0; hue < 360; hue += 5) {
        document.documentElement.style.colorScheme = theme
        row.className = mine
        row.style.setProperty('--hue', hue)
        const ground = getComputedStyle(row).backgroundColor
        const found = Object.entries({ name: contrast(getComputedStyle(row.querySelector('b')).color, ground), time: contrast(getComputedStyle(row.querySelector('time')).color, ground), initial: contrast(initial.color, initial.backgroundColor) })
        for (const [part, value] of found) worst[theme + ' ' + mine + ' ' + part] = Math.min(value, worst[theme + ' ' + mine + ' ' + part] ?? Infinity)
      }
      return worst
    })()`)
    for (const [part, value] of Object.entries(worst)) t.ok(value >= 4.5, `${part}: ${value.toFixed(2)}`)
  })

  await t.test('with six connections in use, the page says why nothing is sent', async t => {
    const viewer = await open(t, 'six', { clock: true })
    const { page } = viewer
    const others = (count: number) => page.evaluate(`(async () => {
      globalThis.others ??= []
      for (let i = 0; i < ${count}; i++) {
        const source = new EventSource('/comments/other' + i)
        others.push(source)
        await new Promise(resolve => (source.onopen = resolve))
      }
    })()`)
    await others(5)
    await viewer.post('ann', 'does not leave')
    await until(async () => {
      await page.clock.runFor(1_000)
      return page.getByText('No answer yet. A browser keeps six connections').isVisible()
    })
    await until(async () => {
      await page.clock.runFor(1_000)
      return page.getByText('Not sent yet: your browser may have no connection left').isVisible()
    })
    await page.evaluate('others.pop().close()')
    await until(async () => {
      await page.clock.runFor(1_000)
      return (await viewer.contents()).includes('does not leave')
    })
    await page.getByText('No answer yet').waitFor({ state: 'hidden' })
    t.equal((await cluster.history('six')).filter(({ content }) => content === 'does not leave').length, 1)

    await viewer.hide(true)
    await others(2)
    await viewer.hide(false)
    await until(async () => {
      await page.clock.runFor(1_000)
      return page.getByText('No connection yet. A browser keeps six to a site').isVisible()
    })
    await page.evaluate('others.pop().close()')
    await viewer.state('live')
  })
})
