import type { Post, Tell } from './events.js'
import type { Held } from './held.js'
import type { Comment } from './history.js'
import { Refusal, type Failure, type Requests } from './requests.js'
import { backOff, limited, rest } from './waiting.js'

/** `localStorage`, or what does the same later, such as React Native's AsyncStorage. */
export interface PostStorage {
  getItem(key: string): string | null | Promise<string | null>
  setItem(key: string, value: string): void | Promise<void>
}

export interface OutboxOptions {
  readonly requests: Requests
  /** Of the video. */
  readonly url: string
  readonly storage?: PostStorage | undefined
  readonly tell: Tell
  readonly signal: AbortSignal
}

const ANSWER_MS = 10_000
/** Keys are kept for 24 h: after that a post whose answer was lost could be stored twice. */
const MOST_AGE_MS = 20 * 3_600_000

/** A post and who waits for it, which storage does not keep. */
interface Entry extends Post {
  readonly resolve?: (comment: Comment | Held) => void
  readonly reject?: (error: Error) => void
}

/** Sends comments one after the other, in the order in which they were written, each until the server has stored, held or
 * refused it. Storage keeps what is not sent for the next time. */
export class Outbox {
  #posts: readonly Entry[] = []
  #sending = false
  #pause = new AbortController()
  /** Storage is read, and written, one after the other. */
  #stored: Promise<void>
  readonly #options: OutboxOptions

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#stored = this.#read().then(stored => {
      if (stored.length > 0) this.#set([...stored.filter(({ key }) => this.#posts.every(post => post.key !== key)), ...this.#posts])
      void this.#work()
    })
    options.signal.addEventListener('abort', () => {
      this.#pause.abort()
      for (const { reject } of this.#posts) reject?.(closed())
    })
  }

  get posts(): readonly Post[] {
    return this.#posts
  }

  /** @returns the comment, once it is stored or held
   * @throws Refusal */
  send(content: string, authorId: string | undefined): Promise<Comment | Held> {
    return new Promise((resolve, reject) => {
      if (this.#options.signal.aborted) throw closed()
      const key = [1, 2, 3].map(Math.random).join('-') // crypto.randomUUID is not there everywhere
      const post: Entry = { key, content, ...(authorId !== undefined && { authorId }), at: Date.now(), resolve, reject }
      void this.#change(posts => [...posts, post]).then(() => this.#work())
    })
  }

  /** What waits is tried now. */
  retry(): void {
    this.#pause.abort()
  }

  async #work(): Promise<void> {
    const { signal, tell } = this.#options
    if (this.#sending) return
    this.#sending = true
    for (let failures = 0, post; (post = this.#posts[0]) && !signal.aborted; ) {
      const { signal: pause } = (this.#pause = new AbortController())
      try {
        const comment = await this.#try(post)
        post.resolve?.(comment)
      } catch (error) {
        if (signal.aborted) break
        if (!(error instanceof Refusal)) {
          const waiting = { ...post, error: error as Failure }
          this.#set(this.#posts.map(each => (each === post ? waiting : each)))
          await rest(waiting.error.afterMs ?? backOff(failures++), pause)
          continue
        }
        post.reject?.(error)
        tell('refused', post, error)
      }
      failures = 0
      const { key } = post
      await this.#change(posts => posts.filter(post => post.key !== key))
    }
    this.#sending = false
  }

  #try({ key, content, authorId, at }: Post): Promise<Comment | Held> {
    if (Date.now() - at > MOST_AGE_MS) throw new Refusal('EXPIRED', 'not sent in time')
    const { requests, url, signal } = this.#options
    return limited(signal, async (signal, limit) => {
      const headers = { 'content-type': 'application/json', 'idempotency-key': key }
      const response = await requests.ask(url, { method: 'POST', headers, body: JSON.stringify({ content, authorId }), signal }, () => limit(ANSWER_MS))
      return (await response.json()) as Comment | Held
    })
  }

  #set(posts: readonly Entry[]): void {
    this.#posts = posts
    this.#options.tell('posts', posts)
  }

  /** Other tabs write to the same storage, so it is read first. Where it takes nothing, a post is kept in memory alone. */
  #change(change: (posts: readonly Post[]) => readonly Post[]): Promise<void> {
    this.#set(change(this.#posts))
    return (this.#stored = this.#stored.then(async () => {
      try {
        await this.#options.storage?.setItem(this.#name, JSON.stringify(change(await this.#read())))
      } catch {
        // Nor is there another place.
      }
    }))
  }

  async #read(): Promise<readonly Post[]> {
    try {
      return JSON.parse((await this.#options.storage?.getItem(this.#name)) ?? '[]') as Post[]
    } catch {
      return []
    }
  }

  get #name(): string {
    return `live-comments:${this.#options.url}`
  }
}

const closed = () => new Refusal('CLOSED', 'closed before it was stored')
