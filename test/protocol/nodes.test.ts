import fc from 'fast-check'
import { deflateRawSync } from 'node:zlib'
import t from 'tap'
import {
  isNodeId, MAX_ZNODE_BYTES, parseDispatcher, parseDrain, parseEdge, parseExpected, parseHoldings, parseMember, printHoldings, printNode,
} from '../../protocol/nodes.js'
import { dispatcherNode, edgeNode } from '../support/nodes.js'

const videoId = fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/)

t.test('nodes are read as they were printed', async t => {
  t.same(parseEdge(printNode(edgeNode('e1', { viewers: 7, state: 'draining' }))), edgeNode('e1', { viewers: 7, state: 'draining' }))
  t.same(parseDispatcher(printNode(dispatcherNode('d1'))), dispatcherNode('d1'))
  t.same(parseDrain(printNode({ instance: 'i1' })), { instance: 'i1' })
  t.same(parseMember(printNode(edgeNode('e1'))), { id: 'e1', instance: 'i1', internalUrl: 'http://127.0.0.1:9081' })
})

t.test('a field of a later version is ignored', async t => {
  t.same(parseDispatcher(Buffer.from(JSON.stringify({ ...dispatcherNode('d1'), zone: 'north' }))), dispatcherNode('d1'))
})

t.test('what is no edge is rubbish', async t => {
  const broken: Record<string, unknown>[] = [
    { id: 'a.b' }, { id: '' }, { instance: '' }, { internalUrl: 'nowhere' }, { publicUrl: 'ftp://x' }, { capacity: -1 }, { capacity: 1.5 }, { viewers: '7' }, { viewers: null },
    { state: 'gone' }, { startedAt: 'now' }, { version: 1 }, { wire: undefined },
    { instance: 'i\n1' }, { instance: 'x'.repeat(65) }, { version: '\u001b[2J' }, { version: 'x'.repeat(65) }, { publicUrl: `http://x/${'y'.repeat(2_048)}` },
  ]
  for (const fields of broken) t.throws(() => parseEdge(Buffer.from(JSON.stringify({ ...edgeNode('e1'), ...fields }))), { name: 'RubbishError' }, JSON.stringify(fields))
  for (const text of ['', 'null', '[]', '{', '"edge"', '\xff']) t.throws(() => parseEdge(Buffer.from(text)), { name: 'RubbishError' }, text)
  t.throws(() => parseDrain(Buffer.from('{}')), { name: 'RubbishError' })
})

t.test('what is expected is any of three counts; what is none is rubbish', async t => {
  for (const expected of [{}, { edges: 3 }, { gateways: 2, edges: 0, dispatchers: 10_000 }]) t.same(parseExpected(printNode(expected)), expected)
  t.same(parseExpected(Buffer.from('{"edges":3,"relays":2}')), { edges: 3 }, 'a kind of a later version is ignored')
  for (const text of ['', '3', '{"edges":-1}', '{"edges":1.5}', '{"edges":"3"}', '{"edges":null}', '{"edges":10001}']) t.throws(() => parseExpected(Buffer.from(text)), { name: 'RubbishError' }, text)
})

t.test('holdings are read as they were printed', async () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-f]{16}$/), fc.dictionary(videoId, fc.nat()), (instance, videos) => {
      const given = new Map(Object.entries(videos))
      const read = parseHoldings(printHoldings({ instance, videos: given }))
      return read.instance === instance && JSON.stringify([...read.videos]) === JSON.stringify([...given])
    }),
  )
})

t.test('20,000 rooms of the longest ids fit into a znode with room to spare', async t => {
  let seed = 1
  const letter = () => 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-'[(seed = (seed * 48_271) % 0x7fffffff) >>> 25]!
  const rooms = (count: number, length: number) => new Map(Array.from({ length: count }, (_, i) => [Array.from({ length }, letter).join('') + i.toString(36), i]))
  const typical = printHoldings({ instance: 'i1', videos: rooms(20_000, 11) })
  t.ok(typical.length < 400_000, `${typical.length} bytes`)
  const videos = rooms(15_000, 60)
  const worst = printHoldings({ instance: 'i1', videos })
  t.ok(worst.length < MAX_ZNODE_BYTES, `${worst.length} bytes`)
  t.same(parseHoldings(worst).videos.size, videos.size)
})

t.test('what is no list of holdings is rubbish', async t => {
  for (const text of ['', '\n', 'i1', 'i1\nv 1', 'i1\nv\n', 'i1\nv \n', 'i1\nv x\n', 'i1\nv -1\n', 'i1\nv 1.5\n', 'i1\nv 1e3\n', 'i1\na.b 1\n', 'i1\n12\n', 'i1\nv 1 2\n', 'i1\n\n']) {
    t.throws(() => parseHoldings(deflateRawSync(text)), { name: 'RubbishError' }, JSON.stringify(text))
  }
  for (const bytes of [Buffer.alloc(0), Buffer.from('i1\nv 1\n'), printHoldings({ instance: 'i1', videos: new Map([['v', 1]]) }).subarray(0, -3)]) t.throws(() => parseHoldings(bytes), { name: 'RubbishError' })
})

t.test('a list that inflates without end is rubbish, not a full memory', async t => {
  t.throws(() => parseHoldings(deflateRawSync(Buffer.alloc(80 * 1024 * 1024, 65))), { name: 'RubbishError' })
})

t.test('a node id is 1 to 64 of A-Z a-z 0-9 _ -', async t => {
  for (const id of ['a', 'host-1_edge', 'x'.repeat(64)]) t.ok(isNodeId(id))
  for (const id of ['', 'x'.repeat(65), 'a.b', 'a/b', 'a\n', '..']) t.notOk(isNodeId(id), JSON.stringify(id))
})
