/** Stands once in every comment of a benchmark and nowhere else in a stream: counting this byte counts comments,
 * wherever a stream was cut. */
export const MARK = 0x60
const MARKER = String.fromCharCode(MARK)

/** Bytes of a comment's event around its content, as an edge writes it: id and data line, JSON, an author of 8. */
const EVENT_OVERHEAD = 113

const WORDS = (
  'the a to and is this that it of in you i so lol omg wow nice love what no yes go goal great best ever hello from ' +
  'hi everyone amazing song please again why who team we they win game first time good one just can not do how more ' +
  'vamos live stream sound video quality day today much really like watching here come on let play ref bad call haha'
).split(' ')

/** What is said in post `number`: a few words, as people write, then the mark and the number.
 * @param eventBytes how long the comment's event is to be as an edge writes it */
export function content(number: number, eventBytes: number): string {
  const tag = MARKER + number.toString(36)
  const length = Math.max(1, eventBytes - EVENT_OVERHEAD - tag.length - 1)
  const random = randomFrom(number)
  let text = ''
  while (text.length < length) text += (text === '' ? '' : ' ') + word(random())
  return `${text.slice(0, length).trimEnd()} ${tag}`
}

/** One of 1,000 names. */
export function author(number: number): string {
  return `user${String(1000 + Math.floor(randomFrom(number ^ 0x5bd1e995)() * 1000))}`
}

/** The number of the post in an event's data, whatever JSON the system wraps around it. */
export function numberIn(data: string): number | undefined {
  const tag = /`([0-9a-z]+)/.exec(data)?.[1]
  return tag === undefined ? undefined : parseInt(tag, 36)
}

/** Frequent words come often, as in speech: the square leans towards the list's begin. */
function word(random: number): string {
  return WORDS[Math.floor(random * random * WORDS.length)]!
}

/** mulberry32: the same numbers for the same post in every run and every system. */
function randomFrom(seed: number): () => number {
  let state = (seed + 0x9e3779b9) | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}
