/** A seeded source of chance (mulberry32 over a mixed seed): the same seed gives the same numbers, everywhere. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ (seed >>> 15)
    for (let i = 0; i < 4; i++) this.next()
  }

  /** 0 ≤ x < 1 */
  readonly next = (): number => {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** from ≤ x < to */
  between(from: number, to: number): number {
    return from + this.next() * (to - from)
  }

  /** A whole number, 0 ≤ x < count. */
  below(count: number): number {
    return Math.floor(this.next() * count)
  }

  /** A whole number, both ends included. */
  whole(from: number, to: number): number {
    return from + this.below(to - from + 1)
  }

  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** @throws RangeError when there is nothing to pick */
  pick<T>(list: readonly T[]): T {
    if (list.length === 0) throw new RangeError('nothing to pick from')
    return list[this.below(list.length)]!
  }

  shuffled<T>(list: readonly T[]): T[] {
    const all = [...list]
    for (let left = all.length; left > 1; left--) {
      const at = this.below(left)
      ;[all[left - 1], all[at]] = [all[at]!, all[left - 1]!]
    }
    return all
  }

  /** Time to the next of events that come at this mean distance. */
  gap(mean: number): number {
    return -Math.log(1 - this.next()) * mean
  }

  /** A source of its own: what is drawn from it leaves this one's later draws alone. */
  fork(): Random {
    return new Random(this.below(2 ** 31))
  }
}
