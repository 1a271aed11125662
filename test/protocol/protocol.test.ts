import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { constants, gunzipSync, inflateRawSync } from 'node:zlib'
import { Registry } from 'prom-client'
import t from 'tap'
import type { Dispatcher } from '../../dispatcher/dispatcher.js'
import { routeDispatcher } from '../../dispatcher/server.js'
import type { StoreReport } from '../../dispatcher/standing.js'
import { routeStore, type StoreDesk } from '../../dispatcher/store-server.js'
import type { Edge } from '../../edge/edge.js'
import { internalRoutes } from '../../edge/server.js'
import { routePeers, type PeerServerDeps } from '../../gateway/peer-server.js'
import { parseActRequest, parseActResult, printActRequest, printActResult } from '../../protocol/acts.js'
import { toEventJson, toPublic } from '../../protocol/comment.js'
import { readEntry, toActJson, toTombstoneJson } from '../../protocol/entry.js'
import { LiveError } from '../../protocol/errors.js'
import { frame, FrameReader } from '../../protocol/frame.js'
import { parseDecision, parseDecisionResult, parseHeld, printDecision, printDecisionResult, printHeld } from '../../protocol/held.js'
import { GZIP_HEADER } from '../../protocol/gzip.js'
import { nextId } from '../../protocol/id.js'
import { LINK_PATH, parseToEdge, parseToGateway, printToEdge, printToGateway } from '../../protocol/link.js'
import { closeText, errorMessage, messagesOf, parsePostMessage, postedMessage } from '../../protocol/message.js'
import { CLOCKS, CLUSTER, DISPATCHERS, DRAIN, EDGES, EXPECTED, GATEWAYS, HOLDINGS, parseCluster, parseDispatcher, parseDrain, parseEdge, parseExpected, parseGateway, parseHoldings, parseHome, parsePlacement, parseStore, printHoldings, printNode, STORE } from '../../protocol/nodes.js'
import { parsePosts, parseResults, printPosts, printResults, READS_HEADER } from '../../protocol/posts.js'
import type { Settings } from '../../protocol/entry.js'
import { parsePlaces, Places, sharedEvents, tagsOf, withIds, type SeveralFormat } from '../../protocol/several.js'
import { commentEvent, deletedEvent, gapEvent, pinnedEvent, readyEvent, settingsEvent, skippedEvent, SseParser, viewersEvent, type SseEvent } from '../../protocol/sse.js'
import { parseAnswers, parseBatch, parseReplay, parseSync, printAnswers, printComment, printHint, printReplay, printSync, NONCE_HEADER, PEER_HEADER, PROOF_HEADER, TO_HEADER, WIRE_HEADER, WIRE_VERSION } from '../../protocol/wire.js'
import { PollAnswer } from '../../runtime/http/poll.js'
import { HttpServer } from '../../runtime/http/server.js'
import { internalServer, PEER_ROUTES } from '../../runtime/peers/internal-server.js'
import { checkProof, printProof } from '../../runtime/peers/proof.js'
import { projectRoot } from '../../runtime/root.js'

const protocol = readFileSync(join(projectRoot, 'protocol/PROTOCOL.md'), 'utf8')
const unseen = new Map(Array.from(protocol.matchAll(/^```([a-z-]+)\n(.*?)^```$/gms), ([, name, text]) => [name!, text!]))

/** The example of that name, its last line feed included. */
function example(name: string): string {
  const text = unseen.get(name)
  if (text === undefined) throw new Error(`PROTOCOL.md has no example of ${name}`)
  unseen.delete(name)
  return text
}

const headers = { [WIRE_HEADER]: String(WIRE_VERSION) }
const bytesOf = (text: string) => Buffer.from(text)
const hex = (text: string) => Buffer.from(text.replace(/\s/g, ''), 'hex')

t.test('a comment is printed as it stands there, at the id that its time gives', async t => {
  const comment = { id: nextId(Date.UTC(2026, 0, 1), 0), videoId: 'demo', authorId: 'ada', content: 'hello', createdAt: Date.UTC(2026, 0, 1) }
  t.equal([comment, { ...comment, authorName: 'Ada Lovelace' }, { ...comment, by: 'moderator' as const }].map(each => `${toEventJson(each)}\n`).join(''), example('comment'))
  t.same(JSON.parse(example('history')), { comments: [toPublic(comment)], nextCursor: null })
})

t.test('entries are read and printed as they stand there', async t => {
  const lines = example('entries').trim().split('\n')
  const printed = lines.map(json => {
    const entry = readEntry('demo', json)
    const { id, createdAt } = JSON.parse(json) as { id: string; createdAt: number }
    return entry.kind === 'act' ? toActJson(Number(id), entry.act, entry.pinned) : entry.kind === 'tombstone' ? toTombstoneJson(Number(id), createdAt) : entry.kind
  })
  t.same(printed, lines)
})

