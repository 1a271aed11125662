import type { Comment, HeldComment, Settings } from '../../client/comments.js'
import type { Random } from '../support/random.js'

/** What goes wrong, each with its probability from 0 to 1. */
export interface Faults {
  /** A request finds no network. */
  readonly unreachable: number
  /** A request is answered 429 or 503. */
  readonly refused: number
  /** A chunk is the last one of its stream: cut off, ended in order, or followed by silence. */
  readonly ended: number
  /** A comment that the stream has had comes again. */
  readonly repeated: number
  /** Some live comments are left out, and a gap names them. */
  readonly left: number
  /** The answer to a post, which was stored, is lost. */
  readonly unanswered: number
}

const NO_FAULTS: Faults = { unreachable: 0, refused: 0, ended: 0, repeated: 0, left: 0, unanswered: 0 }

/** The most comments of a replay. */
const REPLAYED = 8
/** History shows a comment so much later, ms: less than a second of a hurried client. */
const STALE_MS = 4

interface Viewer {
  /** The last id that it was sent, or told of. */
  cursor: number
  send(text: string): void
}

/** A comment as the server stores it. */
interface Stored extends Comment {
  readonly videoId: string
  /** When it was stored, by performance.now(). */
  readonly at: number
  deleted?: boolean
}

/** What a moderator did: an event of this name. */
interface Act {
  readonly id: string
  readonly name: 'deleted' | 'pinned' | 'settings'
  readonly data: unknown
}

const publicly = ({ id, authorId, content, createdAt }: Comment) => ({ id, authorId, content, createdAt })
const event = (entry: Stored | Act) =>
  'name' in entry ? `event: ${entry.name}\nid: ${entry.id}\ndata: ${JSON.stringify(entry.data)}\n\n`
  : entry.deleted ? `event: deleted\nid: ${entry.id}\ndata: {"target":"${entry.id}"}\n\n`
  : `id: ${entry.id}\ndata: ${JSON.stringify(publicly(entry))}\n\n`
const gap = (from: number, to: number) => `event: gap\nid: ${to}\ndata: {"from":"${from}","to":"${to}"}\n\n`

/** A server of one video that keeps the protocol and breaks everything else. */
export class FakeServer {
  readonly comments: Stored[] = []
  /** Comments and acts in their order. */
  #entries: (Stored | Act)[] = []
  settings: Settings | undefined
  pinned: Comment | null = null
  /** What waits for a moderator. */
  held: readonly HeldComment[] = []
  /** What moderators asked for: method, path and body. */
  readonly asked: string[] = []
  /** The keys of all posts, in the order in which they came. */
  readonly keys: string[] = []
  /** Answers posts in place of the server. */
  onPost: (content: string, tries: number) => Response | undefined = () => undefined
  /** The token that is wanted. */
  token: string | undefined
  /** Requests by what they want: `stream`, `history`, `post`, `act`. */
  readonly requests: Record<string, number> = {}
  faults = NO_FAULTS
  /** History is away. */
  historyDown = false
  readonly #viewers = new Set<Viewer>()
  readonly #byKey = new Map<string, Comment>()
  readonly #random: Random
  #nextId = 1

  constructor(random: Random) {
    this.#random = random
  }

  get viewers(): number {
    return this.#viewers.size
  }

