import { Buffer } from 'node:buffer'
import fc from 'fast-check'

/** Numbers at which something ends. */
const EDGES = ['0', '-0', '-1', '00', '1e3', '1.5', '255', '256', '65535', '65536', '2147483648', '4294967296', '9007199254740991', '9007199254740992', '18446744073709551616', '99999999999999999999', 'NaN', '0x10']
const CHARACTERS = ['\0', '\r', '\n', '\r\n', '\r\n\r\n', '\t', ' ', '"', '\\', '\\u0000', '\\ud800', '%00', '%0d%0a', '%', '\u2028', '\ufeff', '\x7f', '\u0085', '😀', '{', '}', '[', ']', ':', ',', '-', '/', '../']

interface Edit {
  readonly kind: 'set' | 'insert' | 'cut' | 'repeat' | 'end' | 'number' | 'swap'
  /** Where, of all, 0 to 1. */
  readonly at: number
  readonly length: number
  readonly byte: number
  readonly token: string
}

/** Inputs by a grammar: as they should be, with a few edits, or made of nothing but the grammar's own words; and any
 * bytes at all. @param words of the grammar */
export function hostile(valid: fc.Arbitrary<Buffer>, words: readonly string[] = []): fc.Arbitrary<Buffer> {
  const edit: fc.Arbitrary<Edit> = fc.record({
    kind: fc.constantFrom('set', 'insert', 'cut', 'repeat', 'end', 'number', 'swap'),
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    length: fc.integer({ min: 1, max: 40 }),
    byte: fc.integer({ min: 0, max: 255 }),
    token: fc.constantFrom(...EDGES, ...CHARACTERS, ...words),
  })
  const edited = fc.tuple(valid, fc.array(edit, { minLength: 1, maxLength: 6 })).map(([bytes, edits]) => edits.reduce(apply, bytes))
  const word = fc.oneof(fc.constantFrom(...EDGES, ...CHARACTERS, ...(words.length > 0 ? words : [' '])), fc.string({ maxLength: 8 }))
  return fc.oneof(
    { weight: 3, arbitrary: valid },
    { weight: 6, arbitrary: edited },
    { weight: 1, arbitrary: fc.array(word, { maxLength: 20 }).map(all => Buffer.from(all.join(''))) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map(bytes => Buffer.from(bytes)) },
  )
}

function apply(bytes: Buffer, { kind, at, length, byte, token }: Edit): Buffer {
  const start = Math.floor(at * bytes.length)
  const before = bytes.subarray(0, start)
  const range = bytes.subarray(start, start + length)
  const after = bytes.subarray(start + length)
  switch (kind) {
    case 'set':
      return Buffer.concat([before, Buffer.from([byte]), bytes.subarray(start + 1)])
    case 'insert':
      return Buffer.concat([before, Buffer.from(token), bytes.subarray(start)])
    case 'cut':
      return Buffer.concat([before, after])
    case 'repeat':
      return Buffer.concat([before, ...Array.from({ length: 1 + (byte % 8) }, () => range), after])
    case 'end':
      return before
    case 'swap':
      return Buffer.concat([before, after.subarray(0, length), range, after.subarray(length)])
    case 'number': {
      const text = bytes.toString('latin1')
      const number = /[0-9]+/g
      number.lastIndex = start
      const found = number.exec(text)
      return found ? Buffer.from(text.slice(0, found.index) + EDGES[byte % EDGES.length]! + text.slice(number.lastIndex), 'latin1') : bytes
    }
  }
}
