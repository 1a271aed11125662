import { Delivery } from './delivery.js'
import type { CommentsEvents, Gap, Post, Settings, Skipped, State } from './events.js'
import type { Held, HeldComment } from './held.js'
import { History, type Comment, type Page } from './history.js'
import { Loop } from './loop.js'
import { Outbox, type PostStorage } from './outbox.js'
import { Requests, type TokenSource } from './requests.js'
import { Stream, type StreamOptions } from './stream.js'
import { limited } from './waiting.js'

export { Failure, Refusal, type TokenSource } from './requests.js'
export type { Comment, CommentsEvents, Gap, Held, HeldComment, Page, Post, PostStorage, Settings, Skipped, State }

export interface CommentsOptions {
  /** How many of the newest comments to begin with, 0 to 200; 50 by default. */
  readonly recent?: number
  /** Begin after this comment's id instead, '0': with the first comment. */
  readonly after?: string
  /** The most live comments a second that the server is to show: 5, 10 or 20; all by default. Acts of moderators, and what they write,
   * come in any case. */
  readonly maxRate?: MaxRate | undefined
  /** The most comments of one gap that are read from history by itself; 1,000 by default. */
  readonly fill?: number
  /** Gives the viewer's token, where the server wants one. */
  readonly token?: TokenSource
  /** Keeps what is not sent for the next time, such as `localStorage`; without it, it is lost when the page is. */
  readonly storage?: PostStorage
  /** In place of the global one: `expo/fetch`, which can stream, or one that adds credentials. */
  readonly fetch?: typeof fetch
  /** Closes when it is aborted. */
  readonly signal?: AbortSignal
  /** Brings the video's events in place of a stream of its own: see several.ts. */
  readonly stream?: (options: VideoOptions) => Pick<Stream, 'wake'>
}

/** What the stream of one video is opened with. */
export interface VideoOptions extends StreamOptions {
  readonly delivery: Delivery
}

export type MaxRate = 5 | 10 | 20

/** Which comments: those next to an id or a time; without either, the newest. */
export interface PageWanted {
  /** Those just before this id. */
  readonly before?: string
  /** Those just after this id. */
  readonly after?: string
  /** The first from this time on, Unix ms. */
  readonly since?: number
  /** The last before this time, Unix ms. */
  readonly until?: number
  /** 1 to 200, 50 by default. */
  readonly size?: number
}

const ACT_MS = 10_000

type Listeners = { [Name in keyof CommentsEvents]?: Set<(...told: CommentsEvents[Name]) => void> }

/** The live comments of one video. The stream opens with the first listener or `for await`; whoever only posts or reads
 * history has none. */
export class Comments implements AsyncIterable<Comment> {
  #state: State = { is: 'connecting' }
  #viewers = 0
  /** What the moderators have done, as last heard. */
  #told: { readonly pinned?: Comment; readonly settings?: Settings } = {}
  #maxRate: MaxRate | undefined
  #stream: Pick<Stream, 'wake'> | undefined
  readonly #listeners: Listeners = {}
  readonly #loops = new Set<Loop>()
  readonly #closing = new AbortController()
  readonly #requests: Requests
  readonly #url: string
  readonly #history: History
  readonly #outbox: Outbox
  readonly #delivery: Delivery
  /** Begins the stream. */
  readonly #start: () => Pick<Stream, 'wake'>

