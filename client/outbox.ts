import type { Comment } from './history.js'
import { Failure, Refusal, type Requests } from './requests.js'
import { backOff, limited, rest } from './waiting.js'

/** A comment on its way. */
export interface Post {
  /** The idempotency key of each try. */
  readonly key: string
  readonly content: string
  /** Where no token names the author. */
  readonly authorId?: string
  /** When it was written, Unix ms. */
  readonly at: number
}

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
  /** A post has come or gone. */
  changed(posts: readonly Post[]): void
  refused(post: Post, refusal: Refusal): void
  readonly signal: AbortSignal
}

const ANSWER_MS = 10_000
const FIRST_WAIT_MS = 1_000
/** Keys are kept for 24 h: after that a post whose answer was lost could be stored twice. */
const MOST_AGE_MS = 20 * 3_600_000

interface Caller {
  resolve(comment: Comment): void
  reject(error: Error): void
}

/** Sends comments one after the other, in the order in which they were written, each until the server has stored or
 * refused it. Storage keeps what is not sent for the next time. */
export class Outbox {
  #posts: readonly Post[] = []
  #sending = false
  #pause = new AbortController()
  readonly #callers = new Map<string, Caller>()
  /** Storage is read, and written, one after the other. */
  #stored: Promise<void>
  readonly #options: OutboxOptions

  constructor(options: OutboxOptions) {
    this.#options = options
    this.#stored = this.#load()
    options.signal.addEventListener('abort', () => this.#end())
  }

  get #key(): string {
    return `live-comments:${this.#options.url}`
  }

  get posts(): readonly Post[] {
    return this.#posts
  }

  /** @returns the comment, once it is stored
   * @throws Refusal */
  async send(content: string, authorId?: string): Promise<Comment> {
    if (this.#options.signal.aborted) throw closed()
    const post: Post = { key: newKey(), content, ...(authorId === undefined ? {} : { authorId }), at: Date.now() }
    const stored = new Promise<Comment>((resolve, reject) => this.#callers.set(post.key, { resolve, reject }))
    this.#set([...this.#posts, post])
    void this.#save(posts => [...posts, post]).then(() => this.#work())
    return stored
  }

  /** What waits is tried now. */
  retry(): void {
    this.#pause.abort()
  }

  async #load(): Promise<void> {
    const stored = await this.#read()
    if (stored.length === 0 || this.#options.signal.aborted) return
    this.#set([...stored.filter(({ key }) => !this.#callers.has(key)), ...this.#posts])
    void this.#work()
  }

  async #work(): Promise<void> {
    if (this.#sending) return
    this.#sending = true
    await this.#stored
    const { signal } = this.#options
    for (let failures = 0, post; (post = this.#posts[0]) && !signal.aborted; ) {
      const { signal: pause } = (this.#pause = new AbortController())
      try {
        const comment = await this.#try(post)
        failures = 0
        this.#callers.get(post.key)?.resolve(comment)
        await this.#drop(post)
      } catch (error) {
        if (signal.aborted) break
        if (error instanceof Refusal) {
          this.#callers.get(post.key)?.reject(error)
          this.#options.refused(post, error)
          await this.#drop(post)
        } else await rest((error as Failure).afterMs ?? Math.min(backOff(failures++, FIRST_WAIT_MS), 15_000), pause)
      }
    }
    this.#sending = false
  }

  #try({ key, content, authorId, at }: Post): Promise<Comment> {
    if (Date.now() - at > MOST_AGE_MS) throw new Refusal('EXPIRED', 'the comment could not be sent in time')
    const { requests, url, signal } = this.#options
    return limited(signal, async (signal, limit) => {
      await requests.token() // may wait for a person
      limit(ANSWER_MS)
      const response = await requests.ask(url, { method: 'POST', headers: { 'content-type': 'application/json', 'idempotency-key': key }, body: JSON.stringify({ content, authorId }), signal })
      return (await response.json()) as Comment
    })
  }

  #drop({ key }: Post): Promise<void> {
    const others = (posts: readonly Post[]) => posts.filter(post => post.key !== key)
    this.#callers.delete(key)
    this.#set(others(this.#posts))
    return this.#save(others)
  }

  #set(posts: readonly Post[]): void {
    this.#posts = posts
    this.#options.changed(posts)
  }

  async #read(): Promise<readonly Post[]> {
    try {
      return JSON.parse((await this.#options.storage?.getItem(this.#key)) ?? '[]') as Post[]
    } catch {
      return []
    }
  }

  /** Other tabs write to the same place, so what is there is read first. Without room a post is kept in memory alone. */
  #save(change: (posts: readonly Post[]) => readonly Post[]): Promise<void> {
    const { storage } = this.#options
    return (this.#stored = this.#stored.then(async () => {
      try {
        await storage?.setItem(this.#key, JSON.stringify(change(await this.#read())))
      } catch {
        // Nor is there another place.
      }
    }))
  }

  #end(): void {
    this.#pause.abort()
    for (const { reject } of this.#callers.values()) reject(closed())
    this.#callers.clear()
  }
}

const closed = () => new Refusal('CLOSED', 'closed before the comment was stored')

/** `crypto.randomUUID` is there in secure contexts only, and not in React Native. */
function newKey(): string {
  return Array.from({ length: 4 }, () => Math.random().toString(36).slice(2)).join('-')
}
