import { timeOfId, type Cursor } from '../../protocol/id.js'
import { MAX_REPLAY } from '../../protocol/limits.js'
import type { Clock } from '../clock.js'
import type { Refusals } from './refusals.js'
import { Shares } from './shares.js'

/** What the replays of all clients may take together, and what one client may owe before its next ones have to wait. */
const BYTES_PER_SECOND = 8 * 1024 * 1024
const ALLOWANCE = 1024 * 1024
/** An event of a comment of usual length. */
const COMMENT_BYTES = 256
/** A viewer that comes back with a cursor that is no older has missed few comments. */
const LATELY_MS = 60_000
const FEW_COMMENTS = 64

/** What of the past a viewer asks for. */
export interface ReplayAsked {
  /** The cursor to resume from. */
  readonly after: Cursor | undefined
  /** Without one: how many of the newest comments. */
  readonly recent: number | undefined
}

/** The bandwidth that replays share. */
export function replayShares(clock: Clock): Shares {
  return new Shares({ clock, bytesPerSecond: BYTES_PER_SECOND, allowance: ALLOWANCE })
}

/** The replays of a public port: clients share one bandwidth, and a client's viewers share what is its own. */
export class Replays {
  readonly #clock: Clock
  readonly #refusals: Refusals
  readonly #shares: Shares

  constructor({ clock, refusals }: { clock: Clock; refusals: Refusals }) {
    this.#clock = clock
    this.#refusals = refusals
    this.#shares = replayShares(clock)
  }

  /** @param client the key of the client's widest network
   * @returns undefined if the viewer asks for no replay; 'later' if it has to come back, because its client was sent more
   * than its share */
  open(client: string, asked: ReplayAsked): Replay | 'later' | undefined {
    const expected = expectedReplay(asked, this.#clock.wall())
    if (expected === 0) return undefined
    if (this.#shares.waitMs(client) > 0) {
      this.#refusals.count('replays')
      return 'later'
    }
    return new Replay(this.#shares, client, expected)
  }
}

/** One viewer's replay. What is expected of it is charged at once, so that a client cannot begin many before the first is
 * counted; in the end its client is charged what was sent. */
export class Replay {
  readonly #shares: Shares
  readonly #client: string
  /** Charged and not sent yet. */
  #ahead: number

  constructor(shares: Shares, client: string, expected: number) {
    this.#shares = shares
    this.#client = client
    this.#ahead = expected
    shares.charge(client, expected)
  }

  sent(bytes: number): void {
    this.#ahead -= bytes
    if (this.#ahead >= 0) return
    this.#shares.charge(this.#client, -this.#ahead)
    this.#ahead = 0
  }

  /** Its viewer is live, or has left. */
  ended(): void {
    this.#shares.charge(this.#client, -this.#ahead)
    this.#ahead = 0
  }
}

/** What a replay may take, bytes, as far as that can be told before. @param wall Unix ms */
export function expectedReplay({ after, recent = 0 }: ReplayAsked, wall: number): number {
  if (after === undefined) return recent * COMMENT_BYTES
  return (wall - timeOfId(after) < LATELY_MS ? FEW_COMMENTS : MAX_REPLAY) * COMMENT_BYTES
}