  /** @param server such as `https://comments.example` */
  constructor(server: string, video: string, options: CommentsOptions = {}) {
    const url = (this.#url = `${server.replace(/\/$/, '')}/comments/${video}`)
    const requests = (this.#requests = new Requests(options))
    const history = (this.#history = new History(requests, url))
    this.#maxRate = options.maxRate
    const { recent = 50, fill = 1_000, after, storage, stream = options => new Stream(options) } = options
    const common = {
      requests,
      url,
      history,
      storage,
      fill,
      tell: this.#tell.bind(this),
      state: (state: State) => this.#turn(state),
      signal: this.#closing.signal,
    }
    this.#outbox = new Outbox(common)
    const delivery = (this.#delivery = new Delivery(common, after === undefined ? undefined : Number(after)))
    const query = () => (delivery.cursor === undefined ? `recent=${recent}` : `lastEventId=${delivery.cursor}`) + (this.#maxRate ? `&maxRate=${this.#maxRate}` : '')
    this.#start = () => stream({ ...common, delivery, query })
    const close = () => this.close()
    options.signal?.addEventListener('abort', close, { signal: common.signal })
    if (options.signal?.aborted) close()
  }

  /** The most live comments a second that are shown; undefined: all. */
  get maxRate(): MaxRate | undefined {
    return this.#maxRate
  }

  /** The stream goes on from its place by a new connection. */
  set maxRate(rate: MaxRate | undefined) {
    this.#maxRate = rate
    this.#stream?.wake()
  }

  /** How the stream is; `connecting` before it opens. */
  get state(): State {
    return this.#state
  }

  /** How many watch the video, as last heard. */
  get viewers(): number {
    return this.#viewers
  }

  /** The comment that stands above the others, as last heard. */
  get pinned(): Comment | undefined {
    return this.#told.pinned
  }

  /** What the moderators have set; undefined before the stream has said it. */
  get settings(): Settings | undefined {
    return this.#told.settings
  }

  /** What is being sent, in this order. */
  get posts(): readonly Post[] {
    return this.#outbox.posts
  }

  /** @returns what takes the listener away again */
  on<Name extends keyof CommentsEvents>(name: Name, listener: (...told: CommentsEvents[Name]) => void): () => void {
    const listeners: Set<(...told: CommentsEvents[Name]) => void> = (this.#listeners[name] ??= new Set<never>() as never)
    listeners.add(listener)
    if (name !== 'posts' && name !== 'refused') this.#open()
    return () => listeners.delete(listener)
  }

  /** Every comment from here on. A reader who is slower than the stream reads on from history: none is missed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Comment> {
    const loop = new Loop(this.#history, this.#delivery.cursor, this.#closing.signal, () => this.#loops.delete(loop))
    this.#loops.add(loop)
    this.#open()
    return loop
  }

  /** Sends a comment after those before it, for as long as it takes: a network that is away is waited for.
   * @param authorId where no token names the author
   * @returns the comment, once it is stored; or `held` where a moderator is to decide about it
   * @throws Refusal */
  post(content: string, authorId?: string): Promise<Comment | Held> {
    return this.#outbox.send(content, authorId)
  }

  /** A page of history.
   * @throws Refusal, Failure, and what `fetch` throws */
  page({ before, after, since, until, size = 50 }: PageWanted = {}): Promise<Page> {
    const id = before ?? after
    const at = since ?? until
    const place = id !== undefined ? `cursor=${id}` : at !== undefined ? `at=${at}` : undefined
    return this.#history.page((after ?? since) === undefined ? 'before' : 'after', place, size, this.#closing.signal)
  }

  /** Asks again for these comments, and tells `deleted` of those that are no more: a gap can hide deletions. The newest
   * 200 that were told are asked for by themselves.
   * @param ids ascending */
  check(ids: readonly string[]): Promise<void> {
    return this.#delivery.recheck(ids.map(Number))
  }

  /** Deletes a comment, as its author or a moderator. What follows is for moderators alone.
   * @throws Refusal, Failure, and what `fetch` throws */
  remove(id: string): Promise<void> {
    return this.#act('DELETE', `/${id}`)
  }

  /** Puts a comment above the others; undefined: none. */
  pin(id: string | undefined): Promise<void> {
    return this.#act('PUT', '/pin', { commentId: id ?? null })
  }

  /** Changes these settings. */
  set(settings: Partial<Settings>): Promise<void> {
    return this.#act('PUT', '/settings', settings)
  }

  /** Keeps an author from writing, for so many seconds; 0: no longer. */
  ban(authorId: string, forSeconds: number): Promise<void> {
    return this.#act(forSeconds > 0 ? 'PUT' : 'DELETE', `/bans/${encodeURIComponent(authorId)}`, forSeconds > 0 ? { forSeconds } : undefined)
  }

  /** What waits for a moderator, the oldest first; at most 200. */
  held(): Promise<readonly HeldComment[]> {
    return this.#ask('GET', '/held', undefined, async answer => ((await answer.json()) as { held: HeldComment[] }).held)
  }

  /** Publishes what is held, or refuses it. @param reason of a refusal, for the poster */
  decide(id: string, decision: 'approve' | 'refuse', reason?: string): Promise<void> {
    return this.#act('PUT', `/held/${id}`, { decision, reason })
  }

  /** Connects and sends now, also after a refusal: the viewer has signed in, or asked for it. */
  retry(): void {
    this.#stream?.wake()
    this.#outbox.retry()
  }

  /** Ends everything: the stream, every loop, and what is being sent. */
  close(): void {
    this.#closing.abort()
    this.#turn({ is: 'closed' })
  }

  #act(method: string, path: string, body?: object): Promise<void> {
    return this.#ask(method, path, body, async () => {})
  }

  #ask<T>(method: string, path: string, body: object | undefined, read: (answer: Response) => Promise<T>): Promise<T> {
    return limited(this.#closing.signal, async (signal, limit) => {
      const headers = { 'content-type': 'application/json' }
      return read(await this.#requests.ask(this.#url + path, { method, signal, ...(body && { headers, body: JSON.stringify(body) }) }, () => limit(ACT_MS)))
    })
  }

  #open(): void {
    if (!this.#closing.signal.aborted) this.#stream ??= this.#start()
  }

  #turn(state: State): void {
    if (this.#state.is === 'closed' || (state.is === this.#state.is && !('error' in state))) return
    this.#state = state
    if (state.is === 'live') this.#outbox.retry()
    this.#tell('state', state)
  }

  /** What a listener throws is its own affair, and nobody else misses a thing for it. */
  #tell<Name extends keyof CommentsEvents>(name: Name, ...told: CommentsEvents[Name]): void {
    if (name === 'viewers') this.#viewers = told[0] as number
    if (name === 'deleted' && this.pinned?.id === told[0]) this.#tell('pinned', undefined)
    if (name === 'pinned' || name === 'settings') {
      const all = { ...this.#told, [name]: told[0] }
      if (JSON.stringify(all) === JSON.stringify(this.#told)) return
      this.#told = all
    }
    for (const loop of this.#loops) loop.hear(name, told[0])
    for (const listener of this.#listeners[name] ?? []) {
      try {
        listener(...told)
      } catch (error) {
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}
