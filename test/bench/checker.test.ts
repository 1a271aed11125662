import { Buffer } from 'node:buffer'
import t from 'tap'
import { BlockReader, type SeenComment } from '../../bench/load/block-reader.js'
import { Checker } from '../../bench/load/checker.js'
import { content, numberIn } from '../../bench/load/comment-text.js'
import { MarkCounter } from '../../bench/load/mark-counter.js'
import { commentEvent, viewersEvent } from '../../protocol/sse.js'

const comments = (...numbers: number[]): SeenComment[] => numbers.map(number => ({ number, id: 1000 + number, createdAt: undefined }))
const all = new Uint8Array(5).fill(1)
const everywhere = () => true

function checked(seen: readonly SeenComment[]): Checker {
  const checker = new Checker()
  for (const comment of seen) checker.take(comment)
  return checker
}

/** Numbers 0 to `count`, as an edge writes them. */
function stream(count: number): string {
  return Array.from({ length: count }, (_, number) => commentEvent(2000 + number, JSON.stringify({ id: String(2000 + number), authorId: 'user1234', content: content(number, 140), createdAt: 5 }))).join('')
}

t.test('a viewer that got everything once and in order has no faults', async t => {
  const checker = checked(comments(0, 1, 2, 3, 4))
  t.match(checker, { count: 5, doubled: 0, misplaced: 0 })
  t.equal(checker.missing(all, everywhere), 0)
})

t.test('a comment that never came is missing', async t => {
  t.equal(checked(comments(0, 1, 3, 4)).missing(all, everywhere), 1)
})

t.test('a comment that was refused, or of another video, is not missing', async t => {
  const accepted = Uint8Array.from([1, 1, 0, 1, 1])
  t.equal(checked(comments(0, 1, 4)).missing(accepted, number => number !== 3), 0)
})

t.test('a comment that came twice is doubled', async t => {
  t.match(checked(comments(0, 1, 1, 2, 3, 4)), { doubled: 1, misplaced: 0 })
})

t.test('a comment that came after a later one is misplaced', async t => {
  t.match(checked(comments(0, 2, 1, 3, 4)), { doubled: 0, misplaced: 1 })
})

t.test('two viewers that got the same in another order differ, also without ids', async t => {
  const without = (...numbers: number[]) => checked(numbers.map(number => ({ number, id: undefined, createdAt: undefined })))
  t.equal(without(0, 1, 2).order, without(0, 1, 2).order)
  t.not(without(0, 1, 2).order, without(0, 2, 1).order)
})

t.test('comments are counted by their mark wherever the stream was cut', async t => {
  const bytes = Buffer.from(stream(20) + viewersEvent(3))
  for (const size of [1, 7, 100, 1000, bytes.length]) {
    const counter = new MarkCounter()
    let count = 0
    for (let at = 0; at < bytes.length; at += size) count += counter.count(bytes.subarray(at, at + size))
    t.equal(count, 20, `in pieces of ${size}`)
  }
})

t.test('a chunk that differs from the last one in a single byte is counted anew', async t => {
  const counter = new MarkCounter()
  t.equal(counter.count(Buffer.from('a`b`')), 2)
  t.equal(counter.count(Buffer.from('a`bb')), 1)
  t.equal(counter.count(Buffer.from('a`b`')), 2)
})

t.test('a block is read whole, and anew where a byte differs', async t => {
  const reader = new BlockReader()
  const text = stream(3)
  t.same(reader.read(Buffer.from(text)), [0, 1, 2].map(number => ({ number, id: 2000 + number, createdAt: 5 })))
  t.same(reader.read(Buffer.from(text.replace('id: 2001', 'id: 1999'))).map(({ id }) => id), [2000, 1999, 2002])
  t.throws(() => reader.read(Buffer.from('data: {"content":"`1"\n\n')), 'an event that is no JSON')
})

t.test('a comment has the size that was asked for, and says its number', async t => {
  for (const number of [0, 35, 1295, 99_999]) {
    t.equal(numberIn(content(number, 140)), number)
    const event = commentEvent(247_026_958_090_240, JSON.stringify({ id: '247026958090240', authorId: 'user1234', content: content(number, 140), createdAt: 1_795_230_000_000 }))
    t.ok(Math.abs(Buffer.byteLength(event) - 140) <= 2, `${Buffer.byteLength(event)} bytes`)
  }
})
