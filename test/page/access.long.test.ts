import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import t from 'tap'
import type { AxeResults } from 'axe-core'
import { startOneProcess } from '../support/one-process.js'
import { until } from '../support/until.js'
import { LONG_WORD, startPages } from '../support/viewer-page.js'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

const PEOPLE = [
  ['mira', 'A short one'],
  ['ليلى', 'هدف رائع! يا له من تمرير، لم أر مثله منذ سنوات طويلة في هذا الملعب'],
  ['W'.repeat(64), 'Donaudampfschifffahrtsgesellschaft'.repeat(20)],
  ['👩‍👩‍👧‍👦', '🎉'.repeat(400)],
  ['lines', 'one\ntwo\n\n\tthree'],
  ['long', LONG_WORD],
  ['url', `https://example.com/${'a/'.repeat(300)}`],
] as const

t.test('for everybody', async t => {
  const cluster = startOneProcess(t)
  const open = await startPages(t, cluster)
  for (const [authorId, content] of PEOPLE) await cluster.post('all', { authorId, content })

  for (const colorScheme of ['light', 'dark'] as const) {
    await t.test(`axe finds nothing serious, ${colorScheme}`, async t => {
      const viewer = await open(t, 'all', { colorScheme })
      await viewer.page.locator('#comments li').nth(PEOPLE.length - 1).waitFor()
      await viewer.page.context().setOffline(true)
      await viewer.post('ann', 'on its way') // its row and the words for it are looked at too
      await viewer.page.getByText('Not sent yet').waitFor()
      await viewer.page.fill('#content', 'x'.repeat(1_001))
      await viewer.page.keyboard.press('Enter')
      await viewer.page.evaluate("for (const id of ['sign', 'crowded', 'older']) document.getElementById(id).hidden = false")
      await viewer.page.evaluate(AXE)
      const { violations, passes } = await viewer.page.evaluate<AxeResults>('axe.run()')
      t.same(violations.filter(({ impact }) => impact === 'serious' || impact === 'critical').map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), [])
      t.ok(passes.some(({ id }) => id === 'color-contrast'), 'contrast was judged')
    })
  }

  await t.test('nothing sticks out, whatever people write and at whatever size', async t => {
    const viewer = await open(t, 'all', { query: { title: LONG_WORD } })
    const { page } = viewer
    await page.locator('#comments li').nth(PEOPLE.length - 1).waitFor()
    const SIZES = [[320, 480], [390, 844], [1280, 800], [3840, 2160]] as const
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height })
      t.equal(await viewer.overflows(), false, `${width}`)
      const send = (await page.locator('#send').boundingBox())!
      t.ok(send.x + send.width <= width && send.y + send.height <= height && send.height >= 36, 'the button is there to be pressed')
      t.ok((await page.locator('#scroll').boundingBox())!.height > height / 2, 'most of the page is comments')
      const size = await page.evaluate<string>('getComputedStyle(document.body).fontSize')
      t.ok(width < 3840 ? parseFloat(size) >= 16 : parseFloat(size) > 24, `text of ${size}`)
    }

    await page.evaluate("document.querySelectorAll('form, #error, #crowded').forEach(each => (each.hidden = false))")
    const fields = await page.evaluate<string[]>("Array.from(document.querySelectorAll('input, textarea'), ({ id }) => id)")
    t.same(fields, ['token', 'author', 'content'])
    for (const id of fields) await page.evaluate(`document.getElementById('${id}').value = '${LONG_WORD}'`)
    for (const id of ['state', 'error', 'crowded', 'viewers', 'older', 'newest']) await page.evaluate(`document.getElementById('${id}').textContent = '${LONG_WORD.slice(0, 300)}'; document.getElementById('${id}').hidden = false`)
    for (const [width, height] of SIZES) {
      await page.setViewportSize({ width, height })
      for (const state of ['live', 'refused']) {
        await page.evaluate(`document.body.dataset.state = '${state}'`)
        t.equal(await viewer.overflows(), false, `${width}`)
        t.same(await viewer.stickingOut(), [], `whatever stands in ${fields.join(', ')} and is said while ${state}, at ${width}`)
      }
    }
  })

  await t.test('right-to-left words run their own way', async t => {
    const viewer = await open(t, 'all')
    await viewer.page.locator('#comments li').nth(PEOPLE.length - 1).waitFor()
    const directions = await viewer.page.evaluate("Array.from(document.querySelectorAll('#comments li p'), p => (p.matches(':dir(rtl)') ? 'rtl' : 'ltr'))")
    t.same(directions, ['ltr', 'rtl', 'ltr', 'ltr', 'ltr', 'ltr', 'ltr'])
    const isolation = await viewer.page.evaluate<string[]>("Array.from(document.querySelectorAll('#comments :is(b, p, a)'), each => getComputedStyle(each).unicodeBidi)")
    t.same(new Set(isolation), new Set(['isolate']), 'and turn nothing that stands beside them')
  })

  await t.test('a name of before there was a rule turns nothing that stands behind it', async t => {
    const viewer = await open(t, 'all')
    const name = viewer.page.locator('#comments li b').first()
    await name.waitFor()
    for (const turned of ['ann', 'ann\u202e', '\u202e\u2067ann', 'ann\u2069\u202c\u202e', '\u202eann\u2066\u202b']) {
      await name.evaluate('(node, text) => void (node.textContent = text)', turned)
      const lefts = await viewer.page.evaluate<number[]>(`(() => {
        const { firstChild: text } = document.querySelector('#comments li time')
        const range = document.createRange()
        return Array.from(text.data, (_, i) => (range.setStart(text, i), range.setEnd(text, i + 1), range.getBoundingClientRect().left))
      })()`)
      t.same(lefts, [...lefts].sort((a, b) => a - b), JSON.stringify(turned))
    }
  })

  await t.test('with the keyboard alone: read back, return, write', async t => {
    for (let i = 0; i < 120; i++) await cluster.say('keys', `number ${i}`)
    const viewer = await open(t, 'keys')
    const { page } = viewer
    const focused = () => page.evaluate<string>('document.activeElement.id')
    const tabTo = (id: string) => until(async () => {
      await page.keyboard.press('Tab')
      return (await focused()) === id
    })
    await tabTo('scroll')
    await until(async () => {
      await page.keyboard.press('Home')
      return page.getByText('This is where it began').isVisible()
    })
    t.equal((await viewer.ids()).length, 120)
    await cluster.say('keys', 'a new one')
    await page.getByRole('button', { name: '1 new' }).waitFor()
    await tabTo('newest')
    await page.keyboard.press('Enter')
    await page.locator('#newest').waitFor({ state: 'hidden' })
    t.equal(await focused(), 'scroll', 'focus is not lost with the button')
    await page.keyboard.press('PageUp')
    await page.locator('#newest').waitFor()
    await page.keyboard.press('End')
    await page.locator('#newest').waitFor({ state: 'hidden' })
    await tabTo('author')
    await page.keyboard.type('ann')
    await page.keyboard.press('Tab')
    await page.keyboard.type('first line')
    await page.keyboard.press('Shift+Enter')
    await page.keyboard.type('second line')
    await page.keyboard.press('Enter')
    await until(async () => (await viewer.contents()).at(-1) === 'first line\nsecond line')
    t.equal(await focused(), 'content', 'ready for the next')
  })

  await t.test('a screen reader hears single comments, and of many how many', async t => {
    const viewer = await open(t, 'read', { clock: true })
    const said = viewer.page.locator('#said')
    t.equal(await said.getAttribute('aria-live'), 'polite')
    await cluster.post('read', { authorId: 'bob', content: 'hello' })
    await until(async () => {
      await viewer.page.clock.runFor(200)
      return (await said.textContent()) === 'bob: hello'
    })
    for (let i = 1; i <= 30; i++) await cluster.post('read', { authorId: 'bob', content: `more ${i}` })
    await until(async () => {
      await viewer.page.clock.runFor(50)
      return (await viewer.ids()).length === 31
    })
    t.equal(await said.textContent(), 'bob: hello', 'it is let speak')
    await viewer.page.clock.runFor(10_000)
    t.equal(await said.textContent(), '30 new comments. The last: bob: more 30')
  })
})
