import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { projectRoot } from '../../runtime/root.js'
import { runGateway } from '../support/gateway.js'
import { startOneProcess } from '../support/one-process.js'
import { until } from '../support/until.js'
import { startPages } from '../support/viewer-page.js'

t.test('what is served: one page, kept for good by the hash of what it holds', async t => {
  const { url } = runGateway(t)
  const html = await (await fetch(url)).text()
  const links = [...html.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, link]) => link!)
  const folder = join(projectRoot, 'gateway', 'page')
  const built = join(projectRoot, 'dist', 'gateway', 'page')
  t.match(html, /<meta name="viewport" content="[^"]*interactive-widget=resizes-content/, 'a keyboard on the screen covers no field')
  const languages = readdirSync(folder).filter(name => name.startsWith('words-'))
  t.same(new Set(links.map(link => link.split('/').at(-1))), new Set(['icon.svg', 'look.js', 'page.js', 'style.css']), 'the page names all that it loads, so that nothing is waited for twice; a language is read by those who speak it, the menu by moderators')

  await t.test('all of it is under 50 KB, and 20 KB as it is sent; a language is 4 and 2', async t => {
    const size = async (link: string) => {
      const [whole, sent] = await Promise.all(['identity', 'gzip'].map(encoding => fetch(url + link, { headers: { 'accept-encoding': encoding } })))
      t.same([whole, sent].map(response => response!.headers.get('content-encoding')), [null, 'gzip'], link)
      t.equal(sent!.headers.get('vary'), 'Accept-Encoding')
      const bytes = Buffer.from(await whole!.arrayBuffer())
      t.ok(bytes.equals(Buffer.from(await sent!.arrayBuffer())), 'the same, however it is sent')
      const name = link.split('/').at(-1)!
      t.ok(bytes.equals(readFileSync(join(name === 'page.js' ? built : folder, name))))
      return { bytes: bytes.length, sent: Number(sent!.headers.get('content-length')) }
    }
    const sizes = await Promise.all([...new Set(links)].map(size))
    const sum = (of: 'bytes' | 'sent') => sizes.reduce((sum, size) => sum + size[of], html.length)
    t.ok(sum('bytes') < 50_000, `${sum('bytes')} bytes with the preloading lines`)
    t.ok(sum('sent') < 20_000 + html.length, `${sum('sent')} bytes as they are sent`)
    for (const name of languages) {
      const { bytes, sent } = await size(links[0]!.replace(/[^/]+$/, name))
      t.ok(bytes < 4_000 && sent < 2_000, `${name}: ${bytes}, ${sent} as it is sent`)
    }
  })

  await t.test('assets are immutable under their hash, and never under another', async t => {
    for (const link of new Set(links)) {
      const response = await fetch(url + link)
      t.equal(response.status, 200, link)
      t.equal(response.headers.get('cache-control'), 'public, max-age=31536000, immutable')
      t.equal(response.headers.get('x-content-type-options'), 'nosniff')
      t.match(response.headers.get('content-type'), link.endsWith('.js') ? /^text\/javascript/ : link.endsWith('.css') ? /^text\/css/ : /^image\/svg/)
      const other = await fetch(url + link.replace(/^\/page\/[^/]+/, '/page/older-version'))
      t.same([other.status, other.headers.get('cache-control')], [200, 'no-store'], 'from a gateway of another version')
    }
    t.equal((await fetch(`${url}/page/x/server.ts`)).status, 404)
    t.equal((await fetch(`${url}/page/x/..%2Findex.html`)).status, 404)
  })

  await t.test('the page is asked for anew each time, and its policy allows nothing unsafe', async t => {
    for (const path of ['/', '/embed', '/replay']) {
      const response = await fetch(url + path)
      t.equal(response.headers.get('cache-control'), 'no-cache')
      const policy = response.headers.get('content-security-policy') ?? ''
      t.match(policy, /^default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; /)
      t.match(policy, "require-trusted-types-for 'script'; trusted-types 'none'")
      t.notMatch(policy, /unsafe|data:|https?:/)
      t.match(policy, path === '/' ? "frame-ancestors 'self'" : 'frame-ancestors *')
      const again = await fetch(url + path, { headers: { 'if-none-match': response.headers.get('etag')! } })
      t.same([again.status, await again.text()], [304, ''])
    }
    const few = runGateway(t, { allowedOrigins: new Set(['https://good.example']) })
    t.match((await fetch(`${few.url}/embed`)).headers.get('content-security-policy'), "frame-ancestors 'self' https://good.example;")
  })
})

