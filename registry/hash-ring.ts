import { FNV_BASIS, fnv, mix } from './hash.js'

/** Nodes on a circle of 2^32 points, each at its id's hash (Karger et al. 1997). Walked from a key's point on, it gives
 * every caller that knows the same nodes the same order, and finds the first that will do in a few steps, where
 * rendezvous hashing weighs every node. Shares are not even by themselves: whoever walks passes over who has enough
 * ("consistent hashing with bounded loads", Mirrokni, Thorup and Zadimoghaddam 2016). */
export class HashRing {
  readonly #points: Float64Array
  readonly #ids: readonly string[]

  constructor(ids: Iterable<string>) {
    const placed = Array.from(ids, id => ({ id, point: pointOf(id) }))
    placed.sort((a, b) => a.point - b.point || (a.id < b.id ? -1 : 1))
    this.#points = Float64Array.from(placed, ({ point }) => point)
    this.#ids = placed.map(({ id }) => id)
  }

  /** Every id once, from the key's point on. */
  *from(key: string): Generator<string> {
    const ids = this.#ids
    const start = this.#firstAt(pointOf(key))
    for (let i = start; i < ids.length; i++) yield ids[i]!
    for (let i = 0; i < start; i++) yield ids[i]!
  }

  #firstAt(point: number): number {
    let low = 0
    let high = this.#points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#points[middle]! < point) low = middle + 1
      else high = middle
    }
    return low
  }
}

function pointOf(text: string): number {
  return mix(fnv(FNV_BASIS, text))
}
