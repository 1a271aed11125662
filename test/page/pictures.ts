import { mkdirSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { projectRoot } from '../../runtime/root.js'
import { launchOptions } from '../support/chromium.js'
import { Cluster } from '../support/cluster.js'

/** Takes the README's pictures of the page, from a running cluster at 12 comments a second, which a reader can follow: `node dist/test/page/pictures.js`. It needs fonts for Japanese and emoji. */

const SAYINGS = [
  ['mira', 'Line-ups and table: https://example.com/cup'],
  ['Jonas', 'Second half already? I just got on the train 🚆'],
  ['さくら', 'こんにちは、東京から見ています'],
  ['ola_nord', 'GOAL!!!'],
  ['ليلى', 'هدف رائع! يا له من تمرير'],
  ['Tomás', '¿Alguien tiene el marcador?'],
  ['priya', '2:1, four minutes left'],
  ['Zoë', 'That save though 👏👏'],
  ['kwame', 'Watching with the whole street tonight'],
  ['anonymous', 'What a match.'],
] as const

const PICTURES = [
  { name: 'page-wide-light', width: 960, height: 620, colorScheme: 'light' },
  { name: 'page-wide-dark', width: 960, height: 620, colorScheme: 'dark' },
  { name: 'page-phone-light', width: 390, height: 780, colorScheme: 'light' },
  { name: 'page-phone-dark', width: 390, height: 780, colorScheme: 'dark' },
] as const

const VIEWERS = 236
const PER_SECOND = 12

const data = mkdtempSync(join(tmpdir(), 'live-pictures-'))
const folder = join(projectRoot, 'docs')
mkdirSync(folder, { recursive: true })
const cluster = new Cluster(data, [])
const leaving = new AbortController()
let posting: NodeJS.Timeout | undefined
const browser = await chromium.launch(launchOptions())
try {
  await cluster.ready()
  for (let i = 0; i < VIEWERS; i++) void fetch(cluster.stream('cup-final'), { headers: { accept: 'text/event-stream' }, signal: leaving.signal }).then(({ body }) => body?.pipeTo(new WritableStream())).catch(() => {})
  const since = performance.now()
  let posted = 0
  posting = setInterval(() => {
    for (; posted < ((performance.now() - since) * PER_SECOND) / 1_000; posted++) {
      const [authorId, content] = SAYINGS[posted % SAYINGS.length]!
      cluster.post('cup-final', { authorId, content }).catch((error: unknown) => process.stderr.write(`${String(error)}\n`))
    }
  }, 1_000 / PER_SECOND)
  for (const { name, width, height, colorScheme } of PICTURES) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme })
    await page.goto(`${cluster.url}/?video=cup-final&title=Cup final: Norway – Japan`)
    await page.locator('#comments li').nth(100).waitFor()
    await page.getByText(`${PER_SECOND} comments/s`).waitFor()
    await page.getByText(`${VIEWERS + 1} watching`).waitFor()
    await page.screenshot({ path: join(folder, `${name}.png`) })
    await page.close()
  }
} finally {
  clearInterval(posting)
  leaving.abort()
  await browser.close()
  await cluster.stop()
  await rm(data, { recursive: true, force: true })
}
