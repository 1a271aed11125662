import { Parser, type ServerEvent } from './parser.js'
import { Failure, type Requests } from './requests.js'
import { limited } from './waiting.js'

/** The server answers at once, or after 4 s in line. */
const OPEN_MS = 15_000
/** The server says something at least every 15 s. As `protocol/limits.ts` has it, which this folder must not import. */
const SILENCE_MS = 35_000

/** Reads one stream to its end: by `fetch`, or by EventSource where an answer's body cannot be read as it comes.
 * @param query begins with `?`
 * @param opened is called when the server has answered, and its events follow
 * @returns the server's `retry:`, ms, when the server ends the stream
 * @throws Refusal, Failure, and what `fetch` throws: the stream did not open, broke, or fell silent */
export function connect(requests: Requests, url: string, query: string, opened: () => void, take: (event: ServerEvent) => void, signal: AbortSignal): Promise<number | undefined> {
  return limited(signal, async (signal, limit) => {
    if (!requests.options.fetch && !('body' in Response.prototype)) {
      const { listen } = await import('./event-source.js') // few need it
      return listen(requests, url, query, opened, take, signal, () => limit(SILENCE_MS))
    }
    const { headers, body } = await requests.ask(url + query, { headers: { accept: 'text/event-stream' }, signal }, () => limit(OPEN_MS))
    if (!body || !headers.get('content-type')?.startsWith('text/event-stream')) throw new Failure('the answer is no event stream')
    opened()
    const parser = new Parser()
    const reader = body.getReader()
    signal.addEventListener('abort', () => void reader.cancel().catch(() => {})) // Deno may not do so by itself
    for (;;) {
      limit(SILENCE_MS)
      const { done, value } = await reader.read()
      if (done) return parser.retryMs
      for (const event of parser.push(value)) take(event)
    }
  })
}
