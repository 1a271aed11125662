import { streamRequest, type PostTarget, type StreamTarget } from '../load/target.js'

const host = '127.0.0.1'

/** How to post to a server that passes on what it is given. */
export function publishTarget(port: number, change: Partial<PostTarget> = {}): PostTarget {
  return { host, port, line: 'POST /publish', headers: { 'content-type': 'application/json' }, payload: 'comment', prefix: '', suffix: '', form: false, ...change }
}

/** A stream of server-sent events whose viewer is subscribed once it is answered. */
export function sseTarget(port: number, path: string): StreamTarget {
  return { host, port, request: streamRequest(path), protocol: 'sse', ready: null }
}
