import { Comments, type CommentsOptions, type VideoOptions } from './comments.js'
import type { Delivery } from './delivery.js'
import type { State } from './events.js'
import type { ServerEvent } from './parser.js'
import { Stream } from './stream.js'

export interface SeveralOptions extends Omit<CommentsOptions, 'after' | 'stream'> {
  /** Begin after these comments' ids instead, by video; '0': with the first comment. */
  readonly after?: Readonly<Record<string, string>>
}

/** The live comments of several videos by one connection, which opens at once. Each is as it would be by itself. */
export class Several {
  /** By video. */
  readonly comments: ReadonlyMap<string, Comments>
  readonly #videos = new Map<string, VideoOptions>()
  #stream: Stream | undefined
  readonly #closing = new AbortController()

  /** @param server such as `https://comments.example`
   * @param videos 1 to 50 */
  constructor(server: string, videos: readonly string[], { after = {}, ...options }: SeveralOptions = {}) {
    const stream = (video: string) => (given: VideoOptions) => {
      this.#videos.set(video, given)
      given.signal.addEventListener('abort', () => this.#left(video))
      return { wake: () => this.#stream?.wake() }
    }
    const comments = videos.map(video => {
      const begin = after[video]
      return [video, new Comments(server, video, { ...options, ...(begin !== undefined && { after: begin }), stream: stream(video) })] as const
    })
    this.comments = new Map(comments)
    for (const [, each] of comments) each.on('state', () => {})
    const [first] = this.#videos.values()
    if (!first) return
    this.#stream = new Stream({
      requests: first.requests,
      url: `${server.replace(/\/$/, '')}/comments`,
      query: () => `videos=${[...this.#videos].map(([video, { delivery: { cursor } }]) => (cursor === undefined ? video : `${video}:${cursor}`)).join()}&recent=${options.recent ?? 50}${options.maxRate ? `&maxRate=${options.maxRate}` : ''}`,
      delivery: this.#delivery(),
      state: state => this.#turn(state),
      signal: this.#closing.signal,
    })
  }

  /** Ends all of them. */
  close(): void {
    for (const each of this.comments.values()) each.close()
  }

  /** The id that each event has in its own video is in its data: no other is needed. */
  #delivery(): Pick<Delivery, 'take' | 'lost' | 'settled'> {
    const videos = this.#videos
    return {
      take({ name, data }: ServerEvent): void {
        const { videoId, id = '' } = JSON.parse(data) as { readonly videoId: string; readonly id?: string }
        videos.get(videoId)?.delivery.take({ name, id, data })
      },
      lost(): void {
        for (const { delivery } of videos.values()) delivery.lost()
      },
      get settled(): Promise<void> {
        return Promise.all([...videos.values()].map(({ delivery }) => delivery.settled)).then(() => {})
      },
    }
  }

  #turn(state: State): void {
    for (const each of this.#videos.values()) each.state(state)
  }

  /** One that is closed is not asked for any longer. */
  #left(video: string): void {
    this.#videos.delete(video)
    if (this.#videos.size === 0) this.#closing.abort()
    else this.#stream?.wake()
  }
}
