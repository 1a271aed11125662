import type { Test } from 'tap'
import { parseActRequest, printActResult, type ActRequest, type ActResult } from '../../protocol/acts.js'
import type { Draft } from '../../protocol/comment.js'
import { DEFAULT_STATE, printState, type ActOrder, type VideoState } from '../../protocol/entry.js'
import { parseDecision, printDecisionResult, printHeld, type DecisionRequest, type DecisionResult, type HeldComment } from '../../protocol/held.js'
import type { DispatcherNode } from '../../protocol/nodes.js'
import { parsePosts, printResults, type PostResult, type TimedDraft } from '../../protocol/posts.js'
import { PEER_HEADER } from '../../protocol/wire.js'
import type { Exchange } from '../../runtime/http/exchange.js'
import { json, type Reply } from '../../runtime/http/reply.js'
import { HttpServer } from '../../runtime/http/server.js'
import { dispatcherNode } from './nodes.js'

/** A dispatcher's internal port, that answers what the test tells it to answer. */
export class FakeDispatcher {
  readonly batches: TimedDraft[][] = []
  readonly histories: string[] = []
  /** Of syncs and batches: the route, the cluster they came from, the body. */
  readonly lines: string[] = []
  /** The answer to each sync and batch. */
  answerLines = ''
  /** Who wrote a comment, every one; undefined: there is none. */
  author: string | undefined
  readonly node: DispatcherNode
  /** The answer to one post; a comment by default. Undefined: the batch is never answered. */
  answer: (draft: Draft) => PostResult | Promise<PostResult> | undefined = draft => this.stored(draft)
  readonly acts: ActRequest[] = []
  /** The answer to an act; by default that it is done. Undefined: it is never answered. */
  answerAct: (order: ActOrder) => ActResult | undefined = () => ({ entryId: ++this.#last, created: true })
  /** What waits for a moderator, in every video. */
  held: readonly HeldComment[] = []
  readonly decisions: (DecisionRequest & { readonly path: string })[] = []
  /** The answer to a decision; by default that a comment was made, or none. Undefined: it is never answered. */
  answerDecision: (request: DecisionRequest) => DecisionResult | undefined = ({ decision }) => (decision.kind === 'approve' ? { id: ++this.#last } : { refused: true })
  /** The answer to a step of an erasure. */
  erase: (after: string | undefined) => { readonly erased: number; readonly after: string | null } = () => ({ erased: 0, after: null })
  /** Of every video. */
  state: VideoState = DEFAULT_STATE
  history: (exchange: Exchange) => Reply | Promise<Reply> = () => json({ comments: [], nextCursor: null })
  #last = 0
  #frozen = false
  readonly #server = new HttpServer({ onBug: error => { throw error } })

  constructor(id: string) {
    this.#server.route('POST', '/internal/posts', async exchange => {
      const { posts } = parsePosts(await exchange.body(1 << 20))
      this.batches.push([...posts])
      const results = await Promise.all(posts.map(async draft => this.answer(draft)))
      if (results.includes(undefined)) return new Promise<Reply>(() => {})
      return { status: 200, body: printResults(results as PostResult[]) }
    })
    this.#server.route('POST', '/internal/acts', async exchange => {
      const request = parseActRequest(await exchange.body(1 << 20))
      this.acts.push(request)
      const result = this.answerAct(request.order)
      return result ? { status: 200, body: printActResult(result) } : new Promise<Reply>(() => {})
    })
    this.#server.route('POST', '/internal/erase-author', async exchange => {
      const { after } = JSON.parse((await exchange.body(1 << 20)).toString()) as { after?: string }
      return json(this.erase(after))
    })
    this.#server.route('GET', '/internal/held/:videoId', () => ({ status: 200, body: printHeld(this.held) }))
    this.#server.route('POST', '/internal/held/:videoId/:id', async exchange => {
      const path = `${exchange.parameter(0)}/${exchange.parameter(1)}`
      const request = parseDecision(await exchange.body(1 << 20))
      this.decisions.push({ ...request, path })
      const result = this.answerDecision(request)
      return result ? { status: 200, body: printDecisionResult(result) } : new Promise<Reply>(() => {})
    })
    for (const path of ['/internal/sync', '/internal/batch']) {
      this.#server.route('POST', path, async exchange => {
        this.lines.push(`${path} ${exchange.header(PEER_HEADER)} ${(await exchange.body(1 << 20)).toString()}`)
        return { status: 200, body: this.answerLines }
      })
    }
    this.#server.route('GET', '/internal/home/:videoId', exchange => json({ asked: exchange.parameter(0) }))
    this.#server.route('GET', '/internal/comments/:videoId/:id', exchange => json({ authorId: this.author, asked: `${exchange.parameter(0)}/${exchange.parameter(1)}` }, this.author === undefined ? 404 : 200))
    this.#server.route('GET', '/internal/state/:videoId', () => ({ status: 200, body: printState(this.state) }))
    this.#server.route('GET', '/internal/history/:videoId', exchange => {
      this.histories.push(`${exchange.parameter(0)}?${exchange.query.toString()}`)
      return this.history(exchange)
    })
    this.#server.route('GET', '/internal/ping', () => (this.#frozen ? new Promise<Reply>(() => {}) : json({ id, instance: this.node.instance })))
    const port = this.#server.listen('127.0.0.1', 0)
    this.node = dispatcherNode(id, { internalUrl: `http://127.0.0.1:${port}` })
  }

  stored({ videoId, authorId, authorName, content }: Draft): PostResult {
    return { comment: { id: ++this.#last, videoId, authorId, authorName, content, createdAt: 1_750_000_000_000 }, created: true }
  }

  /** It answers no ping any more. */
  freeze(): void {
    this.#frozen = true
  }

  close(): void {
    this.#server.close()
  }
}

/** A fake dispatcher that is gone when `t` ends. */
export function fakeDispatcher(t: Test, id: string): FakeDispatcher {
  const dispatcher = new FakeDispatcher(id)
  t.after(() => dispatcher.close())
  return dispatcher
}