  get newest(): number {
    return Number(this.#entries.at(-1)?.id ?? 0)
  }

  calm(): void {
    this.faults = NO_FAULTS
  }

  say(content: string, authorId = 'ann'): Comment {
    this.#nextId += this.#random.whole(1, 3)
    const comment = { id: String(this.#nextId), videoId: 'demo', authorId, content, createdAt: Date.now(), at: performance.now() }
    this.comments.push(comment)
    this.#enter(comment)
    return comment
  }

  remove(target: string): void {
    const comment = this.comments.find(({ id }) => id === target)
    if (comment) comment.deleted = true
    this.#act('deleted', { target })
  }

  pin(target: string | undefined): void {
    const comment = this.comments.find(({ id }) => id === target)
    this.pinned = comment ? publicly(comment) : null
    this.#act('pinned', { comment: this.pinned })
  }

  set(settings: Settings): void {
    this.settings = settings
    this.#act('settings', settings)
  }

  #act(name: Act['name'], data: unknown): void {
    this.#nextId += this.#random.whole(1, 3)
    this.#enter({ id: String(this.#nextId), name, data })
  }

  #enter(entry: Stored | Act): void {
    this.#entries.push(entry)
    for (const viewer of this.#viewers) if (!this.#random.chance(this.faults.left)) this.#go(viewer)
  }

  /** The store is an older one: the last `count` comments have never been. */
  goBack(count: number): void {
    this.comments.splice(-count)
    this.#entries = [...this.comments]
    this.#nextId = this.newest
    for (const viewer of this.#viewers) {
      viewer.send(gap(viewer.cursor, this.newest))
      viewer.cursor = this.newest
    }
  }

  /** Ends every stream in order. */
  end(): void {
    for (const viewer of this.#viewers) viewer.send('')
  }

  readonly fetch = (async (given: string, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(given)
    const headers = new Headers(init.headers)
    const isAct = init.method === 'PUT' || init.method === 'DELETE'
    const wants = isAct ? 'act' : init.method === 'POST' ? 'post' : headers.get('accept') === 'text/event-stream' ? 'stream' : 'history'
    this.requests[wants] = (this.requests[wants] ?? 0) + 1
    // Looked at when it is sent, so that a token that was given just now is never an old one.
    const isKnown = this.token === undefined || headers.get('authorization') === `Bearer ${this.token}`
    await new Promise(resolve => setImmediate(resolve))
    init.signal?.throwIfAborted()
    if (this.#random.chance(this.faults.unreachable)) throw new TypeError('fetch failed')
    if (!isKnown) return refusal(401, 'UNAUTHORIZED')
    if (this.#random.chance(this.faults.refused)) return this.#random.chance(0.5) ? refusal(429, 'RATE_LIMITED', '1') : refusal(503, 'OVERLOADED')
    if (isAct) return this.#moderate(`${init.method} ${url.pathname} ${init.body as string ?? ''}`.trim())
    if (wants === 'post') return this.#post(headers.get('idempotency-key') ?? '', init.body as string)
    if (url.pathname.endsWith('/held')) return Response.json({ held: this.held })
    return wants === 'stream' ? this.#stream(url, init.signal!) : this.#page(url)
  }) as typeof fetch

  #post(key: string, body: string): Response {
    const { content, authorId } = JSON.parse(body) as { content: string; authorId?: string }
    this.keys.push(key)
    const answer = this.onPost(content, this.keys.filter(each => each === key).length)
    if (answer) return answer
    const comment = this.#byKey.get(key) ?? this.say(content, authorId)
    this.#byKey.set(key, comment)
    if (this.#random.chance(this.faults.unanswered)) throw new TypeError('terminated')
    return Response.json(comment, { status: 201 })
  }

  #moderate(asked: string): Response {
    this.asked.push(asked)
    return asked.includes('forbidden') ? refusal(403, 'FORBIDDEN') : new Response(null, { status: 204 })
  }

  #page({ searchParams }: URL): Response {
    if (this.historyDown) return refusal(503, 'UNAVAILABLE')
    const size = Number(searchParams.get('pageSize'))
    const cursor = Number(searchParams.get('cursor') ?? Infinity)
    const now = performance.now() // once: what is shown is a beginning of all, as with any store
    const visible = this.comments.filter(({ at }) => at < now - STALE_MS)
    const after = searchParams.get('direction') === 'after'
    const found = after ? visible.filter(({ id }) => Number(id) > cursor) : visible.filter(({ id }) => Number(id) < cursor).reverse()
    const comments = found.slice(0, size).map(({ deleted, ...comment }) => (deleted ? { id: comment.id, videoId: comment.videoId, createdAt: comment.createdAt, deleted } : comment))
    return Response.json({ comments, nextCursor: found.length > size ? comments.at(-1)!.id : null })
  }

  #stream({ searchParams }: URL, signal: AbortSignal): Response {
    const body = new ReadableStream<Uint8Array>({
      start: controller => {
        const viewer: Viewer = { cursor: 0, send: text => this.#write(viewer, controller, text) }
        signal.addEventListener('abort', () => {
          this.#viewers.delete(viewer)
          try {
            controller.error(signal.reason)
          } catch {
            // It has ended.
          }
        })
        this.#viewers.add(viewer)
        viewer.send(`retry: ${this.#random.whole(500, 2_499)}\n:\n`)
        const given = searchParams.get('lastEventId')
        const from = given === null ? Number(this.comments.at(-1 - Number(searchParams.get('recent')))?.id ?? 0) : Number(given)
        viewer.cursor = from
        if (from > this.newest) viewer.send(gap(from, this.newest))
        this.#go(viewer)
        viewer.cursor = this.newest
        viewer.send(`event: ready\nid: ${this.newest}\ndata: ${JSON.stringify({ videoId: 'demo', viewers: 1, ...(this.settings && { settings: this.settings }), ...(this.pinned && { pinned: this.pinned }) })}\n\n`)
      },
    })
    return new Response(body, { headers: { 'content-type': 'text/event-stream; charset=utf-8' } })
  }

  /** Sends a viewer what it has not had, and sometimes what it has. */
  #go(viewer: Viewer): void {
    const missed = this.#entries.filter(({ id }) => Number(id) > viewer.cursor)
    const left = missed.slice(0, -REPLAYED)
    if (left.length > 0) viewer.send(gap(viewer.cursor, Number(left.at(-1)!.id)))
    const first = this.#entries.length - Math.min(missed.length, REPLAYED)
    if (this.#random.chance(this.faults.repeated)) for (const entry of this.#entries.slice(Math.max(0, first - 2), first)) viewer.send(event(entry))
    for (const entry of this.#entries.slice(first)) viewer.send(event(entry))
    viewer.cursor = this.newest
  }

  /** Writes the text in chunks that end anywhere; '' ends the stream. */
  #write(viewer: Viewer, controller: ReadableStreamDefaultController<Uint8Array>, text: string): void {
    if (!this.#viewers.has(viewer)) return
    const bytes = new TextEncoder().encode(text)
    for (let at = 0; at < bytes.length; ) {
      const end = Math.min(bytes.length, at + this.#random.whole(1, 60))
      controller.enqueue(bytes.subarray(at, end))
      at = end
      if (!this.#random.chance(this.faults.ended)) continue
      this.#viewers.delete(viewer)
      const how = this.#random.below(8)
      if (how === 0) return // and never a byte more
      if (how < 4) return controller.close()
      return controller.error(new TypeError('terminated'))
    }
    if (text !== '') return
    this.#viewers.delete(viewer)
    controller.close()
  }
}

export function refusal(status: number, code: string, retryAfter?: string): Response {
  return Response.json({ error: { code, message: code.toLowerCase() } }, { status, headers: retryAfter === undefined ? {} : { 'retry-after': retryAfter } })
}
