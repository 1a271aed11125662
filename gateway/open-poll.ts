import { LiveError } from '../protocol/errors.js'
import type { Clock } from '../runtime/clock.js'
import type { Encoded } from '../runtime/fan-out/encoded.js'
import type { Exchange } from '../runtime/http/exchange.js'
import { PollAnswer } from '../runtime/http/poll.js'
import type { Reply } from '../runtime/http/reply.js'
import type { Counted } from '../runtime/limits/streams.js'
import type { Session } from './session.js'
import type { Sessions } from './sessions.js'
import type { Ending, Sink, Viewing } from './sink.js'
import { thinnedMessages } from './thinning.js'
import type { StreamRequest } from './viewer.js'

/** Takes a viewer in until there is something after its cursor, for `waitMs` at most.
 * @returns the answer; undefined where the client has left
 * @throws LiveError NO_CAPACITY, OVERLOADED, UNAVAILABLE: it cannot be taken in now */
export function openPoll(sessions: Sessions, clock: Clock, exchange: Exchange, { maxRate, ...request }: StreamRequest, waitMs: number, viewing: Viewing): Promise<Reply | undefined> {
  const { after } = request
  // Thinned as a whole: most of it is what the client missed between two polls. Without a cursor it asks for `recent` comments.
  const answer = maxRate === undefined || after === undefined ? new PollAnswer() : new PollAnswer(events => thinnedMessages(events, after, maxRate))
  return new Promise((resolve, reject) => {
    const poll = new Poll(clock, answer, viewing.counted, resolve, reject)
    poll.begin(sessions.open(request, poll, viewing), waitMs)
    exchange.whenGone(() => poll.left())
  })
}

/** A viewer's long-poll: one write, and it is answered. */
class Poll implements Sink {
  readonly encoding = 'messages'
  readonly #clock: Clock
  readonly #counted: Counted | undefined
  readonly #resolve: (reply: Reply | undefined) => void
  readonly #reject: (error: LiveError) => void
  readonly #answer: PollAnswer
  #session: Session | undefined
  #isOver = false
  #cancel: (() => void) | undefined

  constructor(clock: Clock, answer: PollAnswer, counted: Counted | undefined, resolve: (reply: Reply | undefined) => void, reject: (error: LiveError) => void) {
    this.#clock = clock
    this.#answer = answer
    this.#counted = counted
    this.#resolve = resolve
    this.#reject = reject
  }

  begin(session: Session, waitMs: number): void {
    this.#session = session
    if (!this.#isOver) this.#cancel = this.#clock.after(waitMs, () => this.#finish())
  }

  /** Answered in the next turn, since whoever writes goes on with the session. What follows is for the next poll. */
  write({ bytes }: Encoded): boolean {
    this.#answer.take(bytes)
    if (this.#answer.isDue) this.#clock.soon(() => this.#finish())
    return !this.#answer.isDue
  }

  /** There is no line to keep alive. */
  heartbeat(): boolean {
    return true
  }

  /** A client that is to go elsewhere, or to show another token, finds that out by its next poll. */
  end(why: Exclude<Ending, 'left' | 'answered'>): void {
    const retry = { headers: { 'retry-after': '1' } }
    if (why === 'no_capacity') this.#reject(new LiveError('NO_CAPACITY', 'no edge has room for another viewer', retry))
    else if (why === 'join_rate') this.#reject(new LiveError('OVERLOADED', 'too many viewers come at a time', retry))
    else this.#reply(why === 'stopping')
  }

  close(): void {
    this.#resolve(undefined)
  }

  over(): void {
    this.#isOver = true
    this.#cancel?.()
    this.#counted?.ended()
  }

  left(): void {
    this.#session?.left()
    this.#resolve(undefined)
  }

  #finish(): void {
    this.#session!.left('answered')
    this.#reply(false)
  }

  #reply(close: boolean): void {
    const cursor = this.#session?.cursor
    if (cursor !== undefined) this.#resolve(this.#answer.reply(cursor, close))
    else this.#reject(new LiveError('UNAVAILABLE', 'no edge can be reached', { headers: { 'retry-after': '1' } }))
  }
}
