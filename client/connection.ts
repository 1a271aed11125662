import { Parser, type ServerEvent } from './parser.js'
import { Failure, type Requests } from './requests.js'
import { here, type EventSourceLike } from './surroundings.js'
import { limited } from './waiting.js'

/** The server answers at once, or after 4 s in line. */
const OPEN_MS = 15_000
/** The server says something at least every 15 s. */
const SILENCE_MS = 35_000
const NAMES = ['message', 'ready', 'viewers', 'gap']

export interface Receiver {
  /** The server has answered, and its events follow. */
  opened(): void
  take(event: ServerEvent): void
}

/** Reads one stream to its end: by `fetch`, or by EventSource where an answer's body cannot be read as it comes.
 * @param query begins with `?`
 * @returns the server's `retry:`, ms, when the server ends the stream
 * @throws Refusal, Failure, and what `fetch` throws: the stream did not open, broke, or fell silent */
export function connect(requests: Requests, url: string, query: string, receiver: Receiver, signal: AbortSignal): Promise<number | undefined> {
  return limited(signal, async (signal, limit) => {
    if (!requests.options.fetch && !('body' in Response.prototype)) return listen(requests, url, query, receiver, signal, limit)
    await requests.token() // may wait for a person
    limit(OPEN_MS)
    const { headers, body } = await requests.ask(url + query, { headers: { accept: 'text/event-stream' }, signal })
    if (!body || !headers.get('content-type')?.startsWith('text/event-stream')) throw new Failure('the answer is no event stream')
    receiver.opened()
    const parser = new Parser()
    const reader = body.getReader()
    try {
      for (;;) {
        limit(SILENCE_MS)
        const { done, value } = await reader.read()
        if (done) return parser.retryMs
        for (const event of parser.push(value)) receiver.take(event)
      }
    } finally {
      reader.cancel().catch(() => {})
    }
  })
}

async function listen(requests: Requests, url: string, query: string, receiver: Receiver, signal: AbortSignal, limit: (ms: number) => void): Promise<undefined> {
  if (!here.EventSource) throw new Failure('neither fetch can stream here, nor is there an EventSource')
  const token = await requests.token()
  let opened = false
  let source: EventSourceLike | undefined
  try {
    await new Promise<void>((_, reject) => {
      source = new here.EventSource!(`${url}${query}${token ? `&access_token=${encodeURIComponent(token)}` : ''}`)
      signal.addEventListener('abort', () => reject(signal.reason as Error))
      limit(OPEN_MS)
      source.onopen = () => {
        opened = true
        limit(SILENCE_MS)
        receiver.opened()
      }
      source.onerror = () => reject(new Failure('the stream was lost'))
      for (const name of NAMES) {
        source.addEventListener(name, ({ data, lastEventId }) => {
          limit(SILENCE_MS)
          if (!signal.aborted) receiver.take({ name, id: lastEventId, data })
        })
      }
    })
  } finally {
    source?.close()
    // EventSource does not say why it did not open: a request that fails the same way does, and renews the token.
    if (!opened && !signal.aborted) await requests.ask(`${url}?pageSize=1`, { signal })
  }
}
