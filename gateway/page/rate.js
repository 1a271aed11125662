import { numeral, words } from './words.js'

/** Shows the comments a second, over the last five. @returns what counts one */
export function rate(show) {
  let counts = [0, 0, 0, 0, 0] // by second, the current one first
  setInterval(() => {
    const rate = counts.reduce((sum, count) => sum + count) / counts.length
    counts = [0, ...counts.slice(0, -1)]
    show(rate === 0 ? '' : words.rate(numeral(rate < 10 ? Number(rate.toFixed(1)) : Math.round(rate))))
  }, 1_000)
  return () => counts[0]++
}
