import { folded } from './folded.js'

/** Longest line of a list, code units once folded: it bounds what one comment costs. */
const MAX_WORD = 100

// A run of letters and digits, or one character of any other kind, each with its marks: marks that
// a text begins with do not hide the word behind them. Scripts that part no words by blanks have no runs: a word's end
// cannot be seen in them.
const UNPARTED = '\\p{Script=Han}\\p{Script=Hiragana}\\p{Script=Katakana}\\p{Script=Thai}\\p{Script=Lao}\\p{Script=Khmer}\\p{Script=Myanmar}'
const PIECE = new RegExp(`(?![${UNPARTED}])[\\p{L}\\p{N}_](?:(?![${UNPARTED}])[\\p{L}\\p{M}\\p{N}_])*|.\\p{M}*`, 'gsu')

/** Words and phrases that a comment may not hold: whole words, in any case, form and spacing; in scripts that part no words
 * by blanks, anywhere. */
export class WordList {
  readonly #words = new Set<string>()
  /** Of the words that begin with a character, by it: few places in a text are looked at twice. */
  readonly #lengths = new Map<string, Set<number>>()

  /** @param text one word or phrase a line; empty lines count for nothing
   * @throws Error naming the line that is too long */
  constructor(text: string) {
    text.split('\n').forEach((line, i) => {
      const word = folded(line)
      if (word.length > MAX_WORD) throw new Error(`line ${i + 1} is longer than ${MAX_WORD} characters`)
      if (word === '') return
      this.#words.add(word)
      const first = firstOf(word)
      this.#lengths.set(first, (this.#lengths.get(first) ?? new Set()).add(word.length))
    })
  }

  get size(): number {
    return this.#words.size
  }

  /** @param text folded */
  isIn(text: string): boolean {
    if (this.#words.size === 0) return false
    const ends = new Set([text.length])
    const starts = Array.from(text.matchAll(PIECE), ({ index }) => index)
    for (const start of starts) ends.add(start)
    return starts.some(start => {
      for (const length of this.#lengths.get(firstOf(text, start)) ?? []) {
        if (ends.has(start + length) && this.#words.has(text.slice(start, start + length))) return true
      }
      return false
    })
  }
}

function firstOf(text: string, at = 0): string {
  return String.fromCodePoint(text.codePointAt(at)!)
}
