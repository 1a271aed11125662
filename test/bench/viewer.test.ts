import { Buffer } from 'node:buffer'
import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { BlockReader, type SeenComment } from '../../bench/load/block-reader.js'
import { PieceCounter } from '../../bench/load/piece-counter.js'
import { parseEvents, parseMessage } from '../../bench/load/socket-io-frames.js'
import { streamRequest, type StreamTarget } from '../../bench/load/target.js'
import { ViewerStream } from '../../bench/load/viewer.js'
import { blocks, EMPTY_BLOCK, GZIP_HEADER } from '../../protocol/gzip.js'
import { until } from '../support/until.js'

const sse: StreamTarget = { host: '127.0.0.1', port: 1, request: streamRequest('/'), protocol: 'sse', ready: 'event: ready' }
const HEAD = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n'
const BODY = ':\n\nevent: ready\nid: 0\ndata: {}\n\n' + [1, 2, 3].map(number => `id: ${number}\ndata: {"content":"hello \`${number}"}\n\n`).join('')

/** What a viewer of that target reads out of the bytes, given in pieces. */
function view(target: StreamTarget, bytes: Buffer, pieceBytes: number, counter?: PieceCounter) {
  let counted = 0
  const seen: SeenComment[] = []
  const written: Buffer[] = []
  const errors: Error[] = []
  const socket = { write: (part: Buffer) => written.push(part) } as unknown as Socket
  const reader = new BlockReader({ 'sse': undefined, 'websocket': parseEvents, 'socket.io': parseMessage, 'goim': undefined }[target.protocol])
  const viewer = new ViewerStream(target, socket, reader, { ready: () => {}, comments: comments => seen.push(...comments), malformed: error => errors.push(error), counted: comments => (counted += comments) }, counter)
  for (let at = 0; at < bytes.length; at += pieceBytes) viewer.push(Buffer.from(bytes.subarray(at, at + pieceBytes)))
  return { viewer, seen, written, errors, counted }
}

function chunked(body: Buffer, sizes: number): string {
  let text = ''
  for (let at = 0; at < body.length; at += sizes) {
    const part = body.subarray(at, at + sizes)
    text += `${part.length.toString(16)}\r\n${part.toString('latin1')}\r\n`
  }
  return text
}

t.test('a chunked stream is read however it is cut', async t => {
  const bytes = Buffer.from(`${HEAD}transfer-encoding: chunked\r\n\r\n${chunked(Buffer.from(BODY), 11)}`, 'latin1')
  for (const size of [1, 5, 64, bytes.length]) {
    const { viewer, seen, errors } = view(sse, bytes, size)
    t.ok(viewer.ready)
    t.same(seen.map(({ number }) => number), [1, 2, 3], `pieces of ${size}`)
    t.same(errors, [])
  }
})

t.test('a compressed stream is read too', async t => {
  const bytes = Buffer.from(`${HEAD}content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n${chunked(gzipSync(BODY), 13)}`, 'latin1')
  const { viewer, seen, errors } = view(sse, bytes, 9)
  t.teardown(() => viewer.close())
  await until(() => seen.length === 3)
  t.same(seen.map(({ id }) => id), [1, 2, 3])
  t.same(errors, [])
})

t.test('a compressed stream is counted, however it was written and is cut, without a decompressor of its own', async t => {
  const events = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `id: ${from + i}\ndata: {"content":"hello \`${(from + i).toString(36)}"}\n\n`).join('')
  const start = Buffer.concat([GZIP_HEADER, blocks(':\n\n', 0)])
  const ready = blocks('event: ready\nid: 0\ndata: {}\n\n', 0)
  const stream = (...written: Buffer[]) => Buffer.from(`${HEAD}content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n${written.map(part => chunked(part, 15 * 1024)).join('')}`, 'latin1')
  const punctual = stream(start, ready, ...[0, 1, 2].flatMap(n => [blocks(events(10 * n, 10 * n + 10), 6), EMPTY_BLOCK]))
  const lagging = stream(start, ready, EMPTY_BLOCK, blocks(events(0, 10), 6), EMPTY_BLOCK, blocks(events(10, 30), 6), EMPTY_BLOCK)
  const atOnce = stream(start, Buffer.concat([ready, blocks(events(0, 30), 6), EMPTY_BLOCK]))
  const long = stream(start, ready, blocks(events(0, 3_000), 0), EMPTY_BLOCK)
  const counter = new PieceCounter()
  for (const size of [1, 5, 64, 100_000]) {
    for (const [bytes, count] of [[punctual, 30], [lagging, 30], [atOnce, 30], [long, 3_000]] as const) {
      if (bytes === long && size === 1) continue // it would take ten seconds
      const { viewer, seen, errors, counted } = view(sse, bytes, size, counter)
      t.ok(viewer.ready)
      t.equal(counted, count, `pieces of ${size}`)
      t.same([seen, errors], [[], []])
    }
  }
  t.match(view(sse, stream(start, ready, blocks('data: {"content":', 6)), 100, counter).errors, [{ message: /within a line/ }])
  t.match(view(sse, stream(ready), 100, counter).errors, [{ message: /not a gzip stream/ }])
  t.equal(view(sse, stream(start, ready, Buffer.from([6, 7, 8, 0, 0, 0xff, 0xff])), 100, counter).errors.length, 1, 'what is no block')
})

t.test('an answer that is no stream is a fault', async t => {
  const { errors } = view(sse, Buffer.from('HTTP/1.1 503 Service Unavailable\r\n\r\n'), 1000)
  t.match(errors, [{ message: /503/ }])
})

const frame = (text: string) => Buffer.concat([Buffer.from(text.length < 126 ? [0x81, text.length] : [0x81, 126, text.length >> 8, text.length & 255]), Buffer.from(text)])

t.test('messages of a WebSocket are read event by event, and its pings are answered', async t => {
  const messages = `[{"event":"message","id":"7","data":{"id":"7","content":"${'x'.repeat(200)} \`5"}},{"event":"viewers","data":{"viewers":1}},{"event":"message","id":"8","data":{"id":"8","content":"\`6"}}]`
  const bytes = Buffer.concat([Buffer.from('HTTP/1.1 101 Switching Protocols\r\n\r\n'), frame('[{"event":"ready","id":"0","data":{}}]'), Buffer.from([0x89, 0]), frame('[]'), frame(messages)])
  for (const size of [1, 7, bytes.length]) {
    const { viewer, seen, written, errors } = view({ ...sse, protocol: 'websocket', ready: '"event":"ready"' }, bytes, size)
    t.ok(viewer.ready)
    t.same(seen.map(({ number, id }) => [number, id]), [[5, 7], [6, 8]])
    t.equal(written.length, 1)
    t.same(errors, [])
  }
})

t.test('Socket.IO is joined, listened to, and its pings are answered', async t => {
  const long = `42["comment",{"content":"${'x'.repeat(200)} \`5"}]`
  const bytes = Buffer.concat([Buffer.from('HTTP/1.1 101 Switching Protocols\r\n\r\n'), frame('0{}'), frame('40{"sid":"a"}'), frame('2'), frame(long)])
  for (const size of [1, 7, bytes.length]) {
    const { viewer, seen, written, errors } = view({ ...sse, protocol: 'socket.io', ready: '40{' }, bytes, size)
    t.ok(viewer.ready)
    t.same(seen.map(({ number }) => number), [5])
    t.equal(written.length, 2)
    t.same(errors, [])
  }
})
