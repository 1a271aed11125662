import { z } from 'zod'
import { parseActRequest, printActResult } from '../protocol/acts.js'
import { checkAuthor, checkVideoId } from '../protocol/comment.js'
import { printState } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import { checkHeldId, parseDecision, printDecisionResult, printHeld } from '../protocol/held.js'
import { parseCursor } from '../protocol/id.js'
import { DEFAULT_PAGE_SIZE, MAX_ACT_BYTES, MAX_CALL_BYTES, MAX_PAGE_SIZE, MAX_REPLAY_BYTES } from '../protocol/limits.js'
import type { MemberNode } from '../protocol/nodes.js'
import { asRead, isRead, parsePosts, printResults, READS_ENTRIES, READS_HEADER } from '../protocol/posts.js'
import { parseBatch, parsePeerSync, parseReplay, parseSync, PEER_HEADER, printAnswers, readable } from '../protocol/wire.js'
import type { Exchange } from '../runtime/http/exchange.js'
import { json, type Reply } from '../runtime/http/reply.js'
import type { Router } from '../runtime/http/server.js'
import type { ByHome } from './by-home.js'
import type { Answers, Dispatcher } from './dispatcher.js'
import type { HistoryQuery } from './history.js'

/** Videos that operators are shown the rates of. */
const RATED_VIDEOS = 100

const JSON_HEADERS = { 'content-type': 'application/json; charset=utf-8' }
const TEXT = { 'content-type': 'text/plain; charset=utf-8' }

/** The dispatcher's routes, on its internal port. @param byHome where there are several clusters: what answers about videos */
export function routeDispatcher(router: Router, dispatcher: Dispatcher, byHome?: ByHome): void {
  const answers: Answers = byHome ?? dispatcher
  const amongPeers = (): ByHome => {
    if (!byHome) throw new LiveError('FORBIDDEN', 'this cluster has no PEERS')
    return byHome
  }
  router.route('POST', '/internal/posts', async exchange => {
    const reads = exchange.header(READS_HEADER)
    const lostMs = dispatcher.lostMs()
    const batch = parsePosts(await exchange.body(MAX_CALL_BYTES))
    return { status: 200, headers: JSON_HEADERS, body: printResults(asRead(await answers.posts(batch, lostMs), reads, batch.entries)) }
  })
  router.route('POST', '/internal/acts', async exchange => {
    const lostMs = dispatcher.lostMs()
    const request = parseActRequest(await exchange.body(MAX_ACT_BYTES))
    return { status: 200, headers: JSON_HEADERS, body: printActResult(await answers.act(request, lostMs)) }
  })
  router.route('POST', '/internal/erase-author', async exchange => {
    const { authorId, actorId, after } = erasureOf(await exchange.body(MAX_ACT_BYTES))
    return json(await dispatcher.eraseAuthor(checkAuthor(authorId, 'authorId'), checkAuthor(actorId, 'actorId'), after ?? undefined))
  })
  router.route('GET', '/internal/comments/:videoId/:id', async exchange => {
    const id = parseCursor(exchange.parameter(1))
    if (!id) throw new LiveError('COMMENT_NOT_FOUND', 'there is no such comment')
    return json({ authorId: await answers.authorOf({ videoId: checkVideoId(exchange.parameter(0)), id }) })
  })
  router.route('GET', '/internal/held/:videoId', async exchange => {
    return { status: 200, headers: JSON_HEADERS, body: printHeld(await answers.held(checkVideoId(exchange.parameter(0)))) }
  })
  router.route('POST', '/internal/held/:videoId/:id', async exchange => {
    const [videoId, id] = [checkVideoId(exchange.parameter(0)), checkHeldId(exchange.parameter(1))]
    const lostMs = dispatcher.lostMs()
    const request = parseDecision(await exchange.body(MAX_ACT_BYTES))
    return { status: 200, headers: JSON_HEADERS, body: printDecisionResult(await answers.decide(videoId, id, request, lostMs)) }
  })
  router.route('GET', '/internal/state/:videoId', async exchange => {
    return { status: 200, headers: JSON_HEADERS, body: printState(await answers.state(checkVideoId(exchange.parameter(0)))) }
  })
  router.route('POST', '/internal/sync', async exchange => {
    const peer = exchange.header(PEER_HEADER)
    if (peer !== '') return text(printAnswers(await amongPeers().syncOfPeer(peer, readable(parsePeerSync, await exchange.body(MAX_CALL_BYTES)))))
    const edge = edgeOf(exchange)
    const withStates = isRead(exchange.header(READS_HEADER), READS_ENTRIES)
    const requests = readable(parseSync, await exchange.body(MAX_CALL_BYTES))
    return text(printAnswers(await answers.sync(edge, requests, withStates)))
  })
  router.route('POST', '/internal/replay', async exchange => {
    const request = readable(parseReplay, await exchange.body(MAX_REPLAY_BYTES))
    return text(printAnswers([await answers.replay(request, () => !exchange.aborted)]))
  })
  router.route('POST', '/internal/batch', async exchange => {
    const peer = exchange.header(PEER_HEADER)
    const batch = readable(parseBatch, await exchange.body(MAX_CALL_BYTES))
    if (peer === '') answers.batch(batch)
    else amongPeers().pushed(peer, batch)
    return { status: 204 }
  })
  router.route('GET', '/internal/home/:videoId', async exchange => {
    return json((await byHome?.homeOf(checkVideoId(exchange.parameter(0)), exchange.query.get('peers') === 'yes')) ?? null)
  })
  router.route('GET', '/internal/rates', () => json({ videos: dispatcher.rates.top(RATED_VIDEOS) }))
  router.route('GET', '/internal/history/:videoId', async exchange => {
    return json(await answers.history(checkVideoId(exchange.parameter(0)), queryOf(exchange.query), () => !exchange.aborted))
  })
}

