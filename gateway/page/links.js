/** Up to a space, a quotation mark, a bracket of markup or a character that is not seen. */
const ADDRESS = /\bhttps?:\/\/[^\s<>"«»“”\p{C}]+/giu
/** What ends a sentence ends no address. */
const CLOSING = /[\p{P}]/u
const PART_OF_IT = /[/#&%@=_~)-]/

/** Cuts text where its links are: strings, and {text, href} for what can be followed. Only http and https, and nothing that
 * poses as another site by a name before an `@`. */
export function parts(text) {
  const cut = []
  let at = 0
  for (const { 0: match, index } of text.matchAll(ADDRESS)) {
    const address = withoutEnd(match)
    const href = hrefOf(address)
    if (!href) continue
    if (index > at) cut.push(text.slice(at, index))
    cut.push({ text: address, href })
    at = index + address.length
  }
  if (at < text.length) cut.push(text.slice(at))
  return cut
}

/** A bracket that the address has not opened belongs to the sentence too. */
function withoutEnd(address) {
  let unopened = address.split(')').length - address.split('(').length
  let end = address.length
  for (; end > 0; end--) {
    const last = address[end - 1]
    if (last === ')' && unopened > 0) unopened--
    else if (!CLOSING.test(last) || PART_OF_IT.test(last)) break
  }
  return address.slice(0, end)
}

function hrefOf(address) {
  if (!URL.canParse(address)) return undefined
  const { protocol, username, password, href } = new URL(address)
  return /^https?:$/.test(protocol) && username + password === '' ? href : undefined
}
