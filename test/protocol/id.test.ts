import fc from 'fast-check'
import t from 'tap'
import { cursorAt, ID_EPOCH_MS, MAX_CURSOR, nextId, parseCursor, timeOfId } from '../../protocol/id.js'

const DECADES = ID_EPOCH_MS + 2 ** 41 - 1

t.test('ids ascend whatever the clock does, and say when where it ran on', async t => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: ID_EPOCH_MS, max: DECADES }), { minLength: 1 }), times => {
      let last = 0
      for (const now of times) {
        const id = nextId(now, last)
        if (id <= last || id > MAX_CURSOR) throw new Error(`${id} after ${last}`)
        if (timeOfId(id) < now) throw new Error(`${id} is before ${now}`)
        last = id
      }
    }),
  )
  t.equal(nextId(ID_EPOCH_MS + 1, 0), 4096)
  t.equal(timeOfId(nextId(ID_EPOCH_MS + 1, 0)), ID_EPOCH_MS + 1)
})

t.test('4,096 ids in a millisecond stay in it; the next runs ahead of the clock', async t => {
  const now = ID_EPOCH_MS + 1_000
  let last = 0
  for (let i = 0; i < 4096; i++) last = nextId(now, last)
  t.equal(timeOfId(last), now)
  t.equal(timeOfId(nextId(now, last)), now + 1)
})

t.test('a clock before the epoch still counts up from 1', async t => {
  t.equal(nextId(0, 0), 1)
  t.equal(nextId(0, 1), 2)
})

t.test('the last millisecond of the 41 bits fits', async t => {
  t.ok(nextId(DECADES, 0) + 4095 <= MAX_CURSOR)
})

t.test('a clock beyond the 41 bits has no say', async t => {
  for (const now of [DECADES + 1, Date.UTC(2106, 1, 7), 8.64e15, Infinity]) {
    t.equal(nextId(now, 0), 1)
    t.equal(nextId(now, 4096), 4097)
  }
})

t.test('an id never leaves 1 to 2^53 - 1, whatever the clock says and whatever came last', async t => {
  fc.assert(
    fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer({ min: -1_000, max: 1_000 }).map(d => DECADES + d)), fc.oneof(fc.maxSafeNat(), fc.nat(1_000).map(d => MAX_CURSOR - d)), (now, last) => {
      if (last === MAX_CURSOR) return
      const id = nextId(now, last)
      if (!Number.isSafeInteger(id) || id <= last) throw new Error(`${id} after ${last} at ${now}`)
    }),
  )
  for (const last of [MAX_CURSOR, MAX_CURSOR + 1, Infinity]) t.throws(() => nextId(DECADES, last), RangeError)
})

t.test('a cursor is read back as printed', async () => {
  fc.assert(fc.property(fc.maxSafeNat(), cursor => parseCursor(String(cursor)) === cursor))
})

t.test('the largest cursor is 2^53 - 1', async t => {
  t.equal(parseCursor('9007199254740991'), MAX_CURSOR)
  for (const text of ['9007199254740992', '9007199254740993', '9999999999999999', '90071992547409910']) t.equal(parseCursor(text), undefined, text)
})

t.test('nothing but a decimal number is a cursor', async t => {
  for (const text of ['', ' ', '-1', '+1', '1.0', '1e3', '0x1', ' 1', '1 ', '1\n', '\u0661', 'NaN', 'null', '1,000']) t.equal(parseCursor(text), undefined, JSON.stringify(text))
  fc.assert(fc.property(fc.string(), text => /^[0-9]{1,16}$/.test(text) || parseCursor(text) === undefined))
})

t.test('a time is a cursor: what was accepted from then on comes after it, and nothing else', async t => {
  fc.assert(
    fc.property(fc.integer({ min: ID_EPOCH_MS, max: DECADES }), fc.integer({ min: 0, max: 4095 }), fc.integer({ min: -2, max: 2 }), (now, counter, off) => {
      const id = nextId(now, 0) + counter
      return id > cursorAt(now + off) === off <= 0
    }),
  )
  t.same([0, ID_EPOCH_MS - 1, ID_EPOCH_MS].map(cursorAt), [0, 0, 0], 'all there is')
  t.equal(cursorAt(Number.MAX_SAFE_INTEGER), MAX_CURSOR)
})
