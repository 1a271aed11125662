import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { startBrowser } from '../support/chromium.js'
import { startOneProcess } from '../support/one-process.js'
import { until } from '../support/until.js'
import { LONG_WORD, stickingOut, WIDTHS } from '../support/viewer-page.js'

const SECONDS = 60

/** A minute of silence, which every browser can play and seek in: WAV, 8 bits, 8 kHz. */
function silence(): Buffer {
  const rate = 8_000
  const header = Buffer.alloc(44)
  header.write('RIFF', 0)
  header.writeUInt32LE(36 + rate * SECONDS, 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20)
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(rate, 24)
  header.writeUInt32LE(rate, 28)
  header.writeUInt16LE(1, 32)
  header.writeUInt16LE(8, 34)
  header.write('data', 36)
  header.writeUInt32LE(rate * SECONDS, 40)
  return Buffer.concat([header, Buffer.alloc(rate * SECONDS, 128)])
}

/** Serves it from another origin, in the ranges that a browser asks for. */
async function serveMedia(t: Test): Promise<string> {
  const bytes = silence()
  const server = createServer(({ headers }, response) => {
    const [, from = '0', to = ''] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
    const end = Math.min(to === '' ? Infinity : Number(to), bytes.length - 1)
    response.writeHead(headers.range ? 206 : 200, { 'content-type': 'audio/wav', 'accept-ranges': 'bytes', ...(headers.range && { 'content-range': `bytes ${from}-${end}/${bytes.length}` }) })
    response.end(bytes.subarray(Number(from), end + 1))
  })
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/silence.wav`
}

t.test('a recorded video plays its comments in step: played, paused, sped up, sought', async t => {
  const cluster = startOneProcess(t)
  const media = await serveMedia(t)
  const posted: number[] = []
  for (let i = 0; i < 12; i++) {
    posted.push((await cluster.say('match', `comment ${i}`)).createdAt)
    await sleep(100)
  }
  const browser = await startBrowser(t)
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } })
  t.after(() => context.close())
  const page = await context.newPage()
  const problems: string[] = []
  page.on('pageerror', error => problems.push(error.message))
  page.on('console', message => message.type() === 'error' && problems.push(message.text()))
  // The recording began a second before the first comment.
  const start = posted[0]! - 1_000
  await page.goto(`${cluster.url}/replay?${new URLSearchParams({ video: 'match', start: String(start), media, title: 'Cup final' }).toString()}`)
  const contents = () => page.locator('#comments li p').allTextContents()
  const untilThereAre = (count: number) => until(async () => (await contents()).length === count, { what: `${count} comments` })
  const video = (script: string) => page.evaluate(`(() => { const media = document.getElementById('media'); media.muted = true; ${script} })()`)
  await until(async () => (await page.evaluate<number>("document.getElementById('media').readyState")) >= 3)
  t.same(await contents(), [], 'before the first')

  await video('media.play()')
  await until(async () => (await contents()).length > 0, { what: 'the first comments' })
  await video('media.pause()')
  const seen = (await contents()).length
  const position = await page.evaluate<number>("document.getElementById('media').currentTime")
  t.ok(position >= 0.95, `${position} s`)
  await sleep(300)
  t.equal((await contents()).length, seen, 'paused')

  await video('media.currentTime = 30')
  await untilThereAre(12)
  await video('media.currentTime = 0.2')
  await untilThereAre(0)
  await video('media.playbackRate = 4; media.play()')
  await untilThereAre(12)
  t.same(await contents(), posted.map((_, i) => `comment ${i}`), 'in order')
  t.equal(await page.locator('h1').textContent(), 'Cup final')

  // A broadcast whose recording lacks its first two seconds.
  await page.goto(`${cluster.url}/replay?${new URLSearchParams({ video: 'match', start: String(start), offset: '60000', media }).toString()}`)
  await video('media.currentTime = 30')
  await sleep(300)
  t.same(await contents(), [], 'a minute later')

  await cluster.post('match', { authorId: 'W'.repeat(64), content: LONG_WORD })
  await page.goto(`${cluster.url}/replay?${new URLSearchParams({ video: 'match', start: String(start), media, title: LONG_WORD }).toString()}`)
  await video('media.currentTime = 59')
  await page.getByText('WWWW').last().waitFor()
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: 640 })
    t.same(await stickingOut(page), [], `${width}`)
  }

  await page.goto(`${cluster.url}/replay?video=match`)
  await page.getByText('The address must say when the recording begins').waitFor()
  t.same(problems, [])
})
