import type { Key } from '../runtime/auth/keys.js'
import type { Encoded, ViewerEncoding } from '../runtime/fan-out/encoded.js'
import type { Counted } from '../runtime/limits/streams.js'

/** Why a viewer's stream ended. `answered`: a long-poll has its answer. */
export type Ending = 'left' | 'answered' | 'slow' | 'no_capacity' | 'stopping' | 'expired' | 'join_rate'

/** Where a session's events go: a viewer's connection, whatever its transport. */
export interface Sink {
  readonly encoding: ViewerEncoding
  /** Passes bytes on as they are. @returns false when it was the last that the connection takes for now, until `drained` */
  write(events: Encoded): boolean
  /** As `write`. */
  heartbeat(): boolean
  /** Ends the stream, and tells the client why where its transport can. @param retryMs how long it should wait before it comes back */
  end(why: Exclude<Ending, 'left' | 'answered'>, retryMs: number): void
  /** Cuts the connection: it would not take a farewell either. */
  close(): void
  /** The viewer's stay is over, whoever ended it. */
  over?(): void
}

/** A viewer's stay, as its connection sees it. */
export interface Stay {
  /** It is written nothing until `drained`. */
  readonly blocked: boolean
  /** The connection took some of what it was given, but does not take more yet. */
  progressed(): void
  /** The connection takes bytes again. */
  drained(): void
  /** The viewer has left. */
  left(): void
}

/** Whose stream it is. */
export interface Viewing {
  /** Where the stream counts against a limit. */
  readonly counted?: Counted | undefined
  /** When the stream must end, Unix ms. */
  readonly endsAt?: number | undefined
  /** Without which the stream must end sooner. */
  readonly key?: Key | undefined
  /** The keys that its client is counted by, the widest network last. */
  readonly client?: readonly string[] | undefined
}
