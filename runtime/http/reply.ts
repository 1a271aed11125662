import { errorBody, type LiveError } from '../../protocol/errors.js'

export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Whether to close the connection after the answer, for instance because the body was not read. */
  readonly close?: boolean
}

/** What a handler answers, now or later; undefined if it took over the response. */
export type Answer = Reply | Promise<Reply | undefined> | undefined

/** An error as a reply. It closes the connection if the body was left unread. */
export function errorReply(error: LiveError): Reply {
  const close = error.status === 413 || error.status === 415
  return { ...json(errorBody(error), error.status, error.headers), close }
}

export function json(value: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Reply {
  return { status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body: JSON.stringify(value) }
}

const REASONS: Readonly<Record<number, string>> = {
  200: 'OK', 201: 'Created', 204: 'No Content', 304: 'Not Modified', 308: 'Permanent Redirect',
  400: 'Bad Request', 401: 'Unauthorized', 403: 'Forbidden', 404: 'Not Found', 405: 'Method Not Allowed', 409: 'Conflict',
  413: 'Content Too Large', 415: 'Unsupported Media Type', 421: 'Misdirected Request', 422: 'Unprocessable Content', 429: 'Too Many Requests',
  500: 'Internal Server Error', 503: 'Service Unavailable', 504: 'Gateway Timeout',
}

export function statusLine(status: number): string {
  return `${status} ${REASONS[status] ?? 'Status'}`
}
