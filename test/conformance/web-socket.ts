import { WebSocket } from 'ws'
import { until } from '../support/until.js'
import type { Asked, Ended, Seen, Transport, Watching } from './watching.js'

export const webSocket: Transport = { name: 'WebSocket', watch: (url, videoId, asked) => new Socket(`${url}/comments/${videoId}`, asked) }

export class Socket implements Watching {
  readonly events: Seen[] = []
  ended: Ended | undefined
  cursor: string | undefined
  readonly #ws: WebSocket

  constructor(url: string, { after, recent, parameters, token }: Asked) {
    this.cursor = after
    const query = new URLSearchParams({ ...(recent === undefined ? {} : { recent: String(recent) }), ...(after === undefined ? {} : { lastEventId: after }), ...parameters })
    this.#ws = new WebSocket(`${url.replace('http', 'ws')}?${query.toString()}`, ['live-comments', ...(token === undefined ? [] : [`bearer.${token}`])], { perMessageDeflate: false })
    this.#ws.on('message', (bytes: Buffer) => {
      for (const { event, id, data } of JSON.parse(bytes.toString()) as Seen[]) {
        if (id !== undefined) this.cursor = id
        this.events.push({ event, id, data })
      }
    })
    this.#ws.on('unexpected-response', (_, response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => this.#end({ status: response.statusCode, code: (JSON.parse(body) as { error: { code: string } }).error.code }))
    })
    this.#ws.on('error', () => {})
    this.#ws.on('close', (_, text) => this.#end(text.length === 0 ? {} : closeOf(text.toString())))
  }

  ready(): Promise<unknown> {
    return until(() => this.events.some(({ event }) => event === 'ready'), { what: 'ready' })
  }

  pause(): void {
    this.#ws.pause()
  }

  resume(): void {
    this.#ws.resume()
  }

  close(): void {
    this.#ws.terminate()
  }

  #end(ended: Ended): void {
    this.ended ??= ended
  }
}

function closeOf(text: string): Ended {
  const { reason, retryMs } = JSON.parse(text) as { reason: string; retryMs?: number }
  return { code: reason, retryMs }
}
