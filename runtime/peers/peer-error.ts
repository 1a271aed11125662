/** Why a call to another node failed.
 * `refused`: nothing listens there, the host is unreachable, or another instance has its address: it is not serving.
 * `timeout`: it did not answer in time; the outcome is unknown.
 * `lost`: the connection broke; the outcome is unknown.
 * `status`: it answered with an error.
 * `wire`: it speaks another wire version.
 * `local`: this process could not send the call (no descriptors, stopping). */
export type PeerFailure = 'refused' | 'timeout' | 'lost' | 'status' | 'wire' | 'local'

export class PeerError extends Error {
  override readonly name = 'PeerError'
  readonly failure: PeerFailure
  /** Whether the peer may have received the call and done it; false if that is ruled out. */
  readonly sent: boolean
  /** HTTP status of a `status` failure. */
  readonly status: number | undefined
  /** Body of a `status` failure. */
  readonly body: Buffer | undefined

  constructor(failure: PeerFailure, message: string, options: ErrorOptions & { status?: number; body?: Buffer; sent?: boolean } = {}) {
    super(message, options)
    this.failure = failure
    this.sent = options.sent ?? (failure !== 'refused' && failure !== 'local' && failure !== 'wire')
    this.status = options.status
    this.body = options.body
  }
}
