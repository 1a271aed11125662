import { until } from '../support/until.js'
import { EventStream } from './event-stream.js'
import type { Asked, Ended, Seen, Transport, Watching } from './watching.js'
import { Socket } from './web-socket.js'

/** The same video beside two others on one stream. What is seen of it must be what a stream of its own has. */
export const eventsBesideOthers: Transport = { name: 'SSE, several videos', isOfGateways: true, watch: (url, videoId, asked) => new BesideOthers(videoId, asked, asked => new EventStream(`${url}/comments`, asked, false)) }
export const messagesBesideOthers: Transport = { name: 'WebSocket, several videos', isOfGateways: true, watch: (url, videoId, asked) => new BesideOthers(videoId, asked, asked => new Socket(`${url}/comments`, asked)) }

const OTHERS = ['w', 'x']
/** The video's own id → the stream's, as it was with the last event. */
const idsOfStreams = new Map<string, string>()

interface Data {
  readonly videoId: string
  readonly id?: string
}

class BesideOthers implements Watching {
  readonly #videoId: string
  readonly #after: string | undefined
  readonly #all: Watching

  constructor(videoId: string, asked: Asked, watch: (asked: Asked) => Watching) {
    const { after } = asked
    this.#videoId = videoId
    this.#after = after
    const known = after === undefined ? undefined : idsOfStreams.get(after)
    const own = after === undefined || known !== undefined ? videoId : `${videoId}:${after}`
    this.#all = watch({ ...asked, after: known, parameters: { videos: [OTHERS[0], own, OTHERS[1]].join(), ...asked.parameters } })
  }

  /** With the id and the data that they have on a stream of their own. */
  get events(): Seen[] {
    return this.#all.events.filter(({ data }) => this.#isOwn(data)).map(({ event, data }) => ({ event, id: (data as Data).id, data }))
  }

  get ended(): Ended | undefined {
    return this.#all.ended
  }

  get cursor(): string | undefined {
    const last = this.#all.events.findLast(({ data }) => this.#isOwn(data) && (data as Data).id !== undefined)?.data as Data | undefined
    const own = last?.id ?? this.#after
    if (own !== undefined && this.#all.cursor !== undefined) idsOfStreams.set(own, this.#all.cursor)
    return own
  }

  #isOwn(data: unknown): boolean {
    return (data as Data).videoId === this.#videoId
  }

  ready(): Promise<unknown> {
    return until(() => this.events.some(({ event }) => event === 'ready'), { what: 'ready' })
  }

  pause(): void {
    this.#all.pause()
  }

  resume(): void {
    this.#all.resume()
  }

  close(): void {
    this.#all.close()
  }
}
