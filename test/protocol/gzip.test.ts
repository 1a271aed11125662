import fc from 'fast-check'
import { constants, createGunzip, inflateRawSync } from 'node:zlib'
import t from 'tap'
import { blocks, EMPTY_BLOCK, GZIP_HEADER } from '../../protocol/gzip.js'

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
