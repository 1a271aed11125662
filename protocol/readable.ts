/** What a text must not do to its reader, whoever shows it: say nothing, push others out of sight, climb over them, or turn
 * their words round. The rules hold for comments and for names. */

/** Invisible by Unicode's own word, wherever they are shown: zero-width characters, Hangul fillers, variation selectors, tags. */
const IGNORABLE = '\\p{Default_Ignorable_Code_Point}'
/** Symbols and letters that fonts show as nothing: the blank Braille pattern, the object replacement character, the null
 * notehead, two Egyptian blanks. */
const BLANK = '\\u2800\\ufffc\\u{1d159}\\u{13441}\\u{13442}'
/** Pictures include what later versions of Unicode have reserved for them. */
const VISIBLE = `(?![${IGNORABLE}${BLANK}])[\\p{L}\\p{N}\\p{P}\\p{S}\\p{Extended_Pictographic}]`
/** The newline, and the line breaks that are no control characters: comments hold none of those. */
const LINE_BREAK = '\\n\\u2028\\u2029'

/** Keeps every rule. Most texts are such, and the rules' own expressions cost many times as much. */
const PLAIN = /^[\x21-\x7e][\x20-\x7e]*$/
const SEEN = new RegExp(VISIBLE, 'u')
const THREE_LINE_BREAKS = new RegExp(`(?:[${LINE_BREAK}](?:(?!${VISIBLE})[^${LINE_BREAK}])*){3}`, 'u')
const LINE_BREAKS = new RegExp(`[${LINE_BREAK}]`, 'u')
const IGNORED = new RegExp(`${IGNORABLE}+`, 'gu')
/** The highest Tibetan stack has eight marks; of those that stand on letters of any script, no language has five on one. */
const TOWER = /[\p{Mn}\p{Me}]{9}|(?:(?=\p{Script=Inherited})[\p{Mn}\p{Me}]){5}/u

const OVERRIDE = /[\u202d\u202e]/
const DIRECTIONS = /[\u202a-\u202c\u2066-\u2069]/g
const POP_FORMATTING = '\u202c'
const POP_ISOLATE = '\u2069'
/** What ends each direction (Unicode Standard Annex 9, section 2). */
const CLOSED_BY: Readonly<Record<string, string>> = { '\u202a': POP_FORMATTING, '\u202b': POP_FORMATTING, '\u2066': POP_ISOLATE, '\u2067': POP_ISOLATE, '\u2068': POP_ISOLATE }

/** The rule that a text breaks, as what it must or must not do; undefined where it keeps them all.
 * @param text without control characters but newline and tab */
export function brokenRule(text: string): string | undefined {
  if (PLAIN.test(text)) return undefined
  if (!SEEN.test(text)) return 'must have a visible character'
  if (THREE_LINE_BREAKS.test(text)) return 'must have at most two line breaks in a row'
  if (TOWER.test(text.replace(IGNORED, ''))) return 'must not pile more than four marks on a character (eight of its own script)'
  if (OVERRIDE.test(text)) return 'must not override the direction of text (U+202D, U+202E)'
  if (!text.split(LINE_BREAKS).every(isBalanced)) return 'must close each text direction in the line that opens it (U+202A to U+202C, U+2066 to U+2069)'
  return undefined
}

/** Whether each direction that the line opens is closed in it, the last one first. Left open it would turn what stands
 * behind the text, and closed too often it would end the isolation that a page has put around it. */
function isBalanced(line: string): boolean {
  const open: string[] = []
  for (const [sign] of line.matchAll(DIRECTIONS)) {
    const end = CLOSED_BY[sign]
    if (end !== undefined) open.push(end)
    else if (open.pop() !== sign) return false
  }
  return open.length === 0
}
