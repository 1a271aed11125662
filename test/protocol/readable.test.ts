import fc from 'fast-check'
import t, { type Test } from 'tap'
import { brokenRule } from '../../protocol/readable.js'

/** Short, and in a report's one line. */
const shown = (text: string) => JSON.stringify(text.slice(0, 20)).replace(/[^\x20-\x7e]/gu, sign => `\\u{${sign.codePointAt(0)!.toString(16)}}`)
const breaks = (t: Test, rule: RegExp, texts: readonly string[]) => {
  for (const text of texts) t.match(brokenRule(text), rule, shown(text))
}
const keeps = (t: Test, texts: readonly string[]) => {
  for (const text of texts) t.equal(brokenRule(text), undefined, shown(text))
}

/** Some for each way to be there and not to be seen. */
const INVISIBLE = ['\u200b', '\u200c', '\u200d', '\u2060', '\ufeff', '\u00ad', '\u034f', '\u180e', '\u2800', '\u115f', '\u1160', '\u3164', '\uffa0', '\ufe0f', '\u{e0100}', '\u{e0061}', '\u{1d159}', '\u{1d173}', '\u{13441}', '\ufffc', '\u061c', '\u200e', '\u2064', '\u206a', '\u17b4', '\ufff9', '\u00a0', '\u3000', '\u2003']

t.test('something must be seen', async t => {
  breaks(t, /must have a visible character/, [' ', ...INVISIBLE, INVISIBLE.join(''), '\u0301', '\u20dd', '\u0903', 'ַ', '\u2067\u2069', '\ue000', '\u{10ffff}'])
  keeps(t, ['a', ' a', '.', '1', '€', '😀', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '❤️', '#️⃣', '語', 'ー', 'é', 'e\u0301', '\u200bא', '\u{1faff}'])
})

t.test('at most two line breaks in a row, however they are written', async t => {
  breaks(t, /at most two line breaks in a row/, [
    'a\n\n\nb', `a${'\n'.repeat(998)}b`, 'a\n \n\t\nb', 'a\u2028\u2028\u2028b', 'a\n\u2029\u2028b', `\u200b\n\n\nb`, 'a\n\n\n\u200b',
    ...INVISIBLE.map(blank => `a\n${blank}\n${blank}${blank}\nb`),
    'a\n\u0301\n\u0301\nb',
  ])
  keeps(t, ['a\n\nb', 'a\n\u2028b', 'a\n\nb\n\nc', 'a\n.\n.\n.\nb', 'a\n \nb'])
})

t.test('marks do not pile up', async t => {
  const zalgo = (marks: number, mark = '\u0301') => `Z${mark.repeat(marks)}`
  breaks(t, /must not pile/, [zalgo(5), zalgo(300), `a ${zalgo(5)}`, zalgo(9, '\u0489'), zalgo(5, '\u20dd'), zalgo(3, '\u0301\u0316'), `Z${'\u0301\u200d'.repeat(5)}`, `Z${'\u0301\u034f'.repeat(5)}`, 'ก\u0e47\u0e47\u0e47\u0e47\u0e47\u0e47\u0e47\u0e47\u0e47', '\u064b'.repeat(5) + 'ب'])
  keeps(t, ['Việt Nam'.normalize('NFD'), 'ᾧ'.normalize('NFD'), 'בְּרֵאשִׁ֖ית', 'ཧྐྵྨླྺྼྻྂ', 'ကြွှော့်', 'नमस्तेेेेे', 'हाााााााााााा', 'น้ำ', 'ลุ้นนนน', 'مُحَمَّدٌ', '👩‍❤️‍💋‍👨'.repeat(20), '1️⃣2️⃣3️⃣'])
})

t.test('no text turns what stands beside it', async t => {
  breaks(t, /must not override/, ['a\u202eb', '\u202db\u202c', 'a\u202e\u202cb'])
  breaks(t, /must close each text direction/, ['a\u2067b', 'a\u2069', 'a\u202c', '\u202ba', '\u2066a\nb\u2069', '\u2067a\u2028b\u2069', '\u2066\u202aa\u2069\u202c', '\u2066a\u202c', '\u2068a\u2069\u2069', '\u2066'.repeat(200) + 'a'])
  keeps(t, ['\u2067שלום\u2069', 'hello \u2068שלום\u2069!', '\u202bשלום\u202c', '\u2067a\u2066b\u2069c\u2069', '\u2067\u202aa\u202c\u2069', '\u2068a\u2069\n\u2068b\u2069', '\u200fשלום\u200e\u061c', 'שלום'])
})

t.test('what keeps the rules keeps them beside anything that does', async () => {
  const unit = fc.oneof(fc.constantFrom(...INVISIBLE, '\n', '\u2028', '\u0301', '\u0489', 'Z', 'א', '\u202a', '\u202c', '\u2067', '\u2069'), fc.string({ unit: 'grapheme', maxLength: 3 }))
  const text = fc.array(unit, { maxLength: 30 }).map(parts => parts.join(''))
  fc.assert(
    fc.property(text, text, (one, other) => {
      if (brokenRule(one) !== undefined || brokenRule(other) !== undefined) return
      if (brokenRule(`${one} | ${other}`) !== undefined) throw new Error(JSON.stringify([one, other]))
    }),
    { numRuns: 2_000 },
  )
})
