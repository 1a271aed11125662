import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { startOneProcess } from '../support/one-process.js'
import { until } from '../support/until.js'
import { startPages } from '../support/viewer-page.js'

const PER_SECOND = 100
const SECONDS = 10

/** Notes every comment that ever gets a row, what is measured of the main thread, and the most rows there were. */
const RECORDER = `
  const seen = (globalThis.seen = []), tasks = (globalThis.tasks = [])
  const bursts = (globalThis.bursts = [])
  globalThis.misplaced = 0
  globalThis.mostRows = 0
  globalThis.said = 0
  const list = document.getElementById('comments')
  for (const row of list.children) seen.push(row.dataset.id)
  new MutationObserver(changes => {
    const added = changes.flatMap(({ addedNodes }) => [...addedNodes]).flatMap(row => row.dataset?.id ?? [])
    seen.push(...added)
    if (added.length >= 200) bursts.push(added[0])
    const ids = Array.from(list.children, row => Number(row.dataset.id))
    if (ids.some((id, at) => at > 0 && id <= ids[at - 1])) globalThis.misplaced++
    globalThis.mostRows = Math.max(globalThis.mostRows, ids.length)
  }).observe(list, { childList: true })
  new MutationObserver(() => globalThis.said++).observe(document.getElementById('said'), { childList: true })
  new PerformanceObserver(entries => { for (const { duration } of entries.getEntries()) tasks.push(duration) }).observe({ type: 'longtask' })
`

/** How long the main thread takes to answer, again and again. */
const LAGS = `
  const lags = (globalThis.lags = [])
  const channel = new MessageChannel()
  let sent = 0
  channel.port1.onmessage = () => {
    lags.push(performance.now() - sent)
    setTimeout(() => { sent = performance.now(); channel.port2.postMessage(0) }, 5)
  }
  sent = performance.now()
  channel.port2.postMessage(0)
`

interface Recorded {
  readonly seen: string[]
  /** The first of each 200 rows or more that came in one go: what stood before them in it never gets a row. */
  readonly bursts: string[]
  readonly tasks: number[]
  readonly misplaced: number
  readonly mostRows: number
  readonly said: number
}

t.test('100 comments a second for 10 s: none missing, doubled or misplaced', async t => {
  const cluster = startOneProcess(t)
  const open = await startPages(t, cluster)
  const viewer = await open(t, 'busy', { query: { maxRate: 'all' }, viewport: { width: 1280, height: 800 } })
  await viewer.page.evaluate(RECORDER)
  await viewer.page.evaluate(LAGS)
  // Beside it, a page to which nothing is said: how fast a page can be depends on what else this machine does.
  const { page: idle } = await open(t, 'idle')
  await idle.evaluate(LAGS)
  const lag95 = async (page: typeof idle) => {
    const lags = (await page.evaluate<number[]>('lags')).sort((a, b) => a - b)
    return lags[Math.floor(lags.length * 0.95)]!
  }

  const posts: Promise<unknown>[] = []
  const since = performance.now()
  while (posts.length < PER_SECOND * SECONDS) {
    const due = Math.min(PER_SECOND * SECONDS, Math.floor(((performance.now() - since) * PER_SECOND) / 1000))
    while (posts.length < due) posts.push(cluster.post('busy', { authorId: `author ${posts.length % 37}`, content: `comment ${posts.length} of many, as long as people write them 🎉` }))
    await sleep(5)
  }
  const statuses = new Set((await Promise.all(posts as Promise<Response>[])).map(({ status }) => status))
  t.same([...statuses], [201])
  const rate = await viewer.page.locator('#rate').textContent()
  t.match(rate, /^[1-9]\d+ comments\/s$/, `it tells the rate: ${rate}`)

  const stored = (await cluster.history('busy')).map(({ id }) => id)
  t.equal(stored.length, PER_SECOND * SECONDS)
  await until(async () => (await viewer.ids()).at(-1) === stored.at(-1))
  const { seen, bursts, tasks, misplaced, mostRows, said } = await viewer.page.evaluate<Recorded>('({ seen, bursts, tasks, misplaced, mostRows, said })')
  const got = new Set(seen)
  // On a machine that stood still more than the 200 that the page keeps can come in one go.
  t.same(seen, stored.filter(id => got.has(id)), 'each comment got a row once at most, in the order of the ids')
  const skippedBefore = stored.filter((id, at) => got.has(id) && at > 0 && !got.has(stored[at - 1]!))
  t.same(skippedBefore, bursts.filter(id => skippedBefore.includes(id)), 'and none was passed over but what could not have stayed')
  t.equal(misplaced, 0)
  t.ok(mostRows <= 210, `${mostRows} rows at most`)
  t.equal(await viewer.page.evaluate('(({ scrollTop, scrollHeight, clientHeight }) => scrollHeight - scrollTop - clientHeight < 2)(document.getElementById("scroll"))'), true, 'it follows the newest')

  const [busy, least] = [await lag95(viewer.page), await lag95(idle)]
  t.comment(`the main thread answers within ${busy.toFixed(1)} ms at the 95th percentile, one without comments within ${least.toFixed(1)}; ${tasks.length} tasks took over 50 ms`)
  t.ok(busy < 50 + 3 * least, `${busy} ms, and ${least} where nothing is said`)
  t.ok(said >= 1 && said <= 3, `a screen reader was told ${said} times`)
  t.same(viewer.problems, [])
})

t.test('comments that outrun a reader are thinned, the page says of how many, and its button shows all again', async t => {
  const cluster = startOneProcess(t)
  const open = await startPages(t, cluster)
  const viewer = await open(t, 'fast')
  const { page } = viewer
  const notice = page.locator('#fewer')
  t.notOk(await notice.isVisible())
  let posting = true
  let posted = 0
  const posts = (async () => {
    while (posting) {
      await cluster.post('fast', { authorId: 'ann', content: `comment ${posted++}` })
      await sleep(15)
    }
  })()
  t.after(() => (posting = false))
  await notice.waitFor()
  await until(async () => /^Showing 10 a second of \d\d\.$/.test((await page.locator('#few').textContent()) ?? ''))
  const began = performance.now()
  const newest = Number((await viewer.ids()).at(-1))
  await until(async () => (await viewer.ids()).filter(id => Number(id) > newest).length >= 15, { what: '15 more' })
  const seconds = (performance.now() - began) / 1_000
  t.ok(seconds > 0.4, `15 comments took ${seconds} s, at 10 a second`)
  await page.locator('#all').click()
  await notice.waitFor({ state: 'hidden' })
  await until(async () => {
    const ids = await viewer.ids()
    const stored = (await cluster.history('fast')).map(({ id }) => id)
    const at = stored.indexOf(ids.at(-30)!)
    return at >= 0 && ids.slice(-30).every((id, i) => id === stored[at + i])
  }, { what: 'the newest 30 without a hole' })
  await sleep(1_500)
  t.notOk(await notice.isVisible(), 'it stays so')
  posting = false
  await posts
  t.same(viewer.problems, [])
})
