import type { HttpRequest } from 'uWebSockets.js'

/** Where a request ends, by its own headers (RFC 9112, section 6). */
export interface Framing {
  /** Why nobody can be sure where it ends, or undefined. */
  readonly fault: string | undefined
  /** The body comes in chunks. */
  readonly chunked: boolean
}

/** What two readers of one connection may take for the end of a request in two ways is refused: the one in front of us
 * would take a request for the body of another, or the other way about. The library takes the first of two lengths, no
 * length for an empty one, and chunks for any transfer coding. */
export function framingOf(method: string, request: Pick<HttpRequest, 'forEach'>): Framing {
  const lengths: string[] = []
  const codings: string[] = []
  request.forEach((name, value) => {
    if (name === 'content-length') lengths.push(value)
    else if (name === 'transfer-encoding') codings.push(value)
  })
  return { fault: fault(method, lengths, codings), chunked: codings.length > 0 }
}

function fault(method: string, lengths: readonly string[], codings: readonly string[]): string | undefined {
  if (lengths.length + codings.length > 1) return 'a request must have one Content-Length or one Transfer-Encoding'
  if (lengths.some(length => !/^[0-9]{1,15}$/.test(length))) return 'Content-Length must be a whole number'
  if (codings.some(coding => coding !== 'chunked')) return 'Transfer-Encoding must be chunked'
  // A header without a name hides all after it, from the library too.
  if (lengths.length + codings.length === 0 && !BODILESS.has(method)) return `${method === 'POST' ? 'POST' : 'this method'} needs a Content-Length`
  return undefined
}

const BODILESS = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE'])
