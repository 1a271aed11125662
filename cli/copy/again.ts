import { setTimeout as sleep } from 'node:timers/promises'
import { CallError } from '../../dispatcher/store/cassandra/call-error.js'

/** What one call has, ms. */
export const CALL_MS = 10_000
const TRIES = 8
const RETRY_MS = 250

/** Tries again what Cassandra was too busy for: what is called must come to the same then. @throws CallError */
export async function again<T>(call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof CallError) || tries === TRIES) throw error
      await sleep(RETRY_MS * tries)
    }
  }
}