const erasure = z.object({ authorId: z.string(), actorId: z.string(), after: z.string().nullish() })

/** Whose comments to delete, and who orders it. @throws LiveError BAD_REQUEST */
function erasureOf(bytes: Buffer): z.infer<typeof erasure> {
  try {
    return erasure.parse(JSON.parse(bytes.toString()))
  } catch (cause) {
    throw new LiveError('BAD_REQUEST', 'the body must be {"authorId", "actorId", "after"}', { cause })
  }
}

/** Who syncs, from the headers. @throws LiveError BAD_REQUEST */
function edgeOf(exchange: Exchange): MemberNode {
  const id = exchange.header('x-live-edge')
  const instance = exchange.header('x-live-instance')
  const internalUrl = exchange.header('x-live-url')
  if (id === '' || instance === '' || !URL.canParse(internalUrl)) throw new LiveError('BAD_REQUEST', 'x-live-edge, x-live-instance and x-live-url must say who asks')
  return { id, instance, internalUrl }
}

/** @throws LiveError BAD_CURSOR, BAD_DIRECTION, BAD_PAGE_SIZE */
function queryOf(query: URLSearchParams): HistoryQuery {
  const text = query.get('cursor') ?? ''
  const cursor = text === '' ? undefined : parseCursor(text)
  if (text !== '' && cursor === undefined) throw new LiveError('BAD_CURSOR', 'cursor must be a decimal number from 0 to 2^53 - 1')
  const direction = query.get('direction') || 'before'
  if (direction !== 'before' && direction !== 'after') throw new LiveError('BAD_DIRECTION', 'direction must be before or after')
  const size = query.get('pageSize') || String(DEFAULT_PAGE_SIZE)
  const pageSize = Number(size)
  if (!/^[0-9]{1,3}$/.test(size) || pageSize < 1 || pageSize > MAX_PAGE_SIZE) throw new LiveError('BAD_PAGE_SIZE', `pageSize must be a whole number from 1 to ${MAX_PAGE_SIZE}`)
  return { cursor, direction, pageSize }
}

function text(body: string): Reply {
  return { status: 200, headers: TEXT, body }
}
