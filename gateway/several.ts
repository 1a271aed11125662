import type { Buffer } from 'node:buffer'
import { Places, withIds } from '../protocol/several.js'
import type { Encoded } from '../runtime/fan-out/encoded.js'
import { Session, type SessionHost } from './session.js'
import type { SharedEvents } from './shared-events.js'
import type { Ending, Sink, Stay } from './sink.js'
import type { StreamRequest } from './viewer.js'

export interface SeveralOptions {
  readonly host: SessionHost
  readonly shared: SharedEvents
  /** At least one, each of another video. */
  readonly requests: readonly StreamRequest[]
  /** The connection. It takes text: what is the viewer's own stands between what is shared, and little would be gained by compressing
   * the parts one by one. */
  readonly sink: Sink
  readonly client: readonly string[]
  /** Called once, when the stay has ended. */
  readonly over: (why: Ending) => void
}

/** One viewer's stay with several videos on one connection: a session for each, which is placed, resumed and brought its events as that
 * of any viewer, and whose events go to the same connection. They begin, are blocked, and end together. */
export class Several implements Stay {
  readonly sessions: readonly Session[]
  readonly #o: SeveralOptions
  readonly #places: Places
  /** Those that no edge has sent anything yet, or no longer. */
  readonly #quiet: Set<Session>
  /** Whose turn it is first when the connection takes bytes again. */
  #first = 0
  #isServed = false
  #isOver = false

  constructor(options: SeveralOptions) {
    const { host, requests, client } = options
    this.#o = options
    this.#places = new Places(requests)
    const shared: SessionHost = { ...host, quiet: (session, quiet) => this.#quieten(session, quiet) }
    this.sessions = requests.map((request, i) => new Session(shared, request, new Strand(this, i), client))
    this.#quiet = new Set(this.sessions)
  }

  get blocked(): boolean {
    return this.sessions[0]!.blocked
  }

  progressed(): void {
    for (const session of this.sessions) session.progressed()
  }

  /** The sessions have turns, or the busiest video would keep the others from a slow connection. */
  drained(): void {
    const { sessions } = this
    for (let turns = 0; turns < sessions.length; turns++) {
      const session = sessions[this.#first]!
      this.#first = (this.#first + 1) % sessions.length
      session.drained()
      if (session.blocked) return
    }
  }

  left(): void {
    this.#finish('left')
  }

  /** @param video the index of the one that the events are of */
  write(video: number, { bytes }: Encoded): boolean {
    if (!this.#isServed) for (const session of this.sessions) session.isServed = true
    this.#isServed = true
    const whole = this.#withIds(video, bytes)
    this.#o.host.counts.bytes += whole.length - bytes.length
    return this.#took(this.#o.sink.write({ bytes: whole }))
  }

  heartbeat(): boolean {
    return this.#took(this.#o.sink.heartbeat())
  }

  end(why: Exclude<Ending, 'left' | 'answered'>, retryMs: number): void {
    if (this.#finish(why)) this.#o.sink.end(why, retryMs)
  }

  /** Cuts a connection that takes nothing. */
  close(): void {
    if (this.#finish('slow')) this.#o.sink.close()
  }

  #withIds(video: number, text: Buffer): Buffer {
    const { shared, sink, requests } = this.#o
    const format = sink.encoding === 'messages' ? 'messages' : 'events'
    const events = shared.of(format, requests[video]!.videoId, text)
    if (events.cursors.length === 0) return events.segments[0]!
    return withIds(format, events, this.#places.passed(video, events.cursors))
  }

  /** What one session's connection does not take, that of the others does not take either. */
  #took(more: boolean): boolean {
    if (!more) for (const session of this.sessions) session.block()
    return more
  }

  /** Their line is kept alive by us only where no video's events do so. */
  #quieten(session: Session, quiet: boolean): void {
    if (quiet) this.#quiet.add(session)
    else this.#quiet.delete(session)
    this.#o.host.quiet(this.sessions[0]!, this.#quiet.size === this.sessions.length)
  }

  /** @returns false if it has ended before */
  #finish(why: Ending): boolean {
    if (this.#isOver) return false
    this.#isOver = true
    for (const session of this.sessions) session.left()
    this.#o.sink.over?.()
    this.#o.over(why)
    return true
  }
}

/** Where the events of one of the videos go. */
class Strand implements Sink {
  readonly encoding = 'plain'
  readonly #several: Several
  readonly #video: number

  constructor(several: Several, video: number) {
    this.#several = several
    this.#video = video
  }

  write(events: Encoded): boolean {
    return this.#several.write(this.#video, events)
  }

  heartbeat(): boolean {
    return this.#several.heartbeat()
  }

  end(why: Exclude<Ending, 'left' | 'answered'>, retryMs: number): void {
    this.#several.end(why, retryMs)
  }

  close(): void {
    this.#several.close()
  }
}
