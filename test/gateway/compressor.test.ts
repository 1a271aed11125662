import { Buffer } from 'node:buffer'
import { inflateRawSync, constants } from 'node:zlib'
import t from 'tap'
import { Compressor } from '../../gateway/compressor.js'
import { Events } from '../../gateway/events.js'
import { checksumOf } from '../../protocol/gzip.js'

const policy = { level: 6, minViewers: 4 }
const textOf = (bytes: Buffer) => inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString()
const short = Buffer.from('é '.repeat(100))
const long = (n: number) => Buffer.from(`${n} and so on, `.repeat(100))

t.test('what is short is compressed for four viewers, and stored for fewer', async t => {
  const compressor = new Compressor(policy)
  const [few, many] = [compressor.pack(short, 3), compressor.pack(short, 4)]
  for (const { bytes, checksum } of [few, many]) t.same([textOf(bytes), checksum], [short.toString(), checksumOf(short.toString())])
  t.ok(few.bytes.length > short.length)
  t.ok(many.bytes.length < short.length / 2)
})

t.test('what fills a packet is compressed for one viewer too, and once where a crowd asks for the same', async t => {
  const compressor = new Compressor(policy)
  const first = compressor.pack(long(1), 1)
  t.ok(first.bytes.length < long(1).length / 5)
  t.equal(compressor.pack(long(1), 1), first)
  t.equal(compressor.pack(long(1), 500), first)
  for (let n = 2; n < 10; n++) t.equal(textOf(compressor.pack(long(n), 1).bytes), long(n).toString())
  t.not(compressor.pack(long(1), 1), first, 'only the newest are remembered')
})

t.test('events are made once for each encoding', async t => {
  const events = new Events([short, long(1)], 4, new Compressor(policy))
  const [plain, gzip] = [events.for({ encoding: 'plain' }), events.for({ encoding: 'gzip' })]
  t.same([plain.bytes.toString(), plain.checksum], [`${short.toString()}${long(1).toString()}`, undefined])
  t.equal(textOf(gzip.bytes), plain.bytes.toString())
  t.same([gzip.checksum!.crc >>> 0, gzip.checksum!.bytes], [checksumOf(plain.bytes).crc, plain.bytes.length])
  t.equal(events.for({ encoding: 'gzip' }), gzip)
  t.equal(events.for({ encoding: 'plain' }), plain)
  const messages = events.for({ encoding: 'messages' })
  t.ok(Array.isArray(JSON.parse(messages.bytes.toString())), 'all of them in one message')
  t.equal(events.for({ encoding: 'messages' }), messages)
  t.equal(new Events([short], 1, new Compressor(policy)).for({ encoding: 'plain' }).bytes, short, 'one text is passed on as it is')
})
