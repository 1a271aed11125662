import { createRequire } from 'node:module'
import { LinkifyIt } from 'linkify-it'

// JSON, that Node 20 imports only with a warning.
const tlds = createRequire(import.meta.url)('tlds') as string[]

// By heart it knows the country domains and a few others; spam is full of the rest.
const links = new LinkifyIt({ fuzzyLink: true, fuzzyEmail: true, urlAuth: true }).tlds(tlds)

/** Whether somebody would read a link in it: an address with `http:`, `www.` or the like before it, a bare `example.com`,
 * or an e-mail address. @param text without invisible characters, which hide a link from programs and not from people */
export function holdsLink(text: string): boolean {
  return links.test(text)
}
