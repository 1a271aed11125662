import type { Buffer } from 'node:buffer'
import { parseActRequest, parseActResult, printActRequest, printActResult, type ActResult } from '../protocol/acts.js'
import { checkVideoId, type VideoId } from '../protocol/comment.js'
import { LiveError } from '../protocol/errors.js'
import { checkHeldId, parseDecision, parseDecisionResult, printDecision, printDecisionResult, type DecisionResult } from '../protocol/held.js'
import { DEFAULT_LEFT_MS, MAX_ACT_BYTES, MAX_CALL_BYTES, MAX_REPLAY_BYTES, MAX_SYNC_ROOMS } from '../protocol/limits.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import { parsePosts, printResults, READS_ENTRIES, READS_HEADER, type PostResult } from '../protocol/posts.js'
import { parseBatch, parsePeerSync, parseReplay, PEER_HEADER, printComment, printHint, printPeerSync, printReplay, readable } from '../protocol/wire.js'
import type { Homes } from '../registry/homes.js'
import type { Exchange } from '../runtime/http/exchange.js'
import { json, type Reply } from '../runtime/http/reply.js'
import type { Router } from '../runtime/http/server.js'
import type { Call } from '../runtime/peers/client.js'
import { PEER_ROUTES } from '../runtime/peers/internal-server.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { history } from './history.js'
import { OwnerCalls } from './owner-calls.js'
import type { Gateway } from './gateway.js'

export interface PeerServerDeps {
  readonly gateway: Gateway
  readonly homes: Homes
  /** Whether the view has been read at all. */
  readonly viewLoaded: () => boolean
}

/** Other clusters' dispatchers ask within these times, and wait a little longer. */
const SYNC_MS = 600
const READ_MS = 1_500
const BATCH_MS = 1_500
const JSON_HEADERS = { 'content-type': 'application/json; charset=utf-8' }
const TEXT = { 'content-type': 'text/plain; charset=utf-8' }

/** What other clusters ask of this one: all that may be asked of the home of a video, and to take what the homes of others push. Each
 * call is passed on to our dispatchers, the owner first. What comes from a cluster is never passed on to another one, so that two
 * clusters that disagree about a home refuse, and do not send a call back and forth. */
export function routePeers(router: Router, { gateway, homes, viewLoaded }: PeerServerDeps): void {
  const calls = new OwnerCalls(gateway)
  const route = (method: 'GET' | 'POST', path: string, handler: (exchange: Exchange) => Reply | Promise<Reply>) =>
    router.route(method, PEER_ROUTES + path, exchange => {
      peerOf(exchange, homes)
      // Whoever asks then asks our next gateway.
      if (path !== 'ping' && !viewLoaded()) throw new LiveError('NOT_READY', 'this gateway waits for the registry')
      return handler(exchange)
    })
  const videoAtHome = (exchange: Exchange): VideoId => {
    const videoId = checkVideoId(exchange.parameter(0))
    if (homes.elsewhere(videoId)) throw notHome()
    return videoId
  }
  const read = async (exchange: Exchange, path: (videoId: VideoId) => string): Promise<Reply> => {
    const videoId = videoAtHome(exchange)
    return answer(await ask(gateway, gateway.owners(videoId), { method: 'GET', path: path(videoId), timeoutMs: READ_MS }), JSON_HEADERS)
  }

  route('GET', 'ping', () => json({ cluster: homes.self, ...homes.rule }))
  route('POST', 'posts', async exchange => {
    const lostMs = gateway.pauses.lostMs()
    const { posts } = parsePosts(await exchange.body(MAX_CALL_BYTES))
    const results = await Promise.all(posts.map(async ({ leftMs = DEFAULT_LEFT_MS, ...draft }): Promise<PostResult> => (homes.elsewhere(draft.videoId) ? refusal(notHome()) : gateway.poster.pass(draft, leftMs - lostMs))))
    return { status: 200, headers: JSON_HEADERS, body: printResults(results) }
  })
  route('POST', 'acts', async exchange => {
    const lostMs = gateway.pauses.lostMs()
    const { order, leftMs = DEFAULT_LEFT_MS } = parseActRequest(await exchange.body(MAX_ACT_BYTES))
    const perform = (): Promise<ActResult> => {
      if (homes.elsewhere(order.videoId)) throw notHome()
      return calls.change(order.videoId, { path: '/internal/acts', body: (left, isFirst) => printActRequest({ passedOn: !isFirst, order, leftMs: left }), parse: parseActResult, settle: result => result, unknown, withinMs: leftMs }, lostMs)
    }
    return { status: 200, headers: JSON_HEADERS, body: printActResult(await orRefusal(perform)) }
  })
  route('POST', 'held/:videoId/:id', async exchange => {
    const [videoId, id] = [checkVideoId(exchange.parameter(0)), checkHeldId(exchange.parameter(1))]
    const lostMs = gateway.pauses.lostMs()
    const { leftMs = DEFAULT_LEFT_MS, ...request } = parseDecision(await exchange.body(MAX_ACT_BYTES))
    const decide = (): Promise<DecisionResult> => {
      if (homes.elsewhere(videoId)) throw notHome()
      return calls.change(videoId, { path: `/internal/held/${videoId}/${id}`, body: left => printDecision({ ...request, leftMs: left }), parse: parseDecisionResult, settle: result => result, unknown, withinMs: leftMs }, lostMs)
    }
    return { status: 200, headers: JSON_HEADERS, body: printDecisionResult(await orRefusal(decide)) }
  })
  route('GET', 'home/:videoId', async exchange => {
    const videoId = checkVideoId(exchange.parameter(0))
    return answer(await ask(gateway, gateway.owners(videoId), { method: 'GET', path: `/internal/home/${videoId}`, timeoutMs: READ_MS }), JSON_HEADERS)
  })
  route('GET', 'held/:videoId', exchange => read(exchange, videoId => `/internal/held/${videoId}`))
  route('GET', 'state/:videoId', exchange => read(exchange, videoId => `/internal/state/${videoId}`))
  route('GET', 'comments/:videoId/:id', exchange => {
    const id = exchange.parameter(1)
    return read(exchange, videoId => `/internal/comments/${videoId}/${encodeURIComponent(id)}`)
  })
  route('GET', 'history/:videoId', async exchange => history(gateway, videoAtHome(exchange), exchange.query))
  route('POST', 'sync', async exchange => {
    const headers = { [PEER_HEADER]: peerOf(exchange, homes), [READS_HEADER]: READS_ENTRIES }
    const { requests: all, viewers } = readable(parsePeerSync, await exchange.body(MAX_CALL_BYTES))
    const requests = all.filter(({ videoId }) => !homes.elsewhere(videoId))
    if (requests.length > MAX_SYNC_ROOMS) throw new LiveError('BAD_REQUEST', `a sync has at most ${MAX_SYNC_ROOMS} rooms`)
    // Rooms whose owner has no answer are missing, and asked for again.
    const answers = await Promise.allSettled(byOwner(gateway, requests).map(([owners, rooms]) => ask(gateway, owners, { path: '/internal/sync', body: printPeerSync({ requests: rooms, viewers: new Map(rooms.flatMap(({ videoId }) => (viewers.has(videoId) ? [[videoId, viewers.get(videoId)!] as const] : []))) }), headers, timeoutMs: SYNC_MS })))
    return answer(answers.map(each => (each.status === 'fulfilled' ? each.value.toString() : '')).join(''), TEXT)
  })
  route('POST', 'replay', async exchange => {
    const request = readable(parseReplay, await exchange.body(MAX_REPLAY_BYTES))
    if (homes.elsewhere(request.videoId)) throw notHome()
    return answer(await ask(gateway, gateway.owners(request.videoId), { path: '/internal/replay', body: printReplay(request), timeoutMs: READ_MS }), TEXT)
  })
  route('POST', 'batch', async exchange => {
    const peer = peerOf(exchange, homes)
    const { comments, hints } = readable(parseBatch, await exchange.body(MAX_CALL_BYTES))
    const isOfPeer = ({ videoId }: { readonly videoId: VideoId }) => homes.of(videoId) === peer
    const lines = [...hints.filter(isOfPeer).map(hint => ({ videoId: hint.videoId, line: printHint(hint) })), ...comments.filter(isOfPeer).map(comment => ({ videoId: comment.videoId, line: printComment(comment) }))]
    await Promise.all(byOwner(gateway, lines).map(([owners, each]) => ask(gateway, owners, { path: '/internal/batch', body: each.map(({ line }) => line).join(''), headers: { [PEER_HEADER]: peer }, timeoutMs: BATCH_MS })))
    return { status: 204 }
  })
}

