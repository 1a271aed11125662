import { buildConnector, Client, type Dispatcher } from 'undici'
import type { EdgeNode } from '../protocol/nodes.js'
import { failureOf, type CallHeaders, type InternalClient } from '../runtime/peers/client.js'
import { PeerError, type PeerFailure } from '../runtime/peers/peer-error.js'
import type { Connect, EdgeStream, EdgeStreamHandlers } from './relayed.js'
import type { StreamRequest } from './viewer.js'

/** What is read ahead of a viewer that takes nothing, beyond one read: 64 KB would be undici's. */
const READ_AHEAD_BYTES = 16_384

/** Made once: an error takes its stack when it is made, and many viewers leave. */
const LEFT = new Error('the viewer left')
const ENDED = new Error('the stream ended without a last frame')
const LOST = new Error('the stream is lost')

/** One HTTP/1.1 connection for each relayed viewer. A pool would look through all its connections for a free one
 * at every join, and a stream's connection is never free again. An edge that has not proven itself gets nothing. */
export function connectWith(client: Pick<InternalClient, 'headersFor'>): Connect {
  const connect = buildConnector({ timeout: 1_000, highWaterMark: READ_AHEAD_BYTES } as buildConnector.BuildOptions)
  const options: Client.Options = {
    connect,
    headersTimeout: 3_000, // an edge that takes connections and never answers
    bodyTimeout: 40_000, // more than two of an edge's heartbeats; it does not run while paused
  }
  const origins = new WeakMap<EdgeNode, URL>()
  return (edge, request, handlers) => {
    let origin = origins.get(edge)
    if (!origin) origins.set(edge, (origin = new URL(new URL(edge.internalUrl).origin)))
    const stream = new HttpEdgeStream(new Client(origin, options), handlers)
    const headers = client.headersFor(edge.internalUrl, edge.instance)
    if (headers instanceof Promise) stream.requestWith(streamPath(request), headers)
    else stream.request(streamPath(request), headers)
    return stream
  }
}

/** One object, and no closures of its own: there are as many as relayed viewers. */
class HttpEdgeStream implements EdgeStream, Dispatcher.DispatchHandler {
  readonly #client: Client
  readonly #handlers: EdgeStreamHandlers
  #controller: Dispatcher.DispatchController | undefined
  #done = false
  #paused = false

  constructor(client: Client, handlers: EdgeStreamHandlers) {
    this.#client = client
    this.#handlers = handlers
  }

  request(path: string, headers: CallHeaders): void {
    if (!this.#done) this.#client.dispatch({ path, method: 'GET', headers }, this)
  }

  /** Once the edge has proven itself. */
  requestWith(path: string, headers: Promise<CallHeaders>): void {
    headers.then(
      headers => this.request(path, headers),
      (error: unknown) => this.#lost(error instanceof PeerError ? error.failure : 'lost', LOST),
    )
  }

  abort(): void {
    if (!this.#done) this.#close(LEFT)
  }

  pause(): void {
    this.#paused = true
    this.#controller?.pause()
  }

  resume(): void {
    this.#paused = false
    this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#done) controller.abort(LEFT)
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    controller.rawHeaders = null // they would be kept for as long as the stream is open: a kilobyte of small buffers
    if (status !== 200) this.#lost(status === 409 ? 'wire' : 'status', new Error(`the edge answered ${status}`))
    else if (this.#paused) controller.pause()
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#done) this.#handlers.data(chunk)
  }

  onResponseEnd(): void {
    this.#lost('lost', ENDED)
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (!this.#done) this.#lost(streamFailure(error), LOST)
  }

  #lost(failure: PeerFailure, error: Error): void {
    if (this.#done) return
    this.#close(error)
    this.#handlers.lost(failure)
  }

  #close(error: Error): void {
    this.#done = true
    this.#client.destroy(error, () => {})
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