t.test('lines of text are read and printed as they stand there', async t => {
  const batch = example('batch')
  const { comments, hints } = parseBatch(bytesOf(batch))
  t.equal(hints.map(printHint).join('') + comments.map(printComment).join(''), batch)
  t.equal(comments[1]!.prev, comments[0]!.id)
  const sync = example('sync')
  t.equal(printSync(parseSync(bytesOf(sync))), sync)
  const answers = example('answers')
  t.equal(printAnswers(parseAnswers(bytesOf(answers))), answers)
  const replay = example('replay')
  t.equal(printReplay(parseReplay(bytesOf(replay))), replay)
})

t.test('posts and their results are read and printed as they stand there', async t => {
  const posts = example('posts')
  t.equal(`${printPosts(parsePosts(bytesOf(posts)))}\n`, posts)
  const results = example('results')
  t.equal(`${printResults(parseResults(bytesOf(results)))}\n`, results)
})

t.test('acts and their results are read and printed as they stand there', async t => {
  const act = example('act')
  t.equal(`${printActRequest(parseActRequest(bytesOf(act)))}\n`, act)
  for (const name of ['acted', 'not-acted']) {
    const result = example(name)
    t.equal(`${printActResult(parseActResult(bytesOf(result)))}\n`, result)
  }
})

t.test('held comments, and decisions about them, are read and printed as they stand there', async t => {
  const held = example('held-comments')
  t.equal(`${printHeld(parseHeld(bytesOf(held)))}\n`, held)
  const decision = example('decision')
  t.equal(`${printDecision(parseDecision(bytesOf(decision)))}\n`, decision)
  const results = example('decided').trim().split('\n')
  t.same(results.map(result => printDecisionResult(parseDecisionResult(bytesOf(result)))), results)
})

t.test('who wrote a comment, and what is left of an author, is told as it stands there', async t => {
  const asked: unknown[] = []
  const [author, erase, erased] = ['author', 'erase', 'erased'].map(name => example(name).trim()) as [string, string, string]
  const server = internalServer({ token: undefined, metrics: new Registry(), identity: { id: 'a', instance: 'b', version: 'c' }, notReady: () => undefined, onBug: () => {} })
  routeDispatcher(server, {
    authorOf: async (place: unknown) => {
      asked.push(place)
      return (JSON.parse(author) as { authorId: string }).authorId
    },
    eraseAuthor: async (...given: unknown[]) => {
      asked.push(given)
      return JSON.parse(erased) as unknown
    },
  } as unknown as Dispatcher)
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${server.listen('127.0.0.1', 0)}/internal`
  t.equal(await (await fetch(`${url}/comments/demo/129171456000000`, { headers })).text(), author)
  t.equal((await fetch(`${url}/comments/demo/x`, { headers })).status, 404)
  const order = (body: string) => fetch(`${url}/erase-author`, { method: 'POST', headers: { ...headers, 'content-type': 'application/json' }, body })
  t.equal(await (await order(erase)).text(), erased)
  t.equal((await order('{}')).status, 400)
  t.same(asked, [{ videoId: 'demo', id: 129171456000000 }, ['ada', 'operator', undefined]])
})

t.test('frames are read and made as they stand there', async t => {
  const bytes = hex(example('frames'))
  const frames = new FrameReader().push(bytes)
  t.same(frames.map(({ kind }) => kind), [1, 2, 1, 3])
  t.same(Buffer.concat(frames.map(({ kind, id, payload }) => frame(kind, id, payload))), bytes)
  t.equal(frames[1]!.payload.toString(), readyEvent(frames[1]!.id, 'demo', 3))
  t.equal(frames[2]!.payload.toString(), viewersEvent(3))
  t.equal(frames[3]!.payload.toString(), 'drain')
})

t.test('the messages of a link are read and printed as they stand there', async t => {
  const messages = (name: string) => example(name).trim().split('\n').map(hex)
  const toEdge = messages('to-edge')
  t.same(toEdge.map(bytes => parseToEdge(bytes).kind), ['join', 'weight', 'ping'])
  t.same(toEdge.map(bytes => printToEdge(parseToEdge(bytes))), toEdge)
  const toGateway = messages('to-gateway')
  t.same(toGateway.map(bytes => parseToGateway(bytes).kind), ['ready', 'flush', 'pong', 'groupEnded'])
  t.same(toGateway.map(bytes => printToGateway(parseToGateway(bytes))), toGateway)
  const [ready, flush] = toGateway.map(parseToGateway)
  t.equal(ready?.kind === 'ready' && ready.ready.toString(), readyEvent(129171456000000, 'demo', 3))
  t.equal(flush?.kind === 'flush' && flush.events.toString(), viewersEvent(3))
  t.match(protocol, `\`${LINK_PATH}\``)
})