t.test('people on the page', async t => {
  const cluster = startOneProcess(t)
  const open = await startPages(t, cluster)

  await t.test('two people post and see each other', async t => {
    const [ann, bob] = [await open(t, 'chat'), await open(t, 'chat')]
    await ann.page.getByText('No comments yet').waitFor()
    await ann.post('ann', 'hello from ann')
    await bob.page.getByText('hello from ann').waitFor()
    await bob.post('bob', 'hello from bob')
    await ann.page.getByText('hello from bob').waitFor()
    for (const viewer of [ann, bob]) {
      await until(async () => (await viewer.page.locator('#unsent li').count()) === 0)
      t.same(await viewer.contents(), ['hello from ann', 'hello from bob'])
      t.same(await viewer.page.locator('#comments li b').allTextContents(), ['ann', 'bob'])
      await viewer.page.getByText('2 watching').waitFor()
      await viewer.page.getByText(/\d comments\/s/).waitFor()
      t.equal(await viewer.page.inputValue('#content'), '')
      t.same(viewer.problems, [], 'nothing went wrong in the page')
    }
  })

  await t.test('a page in a frame of another site', async t => {
    const site = createServer((_, response) => response.setHeader('content-type', 'text/html').end(`<iframe src="${cluster.url}/embed?video=chat"></iframe>`))
    t.after(() => site.close())
    await once(site.listen(0, '127.0.0.1'), 'listening')
    const { page } = await open(t, 'chat')
    await page.goto(`http://localhost:${(site.address() as AddressInfo).port}/`)
    const frame = page.frameLocator('iframe')
    await frame.getByText('hello from ann').waitFor()
    t.equal(await frame.locator('body.embed').count(), 1)
  })

  await t.test('text is never markup', async t => {
    const viewer = await open(t, 'markup')
    const nasty = '<img src=x onerror="document.title=1"><script>document.title=2</script><b>bold</b> &amp;'
    await cluster.post('markup', { content: nasty, authorId: '<i>eve</i>' })
    await viewer.page.locator('#comments li').waitFor()
    await viewer.post('<u>mallory</u>', nasty)
    await until(async () => (await viewer.contents()).length === 2)
    t.same(await viewer.contents(), [nasty, nasty])
    t.same(await viewer.page.locator('#comments li b').allTextContents(), ['<i>eve</i>', '<u>mallory</u>'])
    t.equal(await viewer.page.locator('#scroll :is(img, script, i, u, b b)').count(), 0)
    t.equal(await viewer.page.title(), 'markup · Live comments')
    t.same(viewer.problems, [])
  })

  await t.test('a comment that is too long stays in the box, with the reason', async t => {
    const { page } = await open(t, 'refused')
    await page.fill('#content', 'x'.repeat(1_003))
    await page.click('#send')
    await page.getByText('at most 1000 characters: this is 3 too many').waitFor()
    t.equal((await page.inputValue('#content')).length, 1_003)
    await page.fill('#content', '😀'.repeat(1_000))
    await page.click('#send')
    await page.locator('#comments li').waitFor()
    t.same(await page.locator('#comments li p').allTextContents(), ['😀'.repeat(1_000)], 'counted as the server counts')
  })

  await t.test('what the server refuses is shown as not sent, with the reason, until it is discarded', async t => {
    const viewer = await open(t, 'control')
    await viewer.page.evaluate("document.getElementById('content').value = 'a\\u0007b'; document.getElementById('form').requestSubmit()")
    const refused = viewer.page.locator('#unsent li.refused')
    await refused.getByText('Not sent: content must not hold control characters').waitFor()
    const grounds = await viewer.page.evaluate<string[]>("['li', 'li > button'].map(each => getComputedStyle(document.querySelector(`#unsent ${each}`)).backgroundColor)")
    t.not(grounds[1], grounds[0], 'its button is seen to be one')
    await viewer.post('ann', 'what comes after it is sent')
    await viewer.page.locator('#comments').getByText('what comes after').waitFor()
    await refused.getByRole('button', { name: 'Discard' }).click()
    t.equal(await refused.count(), 0)
  })

  await t.test('a video that cannot be says so', async t => {
    const { page } = await open(t, 'chat')
    await page.goto(`${cluster.url}/?video=no%20such%20name`)
    await page.getByText('No video can have this name').waitFor()
    t.equal(await page.locator('#form').isVisible(), false)
  })
})
