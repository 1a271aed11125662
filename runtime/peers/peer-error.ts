/** Why a call to another node failed.
 * `refused`: nothing listens there, the host is unreachable, or another instance has its address: it is not serving.
 * `timeout`: it did not answer in time; the outcome is unknown.
 * `lost`: the connection broke; the outcome is unknown.
 * `status`: it answered with an error.
 * `wire`: it speaks another wire version.
 * `unproven`: it has not proven that it is a part of ours, and was sent nothing: see proof.ts.
 * `local`: this process could not send the call (no descriptors, stopping). */
export type PeerFailure = 'refused' | 'timeout' | 'lost' | 'status' | 'wire' | 'unproven' | 'local'

/** Such a call has done nothing. */
const NEVER_SENT: ReadonlySet<PeerFailure> = new Set(['refused', 'local', 'wire', 'unproven'])

export class PeerError extends Error {
  override readonly name = 'PeerError'
  readonly failure: PeerFailure
  /** Whether the peer may have received the call and done it; false if that is ruled out. */
  readonly sent: boolean
  /** HTTP status of a `status` failure; 401 of an `unproven` one if the proof was wrong. */
  readonly status: number | undefined
  /** Body of a `status` failure. */
  readonly body: Buffer | undefined

  constructor(failure: PeerFailure, message: string, options: ErrorOptions & { status?: number; body?: Buffer; sent?: boolean } = {}) {
    super(message, options)
    this.failure = failure
    this.sent = options.sent ?? !NEVER_SENT.has(failure)
    this.status = options.status
    this.body = options.body
  }
}

/** The codes and names of an error and of what caused it. */
export function codesOf(error: unknown): ReadonlySet<unknown> {
  const codes = new Set<unknown>()
  for (let e: unknown = error; e instanceof Error; e = e.cause) {
    codes.add((e as NodeJS.ErrnoException).code).add(e.name) // both: a DOMException's code is a number
    if (e instanceof AggregateError) for (const inner of e.errors) codes.add((inner as NodeJS.ErrnoException).code)
  }
  return codes
}

/** The system's name for the socket's error behind a failure, such as `ECONNREFUSED`; undefined where there is none. */
export function socketError(error: unknown): string | undefined {
  return [...codesOf(error)].find((code): code is string => typeof code === 'string' && /^E[A-Z]/.test(code))
}
