import { Buffer } from 'node:buffer'
import { CLOCKS } from '../protocol/nodes.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { isZkError } from '../registry/zookeeper/zk-error.js'
import type { Clock } from '../runtime/clock.js'

const MEASURE_MS = 60_000
const RETRY_MS = 2_000
/** More than this, and what is stored would have wrong ids and times. */
const OFF_MS = 60_000
/** The wall clock has moved by so much more or less than the monotonic one: it was set, or the machine slept. */
const STEP_MS = 10_000
/** What took longer says too little. */
const MAX_ROUND_TRIP_MS = 5_000

export interface ClockCheckOptions {
  readonly clock: Clock
  /** What another clock says, Unix ms. Rejects while it cannot be asked. */
  readonly stamp: () => Promise<number>
  /** It has been measured. */
  readonly onMeasured: () => void
}

/** Whether our wall clock can be trusted with ids and times: compared with ZooKeeper's once a minute, and with the
 * monotonic clock at every look in between. Until it was compared once there is nothing against it. */
export class ClockCheck {
  readonly #options: ClockCheckOptions
  #measured: { readonly aheadMs: number; readonly offsetMs: number } | undefined
  #measuring = false
  #cancel = (): void => {}
  #closed = false

  constructor(options: ClockCheckOptions) {
    this.#options = options
  }

  /** How far it was ahead of ZooKeeper's, ms, where it was compared. */
  get aheadMs(): number | undefined {
    return this.#measured?.aheadMs
  }

  /** Why it is not to be trusted, or undefined. */
  get off(): string | undefined {
    if (!this.#measured) return undefined
    const { aheadMs, offsetMs } = this.#measured
    const steppedMs = this.#offset() - offsetMs
    if (Math.abs(steppedMs) >= STEP_MS) {
      void this.measure()
      return `the clock was moved ${seconds(steppedMs)} s, and has not been compared with ZooKeeper's since`
    }
    if (Math.abs(aheadMs) <= OFF_MS) return undefined
    return `the clock is ${seconds(Math.abs(aheadMs))} s ${aheadMs > 0 ? 'ahead of' : 'behind'} ZooKeeper's`
  }

  /** Compares it, now and from then on. Never rejects. */
  async measure(): Promise<void> {
    if (this.#measuring || this.#closed) return
    this.#measuring = true
    this.#cancel()
    const succeeded = await this.#compare()
    this.#measuring = false
    if (this.#closed) return
    this.#cancel = this.#options.clock.after(succeeded ? MEASURE_MS : RETRY_MS, () => void this.measure())
    if (succeeded) this.#options.onMeasured()
  }

  close(): void {
    this.#closed = true
    this.#cancel()
  }

  async #compare(): Promise<boolean> {
    const { clock, stamp } = this.#options
    const askedAt = clock.now()
    const before = clock.wall()
    let there: number
    try {
      there = await stamp()
    } catch {
      return false
    }
    const tookMs = clock.now() - askedAt
    if (tookMs > MAX_ROUND_TRIP_MS) return false
    this.#measured = { aheadMs: Math.round(before + tookMs / 2 - there), offsetMs: before - askedAt }
    return true
  }

  #offset(): number {
    const { clock } = this.#options
    return clock.wall() - clock.now()
  }
}

/** What ZooKeeper's clock says, by writing to a node of our own.
 * @returns a function that rejects with ZkError while ZooKeeper is away */
export function zookeeperStamp(zk: Zk, nodeId: string): () => Promise<number> {
  const path = `${CLOCKS}/${nodeId}`
  const write = async () => (await zk.setData(path, Buffer.alloc(0))).modifiedAt
  return async () => {
    try {
      return await write()
    } catch (error) {
      if (!isZkError(error, 'NO_NODE')) throw error
    }
    await zk.ensure(CLOCKS)
    await zk.create(path, Buffer.alloc(0), { ephemeral: true })
    return write()
  }
}

function seconds(ms: number): string {
  return String(Math.round(ms / 1000))
}
