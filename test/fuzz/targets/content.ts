import fc from 'fast-check'
import { Duplicates } from '../../../dispatcher/duplicates.js'
import { folded } from '../../../dispatcher/folded.js'
import { Rules } from '../../../dispatcher/rules.js'
import { WordList } from '../../../dispatcher/words.js'
import { checkBody, MAX_CONTENT } from '../../../protocol/comment.js'
import { FakeClock } from '../../support/fake-clock.js'
import { bytes, text } from '../grammar.js'
import { hostile } from '../mutate.js'
import { must, readOrRefuse, type Target } from '../target.js'

const WINDOW_MS = 1_000
const letters = fc.constantFrom(...'abisſßẞIİıKkSΣσςάǆŉﬁＡ𝐚１_混蛋กำꜰ', 'é', 'e\u0301', 'が', 'か\u3099', '각', '가', 'ᾴ', 'ՙ', '\u13a0', '\uab70')
const others = fc.constantFrom(...'!+-.´¨…⒈\n\t 🖕⃣', '\u200d', '\u00ad', '\u0301', '\u0327', '\u034f', '\u0e33', '\u00a0', '\u3000', '\ufdfa')
const word = fc.string({ unit: fc.oneof({ weight: 6, arbitrary: letters }, { weight: 1, arbitrary: others }), minLength: 1, maxLength: 5 })
const link = fc.constantFrom('https://example.com/a?b=c', 'example.com', 'www.example.com', 'me@example.com', 'buy-now.xyz', 'пример.рф', '//example.com', 'ftp://x.org')
const shifted = (from: number) => (said: string) => said.replace(/[a-z]/g, letter => String.fromCodePoint(from + letter.charCodeAt(0) - 97))
/** What a keyboard, a font or a copied text makes of it. */
const disguise = fc.constantFrom<(said: string) => string>(
  said => said,
  said => said.toUpperCase(),
  said => said.toLowerCase(),
  said => said.normalize('NFD'),
  said => said.normalize('NFKD'),
  said => said.normalize('NFKC'),
  said => Array.from(said).join('\u200d'),
  said => said.replace(/ /g, ' \u3000'),
  shifted(0xff41),
  shifted(0x1d41a),
)
const said = fc.array(word, { minLength: 1, maxLength: 4 }).chain(words => {
  const piece = fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...words) }, { weight: 1, arbitrary: link }, { weight: 2, arbitrary: word }, { weight: 1, arbitrary: text })
  const worn = fc.tuple(piece, disguise).map(([piece, wear]) => wear(piece))
  const between = fc.constantFrom(' ', ' ', ' ', '', '\n', '. ', '!', 'x', '_', ' 😀')
  const content = fc.tuple(fc.constantFrom('', '', '', '\u0301', '´', '¨ '), fc.array(fc.tuple(worn, between), { minLength: 1, maxLength: 8 })).map(all => all.flat(2).join(''))
  const long = fc.tuple(content, fc.integer({ min: 2, max: MAX_CONTENT })).map(([piece, times]) => Array.from(piece.repeat(times)).slice(0, MAX_CONTENT).join(''))
  return fc.tuple(fc.constant(words.join('\n')), fc.oneof({ weight: 9, arbitrary: content }, { weight: 1, arbitrary: long }))
})

const UNPARTED = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}'
const LETTER = `(?![${UNPARTED}])[\\p{L}\\p{N}_]`
const MARK = `(?![${UNPARTED}])\\p{M}`
const BEHIND_LETTER = new RegExp(`(?<=${LETTER}(?:${MARK})*)`, 'uy')
const AT_LETTER = new RegExp(`${LETTER}|${MARK}`, 'uy')
const AT_MARK = /\p{M}/uy

/** Another way to what looks the same: all is decomposed, where the rules compose, and the engine's regular expressions
 * compare without case, where the rules fold. What they cannot, one character as two, is done here. */
function plain(text: string): string {
  return text.replace(/\p{Default_Ignorable_Code_Point}/gu, '').trim().normalize('NFKD').replace(/[ßẞ]/g, 'ss').replace(/\u0345/g, 'ι').replace(/\s+/g, ' ')
}

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')

/** Whether somebody would see it there, and as a word of its own. Both are plain. */
function isSeenIn(text: string, word: string): boolean {
  const begins = isAt(AT_LETTER, word, 0)
  const ends = isAt(BEHIND_LETTER, word, word.length)
  for (const { index, 1: found } of text.matchAll(new RegExp(`(?=(${literal(word)}))`, 'giu'))) {
    const end = index + found!.length
    if (!(begins && isAt(BEHIND_LETTER, text, index)) && !isAt(ends ? AT_LETTER : AT_MARK, text, end)) return true
  }
  return false
}

