import { mkdirSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { projectRoot } from '../../registry/node/root.js'
import { launchOptions } from '../support/chromium.js'
import { Cluster } from '../support/cluster.js'

/** Takes the README's pictures of the page, from a running cluster: `node dist/test/page/pictures.js`. */

const SAYINGS = [
  ['mira', 'Sound is perfect here, thanks for fixing it!'],
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
  { name: 'page-phone-dark', width: 390, height: 780, colorScheme: 'dark' },
] as const

const data = mkdtempSync(join(tmpdir(), 'live-pictures-'))
const folder = join(projectRoot, 'docs')
mkdirSync(folder, { recursive: true })
const cluster = new Cluster(data, [])
let posting: NodeJS.Timeout | undefined
const browser = await chromium.launch(launchOptions())
try {
  await cluster.ready()
  let posted = 0
  posting = setInterval(() => {
    const [authorId, content] = SAYINGS[posted++ % SAYINGS.length]!
    cluster.post('cup-final', { authorId, content }).catch((error: unknown) => process.stderr.write(`${String(error)}\n`))
  }, 50)
  for (const { name, width, height, colorScheme } of PICTURES) {
    const page = await browser.newPage({ viewport: { width, height }, colorScheme })
    await page.goto(`${cluster.url}/?video=cup-final`)
    await page.locator('#comments li').nth(40).waitFor()
    await page.screenshot({ path: join(folder, `${name}.png`) })
  }
} finally {
  clearInterval(posting)
  await browser.close()
  await cluster.stop()
  await rm(data, { recursive: true, force: true })
}
