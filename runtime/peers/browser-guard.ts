import { isIP } from 'node:net'
import { LiveError } from '../../protocol/errors.js'
import type { Exchange } from '../http/exchange.js'

/** A web page reaches every port of the machine that its browser runs on. It must not reach the internal ones, whether they
 * have a token or not: these headers are the browser's own, and no script can leave them out (Fetch, section 3.1; Fetch
 * Metadata Request Headers). */
const BROWSER_HEADERS = ['origin', 'sec-fetch-site', 'sec-fetch-dest', 'sec-fetch-user']
/** Sent alone by Node's `fetch`, which is no browser. */
const NODE_MODE = 'cors'

/** @throws LiveError FORBIDDEN for what a browser sends */
export function refuseBrowsers(exchange: Exchange): void {
  // One that comes empty was there: the library cuts off what it cannot read.
  if (exchange.headers('sec-fetch-mode').some(mode => mode !== NODE_MODE) || BROWSER_HEADERS.some(name => exchange.headers(name).length > 0)) {
    throw new LiveError('FORBIDDEN', 'an internal port serves no web page')
  }
}

/** For what an internal port serves to operators' browsers: a page of its own may ask, and a person who types the address.
 * @throws LiveError FORBIDDEN for what a page of another origin sends, or leads to */
export function refuseOtherPages(exchange: Exchange): void {
  const site = exchange.header('sec-fetch-site')
  const origin = exchange.header('origin')
  const own = URL.canParse(origin) && new URL(origin).host === exchange.header('host').toLowerCase()
  if ((site !== '' && site !== 'same-origin' && site !== 'none') || (origin !== '' && !own)) {
    throw new LiveError('FORBIDDEN', 'this page is not for other sites: type its address')
  }
}

/** A page whose host's name was made to lead to this machine (DNS rebinding) is of the same origin to its browser, which then
 * sends none of those headers with a GET. Its request still names that host.
 * @param url where we are reached @throws LiveError FORBIDDEN for the name of another host */
export function refuseOtherHosts(exchange: Exchange, url: string | undefined): void {
  const host = exchange.header('host').toLowerCase()
  const name = host.replace(/:[0-9]*$/, '')
  if (name === '' || name === 'localhost' || isIP(name.replace(/^\[|\]$/g, '')) !== 0) return
  if (url === undefined || name !== new URL(url).hostname) throw new LiveError('FORBIDDEN', 'no part of ours has this host name')
}
