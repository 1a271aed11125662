import { nameOf } from './row.js'
import { numeral, words } from './words.js'

const FIRST_MS = 1_000
/** However fast comments come, a screen reader is not given more to say than one line in this time. */
const PAUSE_MS = 10_000
const READ_OUT = 2
const LONGEST = 160

/** Tells a screen reader what is new: the comments themselves where they are few, else how many and the last.
 * @returns the function to call with each */
export function crier(region) {
  let last = []
  let count = 0
  let timer = 0
  let spokeAt = -Infinity

  function speak() {
    const lines = last.map(({ authorId, authorName = nameOf(authorId), content }) => `${authorName}: ${content.slice(0, LONGEST)}`)
    region.textContent = count <= READ_OUT ? lines.join('. ') : words.newOnes(numeral(count), lines.at(-1))
    count = timer = 0
    last = []
    spokeAt = performance.now()
  }

  return comment => {
    count++
    last = [...last, comment].slice(-READ_OUT)
    timer ||= setTimeout(speak, Math.max(FIRST_MS, spokeAt + PAUSE_MS - performance.now()))
  }
}
