import { Buffer } from 'node:buffer'
import { SseParser } from '../../protocol/sse.js'
import { numberIn } from './comment-text.js'

/** One comment as a viewer read it. */
export interface SeenComment {
  /** Of the post. */
  readonly number: number
  /** The event's id where it is a number: it must ascend. */
  readonly id: number | undefined
  /** When the system says it took it, Unix ms. */
  readonly createdAt: number | undefined
}

/** Blocks that many viewers read at about the same time. */
const KEPT = 8

/** Reads whole events. All viewers of a room get the same bytes: a block equal to one of the last few, byte for
 * byte, says the same and is not parsed again. One for all viewers of a thread. */
export class BlockReader {
  readonly #parse: (block: Buffer) => SeenComment[]
  readonly #kept: { readonly block: Buffer; readonly comments: readonly SeenComment[] }[] = []
  #next = 0

  constructor(parse = parseEvents) {
    this.#parse = parse
  }

  /** @throws Error when an event is not what a comment looks like */
  read(block: Buffer): readonly SeenComment[] {
    for (const each of this.#kept) if (each.block.length === block.length && each.block.equals(block)) return each.comments
    const comments = this.#parse(block)
    this.#kept[this.#next] = { block: Buffer.from(block), comments }
    this.#next = (this.#next + 1) % KEPT
    return comments
  }
}

/** Server-sent events, every one whole. */
function parseEvents(block: Buffer): SeenComment[] {
  return new SseParser().push(block).flatMap(({ event, id, data }) => (event === 'message' && data.includes('`') ? [readComment(data, id)] : []))
}

/** @throws Error when it is no JSON, or holds no post's number */
export function readComment(json: string, id = ''): SeenComment {
  JSON.parse(json)
  const number = numberIn(json)
  if (number === undefined) throw new Error(`a comment without a number: ${json}`)
  const createdAt = /"createdAt":(\d+)/.exec(json)?.[1]
  return { number, id: /^[0-9]{1,16}$/.test(id) ? Number(id) : undefined, createdAt: createdAt === undefined ? undefined : Number(createdAt) }
}
