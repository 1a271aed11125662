import fc from 'fast-check'
import { parseCursor } from '../../../protocol/id.js'
import { bytes, cursor } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, type Target } from '../target.js'

export const cursors: Target = {
  name: 'cursors',
  what: '`cursor`, `lastEventId`, `Last-Event-ID`',
  cases: 5_000,
  inputs: hostile(fc.oneof(cursor, fc.integer({ min: Number.MAX_SAFE_INTEGER - 9, max: Number.MAX_SAFE_INTEGER })).map(value => bytes(String(value)))),
  open: () => ({
    check(input) {
      const text = input.toString()
      const value = parseCursor(text)
      if (value === undefined) return must(!/^(0|[1-9][0-9]{0,14})$/.test(text), 'a plain number was refused')
      must(Number.isSafeInteger(value) && value >= 0, `read as ${value}`)
      must(BigInt(text) === BigInt(value), 'another number than was written')
      must(parseCursor(String(value)) === value, 'not read as it was printed')
    },
  }),
}
