import { numeral, words } from './words.js'

/** Shows the comments a second, over the last five.
 * @param show is given a text, '' for none, and the number @returns what counts one, or so many */
export function rate(show) {
  let counts = [0, 0, 0, 0, 0] // by second, the current one first
  setInterval(() => {
    const rate = counts.reduce((sum, count) => sum + count) / counts.length
    counts = [0, ...counts.slice(0, -1)]
    show(rate === 0 ? '' : words.rate(numeral(rate < 10 ? Number(rate.toFixed(1)) : Math.round(rate))), rate)
  }, 1_000)
  return (more = 1) => (counts[0] += more)
}
