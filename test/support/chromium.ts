import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chromium, type Browser, type LaunchOptions } from 'playwright-core'
import type { Test } from 'tap'

const COMMANDS = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', '/snap/bin/chromium']
const MAC_APPS = ['/Applications/Google Chrome.app/Contents/MacOS/Google Chrome', '/Applications/Chromium.app/Contents/MacOS/Chromium']

/** A real browser without a window; closed when `t` ends.
 * @throws Error naming setup.sh when there is none on this machine */
export async function startBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch(launchOptions())
  t.after(() => browser.close())
  return browser
}

export function launchOptions(): LaunchOptions {
  return {
    executablePath: findChromium(),
    // Its sandbox does not work for root, as whom containers run.
    args: process.getuid?.() === 0 ? ['--no-sandbox'] : [],
  }
}

function findChromium(): string {
  const { CHROMIUM_PATH } = process.env
  if (CHROMIUM_PATH) return CHROMIUM_PATH
  for (const command of COMMANDS) {
    const found = spawnSync('sh', ['-c', `command -v ${command}`], { encoding: 'utf8' }).stdout.trim()
    if (found) return found
  }
  const app = [...MAC_APPS, chromium.executablePath()].find(path => existsSync(path))
  if (!app) throw new Error('no Chromium or Chrome on this machine: run ./setup.sh, or set CHROMIUM_PATH')
  return app
}
