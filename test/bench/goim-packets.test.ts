import t from 'tap'
import { MARK } from '../../bench/load/comment-text.js'
import { commentPacket, parsePacket, splitPackets } from '../../bench/load/goim-packets.js'

t.test('goim\'s packets are split wherever they are cut, and no header holds the mark that comments are counted by', async t => {
  for (let length = 1; length < 400; length++) t.equal(commentPacket(JSON.stringify('x'.repeat(length))).indexOf(MARK), -1, `${length}`)
  const json = (number: number) => JSON.stringify({ id: `${number}`, content: `hello \`${number.toString(36)}` })
  const bytes = Buffer.concat([1, 2, 3].map(number => commentPacket(json(number))))
  for (let cut = 0; cut <= bytes.length; cut++) {
    const first = splitPackets(bytes.subarray(0, cut))
    const second = splitPackets(Buffer.concat([first.rest, bytes.subarray(cut)]))
    t.same([...first.packets, ...second.packets].flatMap(parsePacket).map(({ number }) => number), [1, 2, 3])
    t.equal(second.rest.length, 0)
  }
  t.throws(() => splitPackets(Buffer.from('HTTP/1.1 400 Bad Request')), /not a packet/)
})
