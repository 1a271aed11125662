import { EDGES } from '../protocol/nodes.js'
import type { NodeStat } from './zookeeper/node-stat.js'
import { nowAndThen } from './zookeeper/now-and-then.js'
import type { Session } from './zookeeper/session.js'
import { ZkError } from './zookeeper/zk-error.js'

export interface EdgeCountOptions {
  readonly zk: { readonly session: Pick<Session, 'listen'>; exists(path: string): Promise<NodeStat | null> }
  /** It is looked at about each so often, ms; half a minute by default. */
  readonly lookAgainMs?: number
}

const LOOK_AGAIN_MS = 30_000

/** How many edges are announced. An edge follows none of the others: it asks for the number alone, now and then, and does with
 * the last one while ZooKeeper is away. */
export class EdgeCount {
  /** At least 1: whoever asks is an edge itself. */
  count = 1
  readonly #zk: EdgeCountOptions['zk']
  readonly #stopListening: () => void
  readonly #stopLooking: () => void

  constructor({ zk, lookAgainMs = LOOK_AGAIN_MS }: EdgeCountOptions) {
    this.#zk = zk
    this.#stopListening = zk.session.listen({ onConnected: this.#look })
    this.#stopLooking = nowAndThen(lookAgainMs, this.#look)
    this.#look()
  }

  close(): void {
    this.#stopListening()
    this.#stopLooking()
  }

  readonly #look = (): void => {
    this.#zk.exists(EDGES).then(
      stat => (this.count = Math.max(1, stat?.children ?? 1)),
      (error: unknown) => {
        if (!(error instanceof ZkError)) throw error
      },
    )
  }
}
