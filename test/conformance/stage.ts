import type { Test } from 'tap'
import { publicServer, internalRoutes } from '../../edge/server.js'
import type { Identity } from '../../runtime/auth/identity.js'
import { systemClock, type Clock } from '../../runtime/clock.js'
import { StreamLimit } from '../../runtime/limits/streams.js'
import { internalServer } from '../../runtime/peers/internal-server.js'
import { EdgeStage } from '../support/edge-stage.js'
import { runGateway } from '../support/gateway.js'
import { clients, connections, refusals, replays, set } from '../support/limits.js'
import { edgeNode } from '../support/nodes.js'

/** Which part viewers come to. */
export type Part = 'gateway' | 'edge'

export interface StageOptions {
  /** No viewer is taken. */
  readonly isFull?: boolean
  readonly streamsPerAddress?: number
  readonly identity?: Identity | undefined
  /** Of a comment's text, characters of two bytes. */
  readonly size?: number
}

const VIDEO = 'v'

/** Two gateways on an edge, or two edges, in this process and over real HTTP, before a model of the store. Viewers come to the first;
 * the second is where they go on. */
export class Stage {
  readonly videoId = VIDEO
  readonly url: string
  readonly otherUrl: string
  /** Drains the first. */
  readonly drain: () => Promise<void>
  readonly #edges: readonly EdgeStage<Clock>[]

  constructor(t: Test, part: Part, options: StageOptions = {}) {
    const capacity = options.isFull && part === 'edge' ? 0 : 1_000
    const [first, second] = (this.#edges = [1, 2].map(() => new EdgeStage<Clock>({ capacity }, systemClock)))
    first!.store(VIDEO, options.size)
    second!.answer = question => first!.fromStores(question)
    for (const { edge } of this.#edges) t.after(() => edge.stop())
    if (part === 'gateway') {
      const nodes = [edgeNode('e1', { instance: 'i1', internalUrl: serveInside(t, first!) })]
      const gateways = [1, 2].map(() => runGateway(t, { edges: nodes, identity: options.identity, viewerLimit: options.isFull ? 0 : 1_000, limits: { streamsPerAddress: options.streamsPerAddress ?? 0 } }))
      this.url = gateways[0]!.url
      this.otherUrl = gateways[1]!.url
      this.drain = () => gateways[0]!.part.drain(50)
    } else {
      this.url = serveOutside(t, first!, options)
      this.otherUrl = serveOutside(t, second!, options)
      this.drain = () => first!.edge.drain(50)
    }
  }

  /** Stores comments and pushes them. @returns their ids */
  post(count = 1): string[] {
    const comments = this.#edges[0]!.store(VIDEO).posts(count)
    for (const { edge } of this.#edges) edge.batch({ comments, hints: [] })
    return comments.map(({ id }) => String(id))
  }

  /** One with this text. */
  say(content: string): void {
    const store = this.#edges[0]!.store(VIDEO)
    const { id, prev } = store.post()
    const comment = { videoId: VIDEO, id, prev, json: JSON.stringify({ id: String(id), authorId: 'a', content, createdAt: 0 }) }
    store.comments.splice(-1, 1, comment)
    for (const { edge } of this.#edges) edge.batch({ comments: [comment], hints: [] })
  }

  /** Stores comments before anybody is here. */
  store(count: number): string[] {
    return this.#edges[0]!.store(VIDEO).posts(count).map(({ id }) => String(id))
  }
}

function serveInside(t: Test, { edge, register }: EdgeStage<Clock>): string {
  const server = internalServer({ token: undefined, metrics: register, identity: { id: 'e1', instance: 'i1', version: '0' }, notReady: () => undefined, onBug: error => t.fail(String(error)) })
  internalRoutes(server, edge)
  t.after(() => server.close())
  return `http://127.0.0.1:${server.listen('127.0.0.1', 0)}`
}

function serveOutside(t: Test, { edge }: EdgeStage<Clock>, { identity, streamsPerAddress }: StageOptions): string {
  const server = publicServer(edge, {
    connections: connections(),
    streamsPerAddress: new StreamLimit('address', set(streamsPerAddress), refusals()),
    replays: replays(),
    clients: clients(),
    allowedOrigins: '*',
    identity,
    onBug: error => t.fail(String(error)),
    notReady: () => undefined,
  })
  t.after(() => server.close())
  return `http://127.0.0.1:${server.listen('127.0.0.1', 0)}`
}
