/** A seed's own numbers: the same seed gives the same ones, everywhere (mulberry32). */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 ≤ x < 1 */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }

  /** least ≤ x < most */
  between(least: number, most: number): number {
    return least + this.next() * (most - least)
  }

  /** A whole number, least ≤ x ≤ most. */
  whole(least: number, most: number): number {
    return Math.floor(this.between(least, most + 1))
  }

  /** @throws RangeError when there is none */
  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError('nothing to pick from')
    return list[Math.floor(this.next() * list.length)]!
  }

  shuffled<T>(list: readonly T[]): T[] {
    const all = [...list]
    for (let left = all.length; left > 1; left--) {
      const at = Math.floor(this.next() * left)
      ;[all[left - 1], all[at]] = [all[at]!, all[left - 1]!]
    }
    return all
  }
}
