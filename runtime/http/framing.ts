/** How a request's headers say where it ends (RFC 9112, section 6). */
export interface Framing {
  /** Why the end is ambiguous, or undefined. */
  readonly fault: string | undefined
  /** Whether the body comes in chunks. */
  readonly chunked: boolean
}

/** One line of a request's head: the name in lower case, and the value. */
export type HeaderLine = readonly [name: string, value: string]

/** Reads a request's framing. An ambiguous end must be refused: a proxy in front of us could take a body for a request, or
 * a request for a body. The library takes the first of two lengths, treats an empty length as none, and any transfer
 * coding as chunks. */
export function framingOf(method: string, lines: readonly HeaderLine[]): Framing {
  const lengths: string[] = []
  const codings: string[] = []
  for (const [name, value] of lines) {
    if (name === 'content-length') lengths.push(value)
    else if (name === 'transfer-encoding') codings.push(value)
  }
  return { fault: fault(method, lengths, codings), chunked: codings.length > 0 }
}

function fault(method: string, lengths: readonly string[], codings: readonly string[]): string | undefined {
  if (lengths.length + codings.length > 1) return 'a request must have one Content-Length or one Transfer-Encoding'
  if (lengths.some(length => !/^[0-9]{1,15}$/.test(length))) return 'Content-Length must be a whole number'
  if (codings.some(coding => coding.toLowerCase() !== 'chunked')) return 'Transfer-Encoding must be chunked'
  // A header without a name hides all headers after it, even from the library.
  if (lengths.length + codings.length === 0 && !BODILESS.has(method)) return `${method === 'POST' ? 'POST' : 'this method'} needs a Content-Length`
  return undefined
}

const BODILESS = new Set(['GET', 'HEAD', 'OPTIONS', 'DELETE'])
