import type { ServerEvent } from './parser.js'
import type { Requests } from './requests.js'
import { here, type EventSourceLike } from './surroundings.js'

const NAMES = ['message', 'ready', 'viewers', 'gap', 'deleted', 'pinned', 'settings', 'skipped']

/** Reads one stream to its end by EventSource, as `connect` does by `fetch`.
 * @param heard is called whenever the server says something that can be seen
 * @throws Refusal, Failure, and what `fetch` throws */
export async function listen(requests: Requests, url: string, query: string, opened: () => void, take: (event: ServerEvent) => void, signal: AbortSignal, heard: () => void): Promise<undefined> {
  const { EventSource } = here
  if (!EventSource) throw new Error('no fetch that streams, and no EventSource')
  const token = await requests.token()
  let isOpen = false
  let source: EventSourceLike | undefined
  try {
    await new Promise<void>((_, reject) => {
      if (signal.aborted) return reject(signal.reason as Error)
      source = new EventSource(`${url}${query}${token ? `&access_token=${encodeURIComponent(token)}` : ''}`)
      signal.addEventListener('abort', () => reject(signal.reason as Error))
      heard()
      source.onopen = () => {
        isOpen = true
        heard()
        opened()
      }
      source.onerror = () => reject(new Error('the stream was lost'))
      for (const name of NAMES) {
        source.addEventListener(name, ({ data, lastEventId }) => {
          heard()
          if (!signal.aborted) take({ name, id: lastEventId, data })
        })
      }
    })
  } finally {
    source?.close()
    // EventSource does not say why it did not open: a request that fails the same way does, and renews the token.
    if (!isOpen && !signal.aborted) await requests.ask(`${url}?pageSize=1`, { signal }, heard)
  }
}
