import type { Comment, VideoId } from '../../protocol/comment.js'
import { toActJson, type Act } from '../../protocol/entry.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import type { ReplayRequest, RoomAnswer, SyncRequest, WireComment } from '../../protocol/wire.js'

/** What a dispatcher with the store at hand would say of one video, without any of its parts. */
export class ModelStore {
  readonly videoId: VideoId
  readonly comments: WireComment[] = []
  readonly #filling: string

  /** Ids go up in tens. @param size of a comment's text, characters of two bytes */
  constructor(videoId: VideoId, size = 1) {
    this.videoId = videoId
    this.#filling = 'é'.repeat(size)
  }

  get ids(): CommentId[] {
    return this.comments.map(({ id }) => id)
  }

  get head(): Cursor {
    return this.comments.at(-1)?.id ?? 0
  }

  post(): WireComment {
    return this.#append(id => `{"id":"${id}","authorId":"a","content":"${this.#filling}"}`)
  }

  /** @param pinned the comment that a `pinned` shows */
  act(act: Act, pinned?: Comment): WireComment {
    return this.#append(id => toActJson(id, act, pinned))
  }

  #append(jsonOf: (id: CommentId) => string): WireComment {
    const id = this.head + 10
    const entry = { videoId: this.videoId, prev: this.head, id, json: jsonOf(id) }
    this.comments.push(entry)
    return entry
  }

  posts(count: number): WireComment[] {
    return Array.from({ length: count }, () => this.post())
  }

  between(after: Cursor, until: Cursor = Infinity): WireComment[] {
    return this.comments.filter(({ id }) => id > after && id <= until)
  }

  /** @param limit where the answer is cut. @param upTo as a dispatcher's memory that ends there would answer */
  sync({ videoId, last }: SyncRequest, { limit = 500, upTo, others = 0 }: { limit?: number; upTo?: Cursor | undefined; others?: number } = {}): RoomAnswer {
    const found = last === undefined ? [] : this.between(last, upTo)
    const comments = found.slice(0, limit)
    return { videoId, head: upTo ?? this.head, others, from: upTo === undefined ? 'store' : 'memory', more: comments.length < found.length, comments }
  }

  replay({ videoId, after, until, limit }: ReplayRequest): RoomAnswer {
    const found = this.between(after, until)
    return { videoId, head: this.head, others: 0, from: 'store', more: found.length > limit, comments: found.slice(-limit) }
  }
}
