/** A call to ZooKeeper that failed. `code` is ZooKeeper's own (`NO_NODE`, `BAD_VERSION`, `CONNECTION_LOSS`, …), or
 * `TIMEOUT` (no answer in time), or `BAD_ARGUMENTS` (refused here, never sent). */
export class ZkError extends Error {
  constructor(
    readonly code: string,
    readonly op: string,
    readonly path: string,
    /** False: the server cannot have seen it. True: it may have, a call still queued here included. */
    readonly sent: boolean,
    options?: ErrorOptions & { detail?: string },
  ) {
    super(`${op} ${path}: ${code}${options?.detail ? ` (${options.detail})` : ''}`, options)
    this.name = 'ZkError'
  }

  /** Of the connection, not of the call: the same call may pass later. */
  get retryable(): boolean {
    return ['CONNECTION_LOSS', 'TIMEOUT', 'SESSION_EXPIRED', 'SESSION_MOVED'].includes(this.code)
  }

  /** The write may or may not have been applied: read back before trying again. */
  get ambiguous(): boolean {
    return this.sent && this.retryable
  }
}

export function isZk(error: unknown, ...codes: string[]): error is ZkError {
  return error instanceof ZkError && codes.includes(error.code)
}