function isAt(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at
  return pattern.test(text)
}

/** A list of words, NUL, a comment. */
export const content: Target = {
  name: 'content',
  what: 'comments and lists of words, in every disguise',
  cases: 3_000,
  inputs: hostile(said.map(([words, content]) => bytes(`${words}\0${content}`)), ['\u200d', '\u00ad', '\u0301', '\u0130', '\u0131', '\u1e9e', '\ufb03', '\ufdfa', '\u2024', '\uff0e', '\u3002', '.com', '://', '//', 'www.', '@', 'mailto:', '\u0345']),
  open() {
    const clock = new FakeClock()
    const duplicates = new Duplicates(WINDOW_MS)
    /** What `duplicates` should know. */
    let known: { readonly authorId: string; readonly said: string; readonly key: string; readonly at: number }[] = []
    let turn = 0
    return {
      async check(input) {
        const [listed = '', ...more] = input.toString().split('\0')
        const body = readOrRefuse(() => checkBody({ content: more.join(' ') }), 'LiveError')
        const list = listOf(listed)
        if (!body || !list) return
        const { content } = body
        const text = folded(content)
        must(folded(text) === text, 'folding what is folded changes it')

        const draft = { videoId: 'v', authorId: 'ann', content, key: 'one' }
        const seen = plain(content)
        const rules = (more: object) => new Rules({ clock, ...more })

        const linked = rules({ links: 'refuse' }).broken(draft)?.code
        if (!/[.:]|\/\//.test(seen)) must(linked === undefined, 'a link without a dot')
        if (/(?:^|\s)(?:(?:https?:\/\/|www\.|me@)?example\.com|buy-now\.xyz)(?:$|\s)/iu.test(seen)) must(linked === 'LINKS_NOT_ALLOWED', 'a link is taken')

        const worded = rules({})
        worded.words = list
        const refused = worded.broken(draft)?.code
        const words = listed.split('\n').map(plain).filter(word => word !== '')
        if (!words.some(word => /^\p{M}/u.test(word))) {
          const held = words.find(word => isSeenIn(seen, word))
          must(refused === (held === undefined ? undefined : 'WORD_NOT_ALLOWED'), held === undefined ? 'refused for a word that it does not hold' : 'a listed word is taken')
        }

        const repeating = rules({ duplicateMs: WINDOW_MS })
        const again = [content, content.normalize('NFD'), content.replaceAll(' ', ' \u3000'), `${content}\u200d`, /[ı\u0345]/.test(content.normalize('NFD')) ? content : content.toUpperCase()][turn++ % 5]!
        must(repeating.broken(draft) === undefined && repeating.broken(draft) === undefined, 'the same post is its own duplicate')
        if (!tooLong(again)) must(repeating.broken({ ...draft, content: again, key: 'two' })?.code === 'DUPLICATE_COMMENT', 'said again')
        must(repeating.broken({ ...draft, authorId: 'bob', key: 'two' }) === undefined, 'somebody else said it')

        await clock.advance(turn % 7 === 0 ? WINDOW_MS / 2 - 6 : 1) // so that some are a window old to the millisecond
        const now = clock.now()
        known = known.filter(({ at }) => at > now - WINDOW_MS)
        const post = { ...draft, authorId: turn % 2 ? 'ann' : 'bob', key: String(turn % 3) }
        const before = known.find(each => each.authorId === post.authorId && each.said === text)
        must(duplicates.isOne(post, text, now) === (before !== undefined && before.key !== post.key), 'remembers wrongly who said what')
        if (!before) known.push({ authorId: post.authorId, said: text, key: post.key, at: now })
        if (turn % 11 === 0) {
          duplicates.release(post, text)
          known = known.filter(each => !(each.authorId === post.authorId && each.said === text && each.key === post.key))
        }
        must(duplicates.size === known.length, 'what is old is kept')
      },
    }
  },
}

function listOf(text: string): WordList | undefined {
  try {
    return new WordList(text)
  } catch (error) {
    if (error instanceof Error && /^line [0-9]+ is longer than 100 characters$/.test(error.message)) return undefined
    throw error
  }
}

function tooLong(text: string): boolean {
  return Array.from(text).length > MAX_CONTENT
}
