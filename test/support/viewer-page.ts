import type { Browser, BrowserContextOptions, Page } from 'playwright-core'
import type { Test } from 'tap'
import type { Api } from './api.js'
import { startBrowser } from './chromium.js'

export interface OpenOptions extends BrowserContextOptions {
  /** Where the page is served, the cluster's own address by default. */
  readonly url?: string
  /** `/` by default. */
  readonly path?: '/' | '/embed'
  /** What the address asks for besides the video. */
  readonly query?: Readonly<Record<string, string>>
  /** Time in the page is the test's: `page.clock`. */
  readonly clock?: boolean
}

/** The viewer page of one video in a browser context of its own, as a person and as a test see it. */
export class ViewerPage {
  /** Exceptions and errors on the console, a broken Content-Security-Policy among them. */
  readonly problems: string[] = []

  constructor(readonly page: Page) {
    page.on('pageerror', error => this.problems.push(error.message))
    page.on('console', message => message.type() === 'error' && this.problems.push(message.text()))
  }

  /** The comments that have a row now. */
  ids(): Promise<string[]> {
    return this.page.evaluate<string[]>("Array.from(document.querySelectorAll('#comments li[data-id]'), row => row.dataset.id)")
  }

  contents(): Promise<string[]> {
    return this.page.locator('#comments li p').allTextContents()
  }

  /** Waits until the connection is told to be so. */
  async state(name: string, timeout = 30_000): Promise<void> {
    await this.page.locator(`body[data-state=${name}]`).waitFor({ timeout })
  }

  async post(name: string, text: string): Promise<void> {
    await this.page.fill('#author', name)
    await this.page.fill('#content', text)
    await this.page.click('#send')
  }

  /** The tab is put behind another, or before it. Headless tabs are always in front, so the page is told. */
  async hide(hidden: boolean): Promise<void> {
    await this.page.evaluate(`Object.defineProperty(document, 'hidden', { configurable: true, value: ${hidden} }); document.dispatchEvent(new Event('visibilitychange'))`)
  }

  /** Whether anything is wider than the place it has, so that it is cut off or must be scrolled to sideways. */
  overflows(): Promise<boolean> {
    return this.page.evaluate('Array.from(document.querySelectorAll("html, #scroll, #scroll li, #scroll p, header, form"), e => e.scrollWidth > e.clientWidth).includes(true)')
  }

  /** What is seen and reaches over the window's side. */
  stickingOut(): Promise<string[]> {
    return stickingOut(this.page)
  }
}

/** What is seen of a page and reaches over the window's side. @param within selector of what may be scrolled sideways */
export function stickingOut(page: Page, within = '.scrolls'): Promise<string[]> {
  return page.evaluate<string[]>(`Array.from(document.querySelectorAll('body *:not(.unseen, ${within} *)')).filter(e => e.checkVisibility() && (e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1)).map(e => e.outerHTML.slice(0, 80))`)
}

/** How wide the windows are in which every text is tried. */
export const WIDTHS = [320, 390, 1280] as const
export const LONG_WORD = 'W'.repeat(1_000)

/** Opens the page of a video, which is closed when `t` ends. */
export type Open = (t: Test, video: string, options?: OpenOptions) => Promise<ViewerPage>

/** A real browser in front of `cluster`, ended with `t`. */
export async function startPages(t: Test, cluster: Api): Promise<Open> {
  const browser = await startBrowser(t)
  return (t, video, options = {}) => open(t, browser, `${options.url ?? cluster.url}${options.path ?? '/'}?${new URLSearchParams({ video, ...options.query }).toString()}`, options)
}

async function open(t: Test, browser: Browser, url: string, { clock, ...options }: OpenOptions): Promise<ViewerPage> {
  const context = await browser.newContext({ viewport: { width: 360, height: 640 }, ...options })
  t.after(() => context.close())
  const page = await context.newPage()
  if (clock) await page.clock.install()
  const viewer = new ViewerPage(page)
  await page.goto(url)
  await viewer.state('live')
  return viewer
}
