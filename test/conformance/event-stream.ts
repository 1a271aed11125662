import { request, type ClientRequest, type IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { constants, createGunzip } from 'node:zlib'
import { SseParser } from '../../protocol/sse.js'
import { until } from '../support/until.js'
import type { Asked, Ended, Seen, Transport, Watching } from './watching.js'

/** Server-sent events. */
export const eventStream: Transport = { name: 'SSE', watch: (url, videoId, asked) => new EventStream(`${url}/comments/${videoId}`, asked, false) }
export const gzippedEventStream: Transport = { name: 'SSE, gzip', watch: (url, videoId, asked) => new EventStream(`${url}/comments/${videoId}`, asked, true) }

export class EventStream implements Watching {
  readonly events: Seen[] = []
  ended: Ended | undefined
  cursor: string | undefined
  #response: IncomingMessage | undefined
  readonly #request: ClientRequest
  readonly #parser = new SseParser()

  constructor(url: string, { after, recent, parameters, token }: Asked, gzip: boolean) {
    this.cursor = after
    const query = new URLSearchParams({ ...(recent === undefined ? {} : { recent: String(recent) }), ...parameters })
    this.#request = request(`${url}?${query.toString()}`, {
      agent: false,
      headers: {
        accept: 'text/event-stream',
        ...(gzip ? { 'accept-encoding': 'gzip' } : {}),
        ...(after === undefined ? {} : { 'last-event-id': after }),
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
    })
    this.#request.on('response', response => this.#read(response)).on('error', () => this.#end({}))
    this.#request.end()
  }

  ready(): Promise<unknown> {
    return until(() => this.events.some(({ event }) => event === 'ready'), { what: 'ready' })
  }

  pause(): void {
    this.#response?.pause()
  }

  resume(): void {
    this.#response?.resume()
  }

  close(): void {
    this.#request.destroy()
  }

  #read(response: IncomingMessage): void {
    this.#response = response
    if (response.statusCode !== 200) {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () => this.#end({ status: response.statusCode, code: (JSON.parse(body) as { error: { code: string } }).error.code }))
      return
    }
    const plain = response.headers['content-encoding'] === 'gzip' ? unzipped(response) : response
    plain.on('data', (bytes: Buffer) => {
      for (const { event, id, data } of this.#parser.push(bytes)) {
        this.cursor = id
        this.events.push({ event, id: event === 'viewers' ? undefined : id, data: JSON.parse(data) })
      }
    })
    for (const each of [plain, response]) each.on('error', () => plain.destroy())
    plain.on('close', () => this.#end({ retryMs: this.#parser.retryMs }))
  }

  #end(ended: Ended): void {
    this.ended ??= ended
  }
}

/** Not by a pipe, which would read on where the response is paused. */
function unzipped(response: IncomingMessage): Readable {
  const gunzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH })
  response.on('data', bytes => gunzip.write(bytes)).on('end', () => gunzip.end())
  return gunzip
}