t.test('events are read and printed as they stand there', async t => {
  const text = example('events')
  const print: Record<string, (event: SseEvent) => string> = {
    message: ({ id, data }) => commentEvent(Number(id), data),
    ready: ({ id, data }) => readyEvent(Number(id), (JSON.parse(data) as { videoId: string }).videoId, (JSON.parse(data) as { viewers: number }).viewers),
    viewers: ({ data }) => viewersEvent((JSON.parse(data) as { viewers: number }).viewers),
    pinned: ({ id, data }) => pinnedEvent(Number(id), JSON.stringify((JSON.parse(data) as { comment: unknown }).comment)),
    settings: ({ id, data }) => settingsEvent(Number(id), JSON.parse(data) as Settings),
    deleted: ({ id, data }) => deletedEvent(Number(id), Number((JSON.parse(data) as { target: string }).target)),
    gap: ({ data }) => gapEvent(Number((JSON.parse(data) as { from: string }).from), Number((JSON.parse(data) as { to: string }).to)),
    skipped: ({ data }) => {
      const { count, from, to } = JSON.parse(data) as { count: number; from: string; to: string }
      return skippedEvent(count, Number(from), Number(to))
    },
  }
  const events = new SseParser().push(bytesOf(text))
  t.same(events.map(({ event }) => event), Object.keys(print))
  t.equal(events.map(event => print[event.event]!(event)).join(''), text)
})

t.test('messages are read and printed as they stand there', async t => {
  const comment = { id: 129171456000000, videoId: 'demo', authorId: 'ada', content: 'hello', createdAt: 1767225600000 }
  const events = [commentEvent(comment.id, toEventJson(comment)), readyEvent(comment.id, 'demo', 3), viewersEvent(3), gapEvent(comment.id, comment.id + 4096)]
  t.equal(`${messagesOf(events.join(''))}\n`, example('messages'))
  t.same(parsePostMessage(example('socket-post')), { ref: 1, body: bytesOf('{"content":"hello","authorId":"ada"}'), key: 'k1' })
  const answers = [postedMessage(1, JSON.stringify(toPublic(comment))), errorMessage(1, new LiveError('BAD_COMMENT', 'content must not be empty'))]
  t.equal(answers.map(answer => `${answer}\n`).join(''), example('socket-answers'))
  t.equal(`${closeText('stopping', 1234)}\n`, example('socket-close'))
  const poll = new PollAnswer()
  for (const event of events.slice(0, 2)) poll.take(bytesOf(messagesOf(event)))
  t.equal(`${poll.reply(comment.id).body as string}\n`, example('poll'))
})

t.test('streams of several videos are read and printed as they stand there', async t => {
  const comment = { id: 129171456000000, videoId: 'demo', authorId: 'ada', content: 'hello', createdAt: 1767225600000 }
  const text = commentEvent(comment.id, toEventJson(comment)) + readyEvent(comment.id, 'demo', 3) + viewersEvent(3) + deletedEvent(comment.id + 3, comment.id)
  const printed = (format: SeveralFormat) => {
    const shared = sharedEvents(format, 'demo', text)
    return withIds(format, shared, new Places([{ videoId: 'demo', after: undefined }, { videoId: 'other', after: comment.id + 4096 }]).passed(0, shared.cursors)).toString()
  }
  const events = example('several')
  t.equal(printed('events'), events)
  t.equal(`${printed('messages')}\n`, example('several-messages'))
  const [demo, other] = tagsOf(['demo', 'other'])
  t.same([...parsePlaces(new SseParser().push(bytesOf(events)).at(-1)!.id)!], [[demo, comment.id + 3], [other, comment.id + 4096]])
  t.match(protocol, `\`videos=demo:${comment.id},other\``)
  t.same(parsePostMessage(example('several-post'), ['demo', 'other']), { ref: 1, videoId: 'other', key: undefined, body: bytesOf('{"content":"hello","authorId":"ada"}') })
})

t.test('a compressed stream is what it says, and begins with our header', async t => {
  const bytes = hex(example('gzip'))
  t.same(bytes.subarray(0, GZIP_HEADER.length), GZIP_HEADER)
  t.equal(gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString(), example('gunzipped'))
})

t.test('znodes are read and printed as they stand there', async t => {
  for (const [name, parse] of [['edge', parseEdge], ['dispatcher', parseDispatcher], ['gateway', parseGateway], ['drain', parseDrain], ['cluster', parseCluster], ['expected', parseExpected], ['store', parseStore], ['spread', (data: Buffer) => parsePlacement(data, 'spread:demo')], ['rebalance', (data: Buffer) => parsePlacement(data, 'rebalance')], ['home', (data: Buffer) => parseHome(data, 'demo')]] as const) {
    const text = example(name)
    t.equal(`${printNode(parse(bytesOf(text))).toString()}\n`, text, name)
  }
  const text = example('holdings')
  const deflated = hex(example('deflated-holdings'))
  t.equal(inflateRawSync(deflated).toString(), text)
  t.equal(inflateRawSync(printHoldings(parseHoldings(deflated))).toString(), text)
  for (const path of [EDGES, HOLDINGS, DISPATCHERS, GATEWAYS, DRAIN, CLOCKS]) t.match(protocol, `| \`${path}/<id>\` |`)
  for (const path of [CLUSTER, EXPECTED, STORE]) t.match(protocol, `| \`${path}\` |`)
})

