import { FrameError } from '../protocol/frame.js'
import type { EdgeNode } from '../protocol/nodes.js'
import type { PeerFailure } from '../runtime/peers/peer-error.js'
import { asMessages } from './events.js'
import type { Member, Source } from './member.js'
import type { Upstream, Upstreams } from './upstreams.js'
import { RelayedViewer, type Passage, type StreamRequest } from './viewer.js'

/** One stream from an edge. */
export interface EdgeStream {
  abort(): void
  pause(): void
  resume(): void
}

export interface EdgeStreamHandlers {
  data(chunk: Buffer): void
  /** It is over, whether answered or not. `refused` and `timeout` are said of the connect alone, `unproven` of an edge that
   * was asked nothing; all else that went wrong, an end without a last frame too, is `lost`, `status`, `wire` or `local`. */
  lost(failure: PeerFailure): void
}

/** Opens a stream. Tells the handlers nothing before it has returned, and nothing after `abort`. */
export type Connect = (edge: EdgeNode, request: StreamRequest, handlers: EdgeStreamHandlers) => EdgeStream

export interface RelayedOptions {
  readonly upstreams: Upstreams
  readonly connect: Connect
  /** The member has left. */
  readonly left: () => void
}

/** One viewer on an edge that has no links: the former version, during an upgrade. It has a stream of its own from there, and what
 * it does not take is not read from the edge. */
export class Relayed implements Source {
  readonly #member: Member
  readonly #upstreams: Upstreams
  readonly #upstream: Upstream
  readonly #viewer: RelayedViewer
  readonly #stream: EdgeStream
  readonly #left: () => void
  #answered = false
  #isOver = false

  constructor(member: Member, node: EdgeNode, { upstreams, connect, left }: RelayedOptions) {
    const { videoId, cursor: after, encoding } = member
    this.#member = member
    this.#left = left
    member.source = this
    this.#upstreams = upstreams
    this.#viewer = new RelayedViewer({ videoId, after, recent: member.recent || undefined, gzip: encoding === 'gzip' }, member.isReady)
    this.#stream = connect(node, this.#viewer.resume(), { data: chunk => this.#data(chunk), lost: failure => this.#lost(failure) })
    this.#upstream = upstreams.relay(node, member)
  }

  blocked(): void {
    this.#stream.pause()
  }

  drained(): void {
    this.#stream.resume()
  }

  leave(): void {
    this.#isOver = true
    this.#left()
    this.#upstream.relays.delete(this.#member)
    this.#stream.abort()
  }

  #data(chunk: Buffer): void {
    const member = this.#member
    // It was blocked by another's write, and a last chunk was on its way: it comes again where the member is placed next.
    if (member.blocked) return this.#lost('lost')
    if (this.#answered) this.#upstreams.heard(this.#upstream)
    else {
      this.#answered = true
      this.#upstreams.connected(this.#upstream)
      member.answered()
    }
    let passage: Passage
    try {
      passage = this.#viewer.push(chunk)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      return this.#lost('lost')
    }
    member.cursor = this.#viewer.cursor
    if (passage.bytes) member.pass(member.encoding === 'messages' ? asMessages([passage.bytes]) : { bytes: passage.bytes })
    if (this.#viewer.ready && !member.isReady) member.ready()
    if (passage.end === undefined || this.#isOver) return
    if (passage.end === 'drain') this.#upstreams.leaving(this.#upstream)
    member.handedBack(passage.end)
  }

  #lost(failure: PeerFailure): void {
    if (this.#isOver) return
    if (!this.#answered) this.#upstreams.failed(this.#upstream, failure)
    this.#member.lost(failure)
  }
}