/** Who calls. @throws LiveError FORBIDDEN where PEERS does not name it */
function peerOf(exchange: Exchange, homes: Homes): string {
  const name = exchange.header(PEER_HEADER)
  if (!homes.peers.some(peer => peer.name === name)) throw new LiveError('FORBIDDEN', `${PEER_HEADER} must name a cluster of our PEERS`)
  return name
}

/** By the owners of their videos, in the order in which they are to be asked. */
function byOwner<T extends { readonly videoId: VideoId }>({ owners, failover }: Gateway, items: readonly T[]): [readonly DispatcherNode[], T[]][] {
  const groups = new Map<string, [readonly DispatcherNode[], T[]]>()
  for (const item of items) {
    const order = failover.order(owners(item.videoId))
    const key = order[0]?.instance ?? ''
    const group = groups.get(key)
    if (group) group[1].push(item)
    else groups.set(key, [order, [item]])
  }
  return [...groups.values()]
}

/** The answer of the first that has one. @throws LiveError what a dispatcher said of the request; UNAVAILABLE */
async function ask({ client, failover, clock }: Gateway, owners: readonly DispatcherNode[], { timeoutMs, ...call }: Call): Promise<Buffer> {
  try {
    return await failover.ask(owners, (node, tryMs) => client.call(node.internalUrl, { ...call, timeoutMs: tryMs }), { deadline: clock.now() + timeoutMs, tryMs: timeoutMs })
  } catch (cause) {
    if (!(cause instanceof PeerError)) throw cause
    if (cause.status === 404) throw new LiveError('COMMENT_NOT_FOUND', 'there is no such comment', { cause })
    throw new LiveError('UNAVAILABLE', 'no dispatcher is available', { cause })
  }
}

/** An error that is an answer is a result. */
async function orRefusal<T>(change: () => Promise<T>): Promise<T | Refused> {
  try {
    return await change()
  } catch (error) {
    if (!(error instanceof LiveError)) throw error
    return refusal(error)
  }
}

type Refused = { readonly error: { readonly code: LiveError['code']; readonly message: string } }

function refusal({ code, message }: LiveError): Refused {
  return { error: { code, message } }
}

function notHome(): LiveError {
  return new LiveError('HOME_UNAVAILABLE', 'the clusters do not agree about the home of this video')
}

function unknown(cause: unknown): LiveError {
  return new LiveError('OUTCOME_UNKNOWN', 'it may have been done: the same again reveals it', { cause })
}

function answer(body: Buffer | string, headers: Readonly<Record<string, string>>): Reply {
  return { status: 200, headers, body }
}
