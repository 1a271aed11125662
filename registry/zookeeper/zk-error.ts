/** Codes that speak of the connection, not of the call. */
const RETRYABLE_CODES: readonly string[] = ['CONNECTION_LOSS', 'TIMEOUT', 'SESSION_EXPIRED', 'SESSION_MOVED']

/** A call to ZooKeeper has failed. */
export class ZkError extends Error {
  override readonly name = 'ZkError'

  constructor(
    /** ZooKeeper's own (`NO_NODE`, `BAD_VERSION`, `CONNECTION_LOSS`, …), or `TIMEOUT` (no answer in time), or `BAD_ARGUMENTS`
     * (refused here and never sent). */
    readonly code: string,
    readonly op: string,
    readonly path: string,
    /** False when the server cannot have seen the call. It may be true of a call that was still queued here. */
    readonly sent: boolean,
    options?: ErrorOptions & { detail?: string },
  ) {
    super(`${op} ${path}: ${code}${options?.detail ? ` (${options.detail})` : ''}`, options)
  }

  /** The same call may succeed later. */
  get retryable(): boolean {
    return RETRYABLE_CODES.includes(this.code)
  }

  /** The write may have been applied or not: read back before you try again. */
  get ambiguous(): boolean {
    return this.sent && this.retryable
  }
}

/** Whether a call to ZooKeeper failed with one of `codes`. */
export function isZkError(error: unknown, ...codes: string[]): error is ZkError {
  return error instanceof ZkError && codes.includes(error.code)
}
