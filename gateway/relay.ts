import { buildConnector, Client, type Dispatcher } from 'undici'
import { failureOf } from '../registry/node/client.js'
import type { PeerFailure } from '../registry/node/peer-error.js'
import type { Connect } from './join.js'
import type { StreamRequest } from './viewer.js'

/** What is read ahead of a viewer that takes nothing, beyond one read: 64 KB would be undici's. */
const READ_AHEAD_BYTES = 16_384

/** One HTTP/1.1 connection for each relayed viewer. A pool would look through all its connections for a free one
 * at every join, and a stream's connection is never free again.
 * @param headers what an internal call carries */
export function connectWith(headers: Readonly<Record<string, string>>): Connect {
  const connector = buildConnector({ timeout: 1_000, highWaterMark: READ_AHEAD_BYTES } as buildConnector.BuildOptions)
  return (edge, request, handlers) => {
    const client = new Client(new URL(edge.internalUrl).origin, {
      connect: connector,
      headersTimeout: 3_000, // an edge that takes connections and never answers
      bodyTimeout: 40_000, // more than two of an edge's heartbeats; it does not run while paused
    })
    let controller: Dispatcher.DispatchController | undefined
    let done = false
    let paused = false
    const close = (error: Error) => {
      done = true
      controller?.abort(error)
      client.destroy(error).catch(() => {})
    }
    const lost = (failure: PeerFailure, error: Error) => {
      if (done) return
      close(error)
      handlers.lost(failure)
    }
    client.dispatch(
      { path: streamPath(request), method: 'GET', headers },
      {
        onRequestStart(given) {
          controller = given
          if (done) given.abort(new Error('the viewer left'))
        },
        onResponseStart(_, status) {
          if (status !== 200) lost(status === 409 ? 'wire' : 'status', new Error(`the edge answered ${status}`))
          else if (paused) controller?.pause()
        },
        onResponseData(_, chunk) {
          if (!done) handlers.data(chunk)
        },
        onResponseEnd() {
          lost('lost', new Error('the stream ended without a last frame'))
        },
        onResponseError(_, error) {
          lost(streamFailure(error), error)
        },
      },
    )
    return {
      abort() {
        if (!done) close(new Error('the viewer left'))
      },
      pause() {
        paused = true
        controller?.pause()
      },
      resume() {
        paused = false
        controller?.resume()
      },
    }
  }
}

/** Only a connect that timed out is a `timeout`: late headers or a silent body speak of the stream, not of the edge. */
function streamFailure(error: Error): PeerFailure {
  const failure = failureOf(error)
  const { code } = error as NodeJS.ErrnoException
  return code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT' ? 'lost' : failure
}

/** Where an edge has the stream. */
export function streamPath({ videoId, after, recent, gzip }: StreamRequest): string {
  const query = new URLSearchParams()
  if (after !== undefined) query.set('after', String(after))
  else if (recent !== undefined) query.set('recent', String(recent))
  if (gzip) query.set('gzip', '1')
  return `/internal/stream/${videoId}?${query.toString()}`
}
