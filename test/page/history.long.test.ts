import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startOneProcess } from '../support/one-process.js'
import { Poster } from '../support/poster.js'
import { until } from '../support/until.js'
import { startPages } from '../support/viewer-page.js'

const MOST_ROWS = 400

/** What is read twice alike: a scroll has come to its end. */
async function atRest<T>(read: () => Promise<T>): Promise<T> {
  let last = JSON.stringify(await read())
  return until(async () => {
    await sleep(100)
    const value = await read()
    const same = JSON.stringify(value) === last
    last = JSON.stringify(value)
    return same && value
  }) as Promise<T>
}

t.test('reading back', async t => {
  const cluster = startOneProcess(t)
  const open = await startPages(t, cluster)

  /** Posts many in the order of their numbers, roughly. */
  async function fill(video: string, count: number): Promise<void> {
    for (let at = 0; at < count; at += 50) {
      await Promise.all(Array.from({ length: Math.min(50, count - at) }, (_, i) => cluster.say(video, `number ${at + i}`)))
    }
  }

  await t.test('through 600 comments while new ones come, to the first and back to the newest', async t => {
    await fill('long', 600) // more than there may be rows
    const old = (await cluster.history('long')).map(({ id }) => id)
    const viewer = await open(t, 'long', { query: { maxRate: 'all' } })
    const { page } = viewer
    t.same(await viewer.ids(), old.slice(-50), 'a newcomer has the newest 50')

    const poster = new Poster(cluster, 'long', 30)
    await page.hover('#scroll')
    await page.mouse.wheel(0, -300)
    await page.getByRole('button', { name: /\d new/ }).waitFor()
    const shownTo = Number((await viewer.ids()).at(-1))
    // What the reader looks at stays where it is, whatever comes.
    const row = page.locator('#comments li').nth((await viewer.ids()).length - 8)
    const place = await atRest(() => row.boundingBox())
    const posted = poster.acknowledged.length
    await until(() => poster.acknowledged.length > posted + 20)
    t.same(await row.boundingBox(), place)

    const seen = new Set<string>()
    let most = 0
    const look = async () => {
      const ids = await viewer.ids()
      most = Math.max(most, ids.length)
      t.same(ids, [...ids].sort((a, b) => Number(a) - Number(b)), 'ascending')
      for (const id of ids) seen.add(id)
      return ids
    }
    await until(async () => {
      await page.mouse.wheel(0, -1_500)
      await look()
      return page.getByText('This is where it began').isVisible()
    }, { timeoutMs: 100_000 })
    t.equal((await look())[0], old[0])
    t.same(old.flatMap((id, at) => (seen.has(id) ? [] : [at])), [], 'every comment was there to read')
    await poster.stop()
    t.match(await page.locator('#newest').textContent(), `${poster.acknowledged.filter(id => Number(id) > shownTo).length} new`)

    // Down again by hand: the window comes back through the history to what was held aside.
    seen.clear()
    await until(async () => {
      await page.mouse.wheel(0, 1_500)
      await look()
      return page.locator('#newest').isHidden()
    }, { timeoutMs: 100_000 })
    await look()
    t.same([...old, ...poster.acknowledged].filter(id => !seen.has(id)), [])
    t.ok(most <= MOST_ROWS, `${most} rows at most`)
    t.same(viewer.problems, [])
  })

  await t.test('one press brings the reader back, however far away', async t => {
    const viewer = await open(t, 'long')
    await viewer.page.hover('#scroll')
    await until(async () => {
      await viewer.page.mouse.wheel(0, -1_500)
      return (await viewer.ids()).length === MOST_ROWS
    })
    const posts = []
    for (let i = 0; i < 3; i++) posts.push(await cluster.say('long', `late ${i}`))
    await viewer.page.getByRole('button', { name: '3 new' }).click()
    await viewer.page.getByText('late 2').waitFor()
    t.same((await viewer.ids()).slice(-3), posts.map(({ id }) => id))
    t.same(await viewer.ids(), (await cluster.history('long')).map(({ id }) => id).slice(-(await viewer.ids()).length), 'no hole')
  })

  await t.test('too much missed for the stream becomes a line that loads it', async t => {
    const viewer = await open(t, 'gap')
    await cluster.say('gap', 'before')
    await viewer.page.locator('#comments').getByText('before').waitFor()
    await viewer.hide(true)
    await viewer.state('hidden')
    await fill('gap', 1_120)
    await viewer.hide(false)
    await viewer.state('live')
    // Following shows the newest alone: reading back is how the rest is reached.
    const all = (await cluster.history('gap')).map(({ id }) => id)
    await until(async () => (await viewer.ids()).at(-1) === all.at(-1))
    t.same(await viewer.ids(), all.slice(-200))
    const line = viewer.page.getByRole('button', { name: 'Load what was missed' })
    await line.press('Enter')
    await until(async () => (await viewer.ids()).length >= 300)
    const ids = await viewer.ids()
    t.same(ids, all.slice(all.indexOf(ids[0]!)).slice(0, ids.length), 'what was missed stands before the rest, without a hole')
    await viewer.page.hover('#scroll')
    await until(async () => {
      await viewer.page.mouse.wheel(0, -1_500)
      return viewer.page.locator('#comments').getByText('before').isVisible()
    })
    t.equal(await line.isVisible(), false)
  })

  await t.test('a gap in what is shown says so, and one press at a time loads what was missed', async t => {
    await fill('hole', 160)
    const all = (await cluster.history('hole')).map(({ id }) => id)
    const [from, to] = [all[4]!, all[149]!]
    // The stream of a server that sent the first five, then a gap, then the rest.
    const events = (await cluster.history('hole')).filter((_, at) => at < 5 || at >= 150).map(comment => `id: ${comment.id}\ndata: ${JSON.stringify(comment)}\n\n`)
    events.splice(5, 0, `event: gap\nid: ${to}\ndata: ${JSON.stringify({ from, to })}\n\n`)
    const viewer = await open(t, 'other')
    const { page } = viewer
    await page.route('**/comments/hole?recent=*', route => route.fulfill({ contentType: 'text/event-stream', body: `retry: 60000\n\n${events.join('')}event: ready\nid: ${all.at(-1)}\ndata: {"videoId":"hole","viewers":1}\n\n` }))
    await page.goto(`${cluster.url}/?video=hole`)
    await page.locator('.gap button').waitFor()
    t.same(await viewer.ids(), [...all.slice(0, 5), ...all.slice(150)])
    await page.getByRole('button', { name: 'Load what was missed here' }).click()
    await until(async () => (await viewer.ids()).length === 115)
    t.same(await viewer.ids(), [...all.slice(0, 105), ...all.slice(150)])
    await page.getByRole('button', { name: 'Load more of what was missed' }).click()
    await until(async () => (await viewer.ids()).length === 160)
    t.same(await viewer.ids(), all)
    t.equal(await page.locator('.gap').count(), 0)
  })
})
