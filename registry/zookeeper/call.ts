import type { Client } from 'node-zookeeper-client'
import type { LibraryError } from './internals.js'
import type { Session } from './session.js'
import { ZkError } from './zk-error.js'

export interface CallOptions {
  readonly session: Session
  /** For the error: the call's name and its path, or paths. */
  readonly op: string
  readonly path: string
  readonly timeoutMs: number
}

/** Ends a call. The library calls it through {@link answer}. */
export type Done<T> = (error: LibraryError | null, value?: T) => void

/** Makes one call of the library's, by `run`, and ends it in any case.
 * @throws ZkError `CONNECTION_LOSS` at once while not connected, `TIMEOUT` after `timeoutMs`, `BAD_ARGUMENTS` when `run`
 * throws, otherwise ZooKeeper's own code */
export function call<T>({ session, op, path, timeoutMs }: CallOptions, run: (client: Client, done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    if (!session.connected) {
      reject(new ZkError('CONNECTION_LOSS', op, path, false))
      return
    }
    const timer = setTimeout(() => reject(new ZkError('TIMEOUT', op, path, true)), timeoutMs)
    const done: Done<T> = (error, value) => {
      clearTimeout(timer)
      if (error) reject(new ZkError(error.name, op, path, true, { cause: error }))
      else resolve(value as T)
    }
    try {
      run(session.client, done)
    } catch (error) {
      // The library asserts its arguments before it sends anything.
      clearTimeout(timer)
      reject(new ZkError('BAD_ARGUMENTS', op, path, false, { cause: error, detail: (error as Error).message }))
    }
  })
}

/** A callback for the library: it hands what `map` makes of the library's results to `done`. */
export function answer<Results extends unknown[], T>(done: Done<T>, map: (...results: Results) => T) {
  return (error: Error | object | null, ...results: Results): void => {
    if (error) done(error as LibraryError)
    else done(null, map(...results))
  }
}
