import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { deflateRawSync } from 'node:zlib'
import t from 'tap'
import {
  isNodeId, MAX_HELD_VIDEOS, MAX_ZNODE_BYTES, parseCluster, parseDispatcher, parseDrain, parseEdge, parseExpected, parseGateway, parseHoldings, parseMember, parsePlacement, parseStore, printHoldings, printNode,
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

t.test('wishes of placement are read by the names of their entries', async t => {
  t.same(parsePlacement(printNode({ edges: 3 }), 'spread:demo'), { edges: 3 })
  t.same(parsePlacement(printNode({ until: 7 }), 'rebalance'), { until: 7 })
  for (const name of ['spread', 'spread:', 'spread:a/b', `spread:${'x'.repeat(65)}`, 'demo', 'rebalance2']) t.throws(() => parsePlacement(printNode({ edges: 3 }), name), { name: 'RubbishError' }, name)
  for (const text of ['', '{}', '{"edges":0}', '{"edges":1.5}', '{"edges":10001}', '{"edges":"3"}', '{"until":3}']) t.throws(() => parsePlacement(Buffer.from(text), 'spread:demo'), { name: 'RubbishError' }, text)
  for (const text of ['{}', '{"until":-1}', '{"until":"x"}', '{"edges":3}']) t.throws(() => parsePlacement(Buffer.from(text), 'rebalance'), { name: 'RubbishError' }, text)
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

t.test('a list that inflates to more than an edge announces is rubbish, and costs no more than a full one', async t => {
  const few = parseHoldings(printHoldings({ instance: 'i1', videos: new Map([['v', 1]]) }))
  t.equal(few.videos.size, 1)
  const line = (i: number) => `${i.toString(36).padStart(64, '_')} 1\n`
  const list = (count: number) => deflateRawSync(`i1\n${Array.from({ length: count }, (_, i) => line(i)).join('')}`)
  t.equal(parseHoldings(list(MAX_HELD_VIDEOS)).videos.size, MAX_HELD_VIDEOS)
  const bombs: Record<string, Buffer> = {
    'one letter': deflateRawSync(Buffer.alloc(32 << 20, 65)),
    'the same line again and again': deflateRawSync(`${'x'.repeat(16)}\n${'a 1\n'.repeat(5_000_000)}`),
    'one video, as often as it may be': deflateRawSync(`i1\n${'a 1\n'.repeat(MAX_HELD_VIDEOS)}`),
    'a video too many': list(MAX_HELD_VIDEOS + 1),
    'over a znode\'s bytes': Buffer.alloc(MAX_ZNODE_BYTES + 1),
    'an instance without end': deflateRawSync(`${'x'.repeat(1 << 20)}\nv 1\n`),
    'an instance of control characters': deflateRawSync('\u001b[2J\nv 1\n'),
    'no UTF-8': deflateRawSync(Buffer.from('i1\nv\xff 1\n', 'latin1')),
  }
  const since = performance.now()
  for (const [what, bomb] of Object.entries(bombs)) t.throws(() => parseHoldings(bomb), { name: 'RubbishError' }, what)
  t.ok(performance.now() - since < 3_000, `${Math.round(performance.now() - since)} ms in all`)
})

t.test('an id keeps nothing of its list in memory, which others of the list leave sooner', async t => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const list = printHoldings({ instance: 'i1', videos: new Map(Array.from({ length: 10_000 }, (_, i) => [`video-of-some-length-${i}`, 1])) })
  const used = () => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const before = used()
  const kept = Array.from({ length: 50 }, () => parseHoldings(list).videos.keys().next().value)
  const grown = used() - before
  t.equal(kept.length, 50)
  t.ok(grown < 2_000_000, `${grown} bytes for 50 ids, of lists of 270,000 each`)
})

t.test('what no entry in JSON can be is rubbish, before it is read', async t => {
  const kinds = { parseEdge, parseDispatcher, parseGateway, parseMember, parseDrain, parseCluster, parseExpected, parseStore }
  const sound = JSON.stringify({ ...edgeNode('e1'), name: 'n', generation: 'g', file: 'f', stored: 1 })
  const shapes: Record<string, Buffer> = {
    'too long': Buffer.from(JSON.stringify({ ...edgeNode('e1'), more: 'x'.repeat(16 << 10) })),
    'too long, of blanks': Buffer.concat([Buffer.from(sound), Buffer.alloc(1_000_000, 32)]),
    'deep, and never closed': Buffer.alloc(1_000_000, '['),
    'deep': Buffer.from(`${'['.repeat(8_000)}${']'.repeat(8_000)}`),
    'deep, in a field': Buffer.from(`{"id":${'{"a":'.repeat(3_000)}1${'}'.repeat(3_000)}}`),
    'no UTF-8': Buffer.from(sound.replace('"e1"', '"e1","more":"\xff"'), 'latin1'),
    'half a character': Buffer.concat([Buffer.from(sound.slice(0, -1)), Buffer.from([0x2c, 0x22, 0xe2, 0x82])]),
    'a number too large': Buffer.from(sound.replaceAll(/:[0-9]+/g, ':1e999').replaceAll('127.0.0.1:1e999', '127.0.0.1:1')),
  }
  for (const [kind, parse] of Object.entries(kinds)) {
    for (const [what, data] of Object.entries(shapes)) {
      if (what === 'a number too large' && ['parseMember', 'parseDrain', 'parseCluster', 'parseExpected'].includes(kind)) continue // they have none
      t.throws(() => parse(data), { name: 'RubbishError' }, `${kind}: ${what}`)
    }
  }
  t.equal(parseEdge(Buffer.from(JSON.stringify({ ...edgeNode('e1'), internalUrl: `http://x/${'y'.repeat(2_000)}`, publicUrl: `http://x/${'y'.repeat(2_000)}`, later: 'z'.repeat(4_000) }))).id, 'e1', 'the longest, and a field of a later version')
})

t.test('a node id is 1 to 64 of A-Z a-z 0-9 _ -', async t => {
  for (const id of ['a', 'host-1_edge', 'x'.repeat(64)]) t.ok(isNodeId(id))
  for (const id of ['', 'x'.repeat(65), 'a.b', 'a/b', 'a\n', '..']) t.notOk(isNodeId(id), JSON.stringify(id))
})
