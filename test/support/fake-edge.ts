import type { Test } from 'tap'
import { FrameKind, frame, framesOf, streamEvent } from '../../protocol/frame.js'
import type { EdgeNode } from '../../protocol/nodes.js'
import { commentEvent, readyEvent } from '../../protocol/sse.js'
import type { Exchange } from '../../runtime/http/exchange.js'
import type { Reply } from '../../runtime/http/reply.js'
import { HttpServer } from '../../runtime/http/server.js'
import { Stream } from '../../runtime/http/stream.js'
import { edgeNode } from './nodes.js'
import { until } from './until.js'

/** One stream that a gateway has opened. */
export interface EdgeStream {
  readonly videoId: string
  readonly query: string
  readonly stream: Stream
  /** The gateway let it go. */
  readonly left: () => boolean
  /** When it did, monotonic ms. */
  readonly leftAt: () => number
}

/** An edge's internal port, that says what the test tells it to say. */
export class FakeEdge {
  readonly streams: EdgeStream[] = []
  readonly node: EdgeNode
  /** Answers a stream instead of opening it. */
  refuse: ((exchange: Exchange) => Reply) | undefined
  readonly #server = new HttpServer({ onBug: error => { throw error } })

  constructor(id: string, given: Partial<EdgeNode> = {}) {
    this.#server.route('GET', '/internal/ping', () => ({ status: 200, body: JSON.stringify({ id, instance: this.node.instance }) }))
    this.#server.route('GET', '/internal/stream/:videoId', exchange => this.refuse?.(exchange) ?? this.#open(exchange))
    const port = this.#server.listen('127.0.0.1', 0)
    this.node = edgeNode(id, { internalUrl: `http://127.0.0.1:${port}`, ...given })
  }

  /** The nth stream, waited for. */
  stream(n = 0): Promise<EdgeStream> {
    return until(() => this.streams[n], { what: `stream ${n} at ${this.node.id}` })
  }

  /** As if it were killed: every connection is reset, and nothing listens any more. */
  close(): void {
    this.#server.close()
  }

  #open(exchange: Exchange): undefined {
    let leftAt: number | undefined
    const stream = new Stream(exchange.res, [{ 'content-type': 'application/octet-stream' }], frame(FrameKind.events, 0, ''), {
      nudge: () => frame(FrameKind.events, 0, ''),
      chunkEnd: () => undefined,
      progressed: () => {},
      drained: () => {},
      left: () => void (leftAt = performance.now()),
    })
    this.streams.push({ videoId: exchange.parameter(0), query: exchange.query.toString(), stream, left: () => leftAt !== undefined, leftAt: () => leftAt ?? NaN })
    return undefined
  }
}

/** A fake edge that is gone when `t` ends. */
export function fakeEdge(t: Test, id: string, given?: Partial<EdgeNode>): FakeEdge {
  const edge = new FakeEdge(id, given)
  t.after(() => edge.close())
  return edge
}

export function commentFrames(...ids: number[]): Buffer {
  return framesOf(ids.map(id => streamEvent(id, commentEvent(id, JSON.stringify({ id: String(id), authorId: 'a', content: `comment ${id}`, createdAt: 0 })))))
}

export function readyFrame(videoId: string, id: number): Buffer {
  return frame(FrameKind.ready, id, readyEvent(id, videoId, 1))
}
