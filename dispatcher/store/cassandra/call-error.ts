import cassandra from 'cassandra-driver'

/** A statement that failed, or whose answer did not come. */
export class CallError extends Error {
  override readonly name = 'CallError'
  /** It may have been done all the same, now or later. */
  readonly unknown: boolean

  /** @param message for an operator */
  constructor(message: string, unknown: boolean, options?: ErrorOptions) {
    super(message, options)
    this.unknown = unknown
  }
}

const { errors } = cassandra
const { responseErrorCodes, consistencies } = cassandra.types
/** What a node refuses before it does anything. */
const REFUSALS: ReadonlySet<number> = new Set([
  responseErrorCodes.isBootstrapping,
  responseErrorCodes.syntaxError,
  responseErrorCodes.unauthorized,
  responseErrorCodes.invalid,
  responseErrorCodes.configError,
  responseErrorCodes.unprepared,
  responseErrorCodes.badCredentials,
])

const UNAVAILABLE: number = responseErrorCodes.unavailableException

/** What the driver says where no contact point's name has an address. */
const UNRESOLVED = 'No host could be resolved'
/** What OpenSSL says, beside an address in memory and a path of its source, to an answer that is no TLS. */
const NO_TLS = 'ERR_SSL_WRONG_VERSION_NUMBER'
const WRONG_DATA_CENTRE = /^localDataCenter was configured as '([^']*)', but only found hosts in data centers: \[(.*)\]$/

/** What an error of the driver's means. Whatever does not say that nothing was done may have been done. */
export function callErrorOf(error: unknown): CallError {
  if (error instanceof CallError) return error
  return new CallError(messageOf(error), mayBeDone(error), { cause: error })
}

function mayBeDone(error: unknown): boolean {
  if (error instanceof errors.NoHostAvailableError) return causesOf(error).some(([, cause]) => wasSent(cause))
  if (error instanceof errors.ArgumentError || error instanceof errors.AuthenticationError || error instanceof errors.BusyConnectionError) return false
  return wasSent(error)
}

/** By host. */
function causesOf({ innerErrors }: cassandra.errors.NoHostAvailableError): [string, unknown][] {
  return Object.entries((innerErrors ?? {}) as Record<string, unknown>)
}

/** The driver tries no other host once a write was sent: what it says of a host it could not reach was not sent. */
function wasSent(error: unknown): boolean {
  if (error instanceof errors.ResponseError) return !isRefusal(error)
  if (error instanceof errors.OperationTimedOutError) return true
  const { isSocketError, requestNotWritten } = error as { isSocketError?: boolean; requestNotWritten?: boolean }
  return isSocketError === true && requestNotWritten !== true
}

/** Too few replicas for the first round of a conditional write stop it there; too few for its last round come after it was
 * decided. */
function isRefusal(error: cassandra.errors.ResponseError): boolean {
  if (REFUSALS.has(error.code)) return true
  const { consistencies: consistency } = error as { consistencies?: cassandra.types.consistencies }
  return error.code === UNAVAILABLE && (consistency === consistencies.localSerial || consistency === consistencies.serial)
}

/** In words for an operator. */
function messageOf(error: unknown): string {
  if (error instanceof errors.NoHostAvailableError) {
    const [found] = causesOf(error)
    if (found) return `no node answers: ${hostOf(found[0])}: ${messageOf(found[1])}`
    return error.message === UNRESOLVED ? 'no node can be reached: none of the hosts\' names is known here' : 'no node can be reached'
  }
  if (error instanceof errors.OperationTimedOutError) return 'no answer in time'
  if (error instanceof errors.AuthenticationError) return `the user or the password is refused: ${error.message}`
  if (error instanceof errors.ResponseError && error.code === UNAVAILABLE) {
    const { required, alive } = error as { required?: number; alive?: number }
    return `too few replicas are up: ${alive} of the ${required} that it takes`
  }
  const { code, message } = error as { code?: unknown; message?: unknown }
  if (code === NO_TLS) return `${NO_TLS}: it does not speak TLS`
  const text = String(message).split('\n', 1)[0]!
  const [, wrong, found] = WRONG_DATA_CENTRE.exec(text) ?? []
  if (wrong !== undefined) return `there is no data centre ${wrong}: its nodes are in ${found}`
  return typeof code === 'string' && !text.includes(code) ? `${code}: ${text}` : text
}

function hostOf(key: string): string {
  return key.replace(/^::ffff:/, '')
}
