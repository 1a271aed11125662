import { Buffer } from 'node:buffer'
import t from 'tap'
import { checksumOf } from '../../../protocol/gzip.js'
import { inOne, textBytes, withReady, type Encoded } from '../../../runtime/fan-out/encoded.js'

const [a, b, c] = ['one', 'zwei', 'três'].map((text): Encoded => ({ bytes: Buffer.from(text), checksum: checksumOf(text) })) as [Encoded, Encoded, Encoded]

t.test('several that go in one write have one checksum, or none where one of them has none', async t => {
  t.equal(inOne([a]), a, 'one is passed on as it is')
  const all = inOne([a, b, c])
  t.equal(all.bytes.toString(), 'onezweitrês')
  t.same([all.checksum!.crc >>> 0, all.checksum!.bytes], [checksumOf('onezweitrês').crc, 12])
  t.equal(inOne([a, { bytes: b.bytes }, c]).checksum, undefined)
})

t.test('a ready follows what was missed in the same write, or goes alone', async t => {
  t.equal(withReady(a, undefined), a)
  t.equal(withReady({ bytes: Buffer.alloc(0) }, b), b)
  t.equal(withReady(a, b).bytes.toString(), 'onezwei')
})

t.test('what it cost to make is the length of its text', async t => {
  t.equal(textBytes({ bytes: Buffer.alloc(3), checksum: checksumOf('x'.repeat(100)) }), 100)
  t.equal(textBytes({ bytes: Buffer.alloc(3) }), 3)
})
