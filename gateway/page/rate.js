/** Comments a second, over the last five. */
export class Rate {
  /** By second, the current one first. */
  #counts = [0, 0, 0, 0, 0]

  constructor(show) {
    setInterval(() => {
      const rate = this.#counts.reduce((sum, count) => sum + count) / this.#counts.length
      this.#counts = [0, ...this.#counts.slice(0, -1)]
      show(rate === 0 ? '' : `${rate < 10 ? Number(rate.toFixed(1)) : Math.round(rate)} comments/s`)
    }, 1_000)
  }

  count() {
    this.#counts[0]++
  }
}