t.test('every internal route, header and the version are named', async t => {
  const server = internalServer({ token: undefined, metrics: new Registry(), identity: { id: 'a', instance: 'b', version: 'c' }, notReady: () => undefined, onBug: () => {} })
  internalRoutes(server, {} as Edge)
  routeDispatcher(server, {} as Dispatcher)
  routeStore(server, {} as StoreDesk)
  t.teardown(() => server.close())
  const peers = new HttpServer({ onBug: () => {} })
  routePeers(peers, {} as PeerServerDeps)
  t.teardown(() => peers.close())
  for (const route of peers.routes.filter(route => route.includes(PEER_ROUTES))) t.match(protocol, `\`${route.replace(PEER_ROUTES, '')}\``, route)
  for (const route of server.routes.filter(route => route.includes('/internal/'))) t.match(protocol, `\`${route}`, route)
  for (const header of [WIRE_HEADER, TO_HEADER, PEER_HEADER, READS_HEADER, NONCE_HEADER, PROOF_HEADER]) t.match(protocol, `\`${header}\``)
  const named = new Set(Array.from(protocol.matchAll(/x-live-[a-z]+/g), ([header]) => header))
  t.same([...named].sort(), ['x-live-edge', 'x-live-instance', 'x-live-nonce', 'x-live-peer', 'x-live-proof', 'x-live-reads', 'x-live-to', 'x-live-url', 'x-live-wire'])
  t.match(protocol, `The wire's version is **${WIRE_VERSION}**`)
})

t.test('a ping and asked holdings are answered as they stand there, but for the clock', async t => {
  const { now: _, ...identity } = JSON.parse(example('ping')) as { now: number; id: string; instance: string; version: string }
  const held = JSON.parse(example('held')) as { viewers: number; videos: Record<string, number> }
  const server = internalServer({ token: undefined, metrics: new Registry(), identity, notReady: () => undefined, onBug: () => {} })
  internalRoutes(server, { viewers: held.viewers, subscriptions: () => new Map(Object.entries(held.videos)) } as unknown as Edge)
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${server.listen('127.0.0.1', 0)}`
  const { now, ...answered } = (await (await fetch(`${url}/internal/ping`, { headers })).json()) as { now: number }
  t.same(answered, identity)
  t.ok(Math.abs(now - Date.now()) < 60_000)
  t.same(await (await fetch(`${url}/internal/holdings`, { headers })).json(), held)
})

t.test('a proof is given and checked as it stands there', async t => {
  const lines = new Map(example('proof').trim().split('\n').map(line => [line.split(/:? +/)[0]!, line.slice(line.search(/ [^ ]/) + 1)]))
  const [token, url, nonce, proof] = ['token', 'url', NONCE_HEADER, PROOF_HEADER].map(name => lines.get(name)!) as [string, string, string, string]
  t.equal(printProof(token, { instance: '9f86d081884c7d65', url }, nonce), proof)
  t.equal(checkProof(token, url, nonce, proof), '9f86d081884c7d65')
})

t.test('a dispatcher\'s store is told as it stands there', async t => {
  const { check, ...report } = JSON.parse(example('report')) as StoreReport & { check: string }
  const server = internalServer({ token: undefined, metrics: new Registry(), identity: { id: 'a', instance: 'b', version: 'c' }, notReady: () => undefined, onBug: () => {} })
  routeStore(server, { standing: { report, adopt: async () => {} }, check: async () => check })
  t.teardown(() => server.close())
  const url = `http://127.0.0.1:${server.listen('127.0.0.1', 0)}/internal/store`
  t.same(await (await fetch(url, { headers })).json(), { ...report, check })
  t.same(await (await fetch(`${url}?check=no`, { headers })).json(), { ...report, check: null })
  const order = (body: string, type = 'application/json') => fetch(url, { method: 'POST', headers: { ...headers, 'content-type': type }, body })
  t.same(await (await order('{"adopt":"restore"}')).json(), { ...report, check: null })
  t.equal((await order('{"adopt":"other"}')).status, 400)
  t.equal((await order('{"adopt":"restore"}', 'text/plain')).status, 415, 'no page of another site can send that')
})

t.test('no example was left unread', async t => t.same([...unseen.keys()], []))
