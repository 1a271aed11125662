/** Error codes that callers may see, with their HTTP statuses. They are stable: clients match on them. */
const STATUS = {
  BAD_REQUEST: 400,
  BAD_COMMENT: 400,
  BAD_ACT: 400,
  BAD_VIDEO_ID: 400,
  BAD_VIDEOS: 400,
  BAD_CURSOR: 400,
  BAD_AT: 400,
  BAD_DIRECTION: 400,
  BAD_PAGE_SIZE: 400,
  BAD_RECENT: 400,
  BAD_MAX_RATE: 400,
  BAD_WAIT: 400,
  BAD_IDEMPOTENCY_KEY: 400,
  UNAUTHORIZED: 401,
  SIGN_IN_REQUIRED: 401,
  FORBIDDEN: 403,
  BANNED: 403,
  COMMENTS_CLOSED: 403,
  NOT_FOUND: 404,
  COMMENT_NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  WRONG_WIRE_VERSION: 409,
  ALREADY_DECIDED: 409,
  BODY_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  MISDIRECTED: 421,
  KEY_REUSED: 422,
  CONTENT_TOO_LONG: 422,
  LINKS_NOT_ALLOWED: 422,
  WORD_NOT_ALLOWED: 422,
  DUPLICATE_COMMENT: 422,
  REVIEW_REFUSED: 422,
  RATE_LIMITED: 429,
  SLOW_MODE: 429,
  INTERNAL: 500,
  OVERLOADED: 503,
  STORE_UNAVAILABLE: 503,
  UNAVAILABLE: 503,
  HOME_UNAVAILABLE: 503,
  NO_CAPACITY: 503,
  NOT_READY: 503,
  UPGRADE_UNFINISHED: 503,
  REVIEW_UNAVAILABLE: 503,
  OUTCOME_UNKNOWN: 504,
} as const

const NONE = {}

export type ErrorCode = keyof typeof STATUS

export class LiveError extends Error {
  readonly code: ErrorCode
  /** Extra response headers, such as `allow` or `retry-after`. */
  readonly headers: Readonly<Record<string, string>>
  /** Further fields of the body's `error`, such as the key to retry a post with. */
  readonly details: Readonly<Record<string, string>>

  constructor(code: ErrorCode, message: string, options?: ErrorOptions & { headers?: Record<string, string>; details?: Record<string, string> }) {
    super(message, options)
    this.name = 'LiveError'
    this.code = code
    this.headers = options?.headers ?? NONE
    this.details = options?.details ?? NONE
  }

  get status(): number {
    return STATUS[this.code]
  }
}

export function isErrorCode(text: string): text is ErrorCode {
  return Object.hasOwn(STATUS, text)
}

/** The body of an error's answer. */
export function errorBody({ code, message, details }: LiveError): { error: { code: ErrorCode; message: string } } {
  return { error: { code, message, ...details } }
}
