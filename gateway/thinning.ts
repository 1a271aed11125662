import { Buffer } from 'node:buffer'
import type { CommentId, Cursor } from '../protocol/id.js'
import type { MaxRate } from '../protocol/limits.js'
import type { Message } from '../protocol/message.js'
import { skippedEvent } from '../protocol/sse.js'
import { Buckets } from '../runtime/limits/buckets.js'

/** What a comment's JSON has where a moderator wrote it. No text of a viewer's can look like it: its quotes would be escaped. */
const PRIORITY = ',"by":"moderator"'
const ID = /^id: ([0-9]{1,16})$/m

/** Which of a video's comments the viewers of one class are shown, who asked for at most so many a second: an even sample, made once
 * for all of them. Acts, and what moderators write, are shown in any case and do not count. */
export class Thinning {
  /** How many viewers are of this class. */
  members = 0
  readonly #bucket: Buckets
  /** Comments that have been picked, ascending. */
  readonly #shown = new Set<CommentId>()
  /** The number of the first flush of which nothing has been picked. */
  #next = 0

  /** After a second without comments, a second's worth is shown at once. */
  constructor(rate: MaxRate) {
    this.#bucket = new Buckets({ perSecond: rate, burst: rate })
  }

  /** @param next the first flush that the viewer lacks */
  came(next: number): void {
    if (this.members++ === 0) this.#next = Math.max(this.#next, next)
  }

  left(): void {
    this.members--
  }

  /** Picks of all flushes since the last time. @param flushes whole events each, as text; the first of them is number `first`
   * @param now monotonic ms */
  pick(flushes: readonly { readonly events: Buffer }[], first: number, now: number): void {
    const comments = flushes.slice(Math.max(0, this.#next - first)).flatMap(({ events }) => commentsIn(events.toString()))
    this.#next = first + flushes.length
    let most = 0
    while (most < comments.length && this.#bucket.take('', now) === 0) most++
    for (const id of evenly(comments, most)) this.#shown.add(id)
  }

  /** The events without the comments that were not picked. @param from the place of whoever has what comes before them */
  thinned(events: Buffer, from: Cursor): Buffer {
    return Buffer.from(thinned(events.toString(), from, id => this.#shown.has(id)))
  }

  /** What lies up to here is not asked for again. */
  forget(to: Cursor): void {
    for (const id of this.#shown) {
      if (id > to) return
      this.#shown.delete(id)
    }
  }
}

/** The answer to a long-poll, with `most` comments at most. @param from where the poll began */
export function thinnedMessages(messages: readonly Message[], from: Cursor, most: number): readonly Message[] {
  const comments = messages.filter(({ event, data }) => event === 'message' && !('by' in (data as object)))
  const shown = new Set(evenly(comments, most))
  if (shown.size === comments.length) return messages
  const leftOut = new Set(comments.filter(comment => !shown.has(comment)))
  const left: Message[] = []
  let before = String(from)
  let count = 0
  for (const [i, message] of messages.entries()) {
    const { id = before } = message
    if (leftOut.has(message)) {
      count++
      if (leftOut.has(messages[i + 1]!)) continue
      left.push({ event: 'skipped', id, data: { count, from: before, to: id } })
      count = 0
    } else left.push(message)
    before = id
  }
  return left
}

/** @returns all, or `most` of them at equal distances, the last among them */
export function evenly<Each>(all: readonly Each[], most: number): readonly Each[] {
  if (all.length <= most) return all
  return all.filter((_, i) => Math.floor(((i + 1) * most) / all.length) > Math.floor((i * most) / all.length))
}

/** Of the comments that may be left out. @param text whole server-sent events */
function commentsIn(text: string): CommentId[] {
  return text.split('\n\n').filter(mayBeLeftOut).map(event => idOf(event)!)
}

/** Each run of comments that are left out is named in its place: wherever the stream breaks off, the viewer goes on from what it knows. */
function thinned(text: string, from: Cursor, isShown: (id: CommentId) => boolean): string {
  let left = ''
  let before = from
  let count = 0
  let to = from
  const tell = () => {
    if (count > 0) left += skippedEvent(count, before, to)
    count = 0
  }
  for (let at = 0; ; ) {
    const end = text.indexOf('\n\n', at) + 2
    if (end < 2) {
      tell()
      return left + text.slice(at)
    }
    const event = text.slice(at, end)
    at = end
    const id = idOf(event)
    if (id !== undefined && mayBeLeftOut(event) && !isShown(id)) {
      count++
      to = id
      continue
    }
    if (id !== undefined) {
      tell()
      before = id
    }
    left += event
  }
}

/** Comments alone have no name. An entry that is not for viewers leaves a line without a meaning before the next event. */
function mayBeLeftOut(event: string): boolean {
  return /^(?::\n)*id: /.test(event) && !event.includes(PRIORITY)
}

function idOf(event: string): CommentId | undefined {
  const id = ID.exec(event)?.[1]
  return id === undefined ? undefined : Number(id)
}
