import type { ClientRequest } from 'node:http'
import { WebSocket, type RawData } from 'ws'
import { LINK_PATH, MAX_TO_GATEWAY_BYTES } from '../protocol/link.js'
import type { EdgeNode } from '../protocol/nodes.js'
import { TO_HEADER } from '../protocol/wire.js'
import { failureOf, type InternalClient } from '../runtime/peers/client.js'
import { PeerError, type PeerFailure } from '../runtime/peers/peer-error.js'
import type { ConnectLink, LinkHandlers, LinkSocket } from './link.js'

/** An edge that takes a connection and never answers. */
const HANDSHAKE_MS = 3_000
const CONNECT_MS = 1_000

/** Links over WebSockets. An edge that has not proven itself gets nothing. */
export function linkWith(client: Pick<InternalClient, 'headersFor'>): ConnectLink {
  return (edge, handlers) => {
    const socket = new WsLinkSocket(edge, handlers)
    const headers = client.headersFor(edge.internalUrl, edge.instance)
    if (headers instanceof Promise) {
      headers.then(
        headers => socket.open(headers),
        (error: unknown) => socket.fail(error instanceof PeerError ? error.failure : 'lost'),
      )
    } else socket.open(headers)
    return socket
  }
}

class WsLinkSocket implements LinkSocket {
  readonly #edge: EdgeNode
  readonly #handlers: LinkHandlers
  #ws: WebSocket | undefined
  /** What waits for the socket to be open. */
  #waiting: Uint8Array[] | undefined = []
  #isOver = false

  constructor(edge: EdgeNode, handlers: LinkHandlers) {
    this.#edge = edge
    this.#handlers = handlers
  }

  open(headers: Readonly<Record<string, string>>): void {
    if (this.#isOver) return
    const url = new URL(LINK_PATH, this.#edge.internalUrl)
    url.protocol = 'ws:'
    const connecting = setTimeout(() => this.fail('timeout'), CONNECT_MS)
    const finishRequest = (request: ClientRequest) => {
      request.once('socket', socket => socket.once('connect', () => clearTimeout(connecting)))
      request.end()
    }
    const ws = (this.#ws = new WebSocket(url, { headers: { ...headers, [TO_HEADER]: this.#edge.instance }, perMessageDeflate: false, maxPayload: MAX_TO_GATEWAY_BYTES, handshakeTimeout: HANDSHAKE_MS, followRedirects: false, finishRequest }))
    ws.on('upgrade', ({ socket }) => socket.on('data', () => this.#isOver || this.#handlers.heard()))
    ws.on('open', () => this.#opened(ws))
    ws.on('message', (data: RawData) => {
      if (!this.#isOver) this.#handlers.message(data as Buffer)
    })
    ws.on('unexpected-response', (_, response) => {
      const { statusCode } = response
      this.fail(statusCode === 404 ? 'absent' : statusCode === 421 ? 'refused' : statusCode === 409 ? 'wire' : 'status')
    })
    ws.on('error', error => this.fail(failureOf(error)))
    ws.on('close', () => this.fail('lost'))
  }

  send(message: Uint8Array): void {
    if (this.#isOver) return
    if (this.#waiting) this.#waiting.push(message)
    else this.#ws!.send(message)
  }

  close(): void {
    this.#isOver = true
    this.#waiting = undefined
    this.#ws?.terminate()
  }

  fail(failure: PeerFailure | 'absent'): void {
    if (this.#isOver) return
    this.close()
    this.#handlers.lost(failure)
  }

  #opened(ws: WebSocket): void {
    if (this.#isOver) return
    const waiting = this.#waiting!
    this.#waiting = undefined
    for (const message of waiting) ws.send(message)
    this.#handlers.opened()
  }
}
