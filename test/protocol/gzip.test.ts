import fc from 'fast-check'
import { constants, createGunzip, gunzipSync, inflateRawSync } from 'node:zlib'
import t from 'tap'
import { blocks, checksumOf, EMPTY_BLOCK, GZIP_HEADER, GzipTrailer, joined } from '../../protocol/gzip.js'

const unpack = (bytes: Uint8Array) => inflateRawSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }).toString()

t.test('blocks read back by themselves, at every level and length', async () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 500 }), fc.nat(400), fc.nat(9), (text, times, level) => {
    const long = text.repeat(times)
    return unpack(blocks(long, level)) === Buffer.from(long).toString()
  }))
})

t.test('a header and any blocks, of any edges, are one gzip stream that shows each at once', async t => {
  const gunzip = createGunzip()
  let text = ''
  gunzip.setEncoding('utf8').on('data', (part: string) => (text += part))
  gunzip.write(GZIP_HEADER)
  let sent = ''
  for (const [part, level] of [['retry: 1000\n', 0], ['data: ää\n\n'.repeat(200), 6], ['data: b\n\n', 1], ['data: c\n\n', 0]] as const) {
    sent += part
    await new Promise<void>(resolve => gunzip.write(Buffer.concat([blocks(part, level), EMPTY_BLOCK]), () => resolve()))
    t.equal(text, sent)
  }
  gunzip.destroy()
})

t.test('repetition is compressed', async t => {
  t.ok(blocks('data: hello\n\n'.repeat(100), 6).length < 100)
})

t.test('the trailer ends a stream of any pieces, counted one by one or joined first', async () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.string({ unit: 'binary', maxLength: 50 }), fc.nat(200), fc.boolean()), { maxLength: 8 }), pieces => {
    const trailer = new GzipTrailer()
    const parts = pieces.map(([text, times, join]) => {
      const long = text.repeat(times)
      trailer.add(join ? joined(checksumOf(long), checksumOf(text)) : checksumOf(long + text))
      return long + text
    })
    return gunzipSync(Buffer.concat([GZIP_HEADER, ...parts.map(part => blocks(part, 1)), trailer.bytes()])).toString() === Buffer.from(parts.join('')).toString()
  }))
})
