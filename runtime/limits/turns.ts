/** Those who wait, taken by turns of the clients that they are of: however many one client has in line, the next turn is
 * another's. Networks within networks take turns too, so that an IPv6 customer has one turn and not one for each of its
 * addresses. A client's own are taken in the order they came. */
export class Turns<T> {
  readonly #line = new Line<T>()
  readonly #keys = new Map<T, readonly string[]>()

  get size(): number {
    return this.#keys.size
  }

  /** Adds it, unless it is in line already. @param keys of its client, at least one, the widest network last */
  add(item: T, keys: readonly string[]): void {
    if (this.#keys.has(item)) return
    this.#keys.set(item, keys)
    this.#line.add(item, keys, keys.length)
  }

  delete(item: T): void {
    const keys = this.#keys.get(item)
    if (!keys) return
    this.#keys.delete(item)
    this.#line.delete(item, keys, keys.length)
  }

  clear(): void {
    for (const item of [...this.#keys.keys()]) this.delete(item)
  }

  /** Takes out whose turn it is. @param waits whether a client, by the key of its widest network, is passed over for now */
  next(waits?: (key: string) => boolean): T | undefined {
    const item = this.#line.first(waits)
    if (item !== undefined) {
      const keys = this.#keys.get(item)!
      this.delete(item)
      this.#line.turn(keys, keys.length)
    }
    return item
  }

  /** Makes room for one more of this client: takes out the longest waiting of the client that has most in line, which is
   * likeliest to have given up. Undefined where no other client has more than this one would have. */
  displace(keys: readonly string[]): T | undefined {
    const item = this.#line.ofLargest(keys.at(-1)!)
    if (item !== undefined) this.delete(item)
    return item
  }
}

/** One network's: its own items, and the lines of the networks within. */
class Line<T> {
  size = 0
  readonly #items = new Set<T>()
  /** Whose turn is next comes first. */
  readonly #within = new Map<string, Line<T>>()

  /** @param depth how many of the keys are of networks within this one */
  add(item: T, keys: readonly string[], depth: number): void {
    this.size++
    if (depth === 0) return void this.#items.add(item)
    const key = keys[depth - 1]!
    let line = this.#within.get(key)
    if (!line) this.#within.set(key, (line = new Line()))
    line.add(item, keys, depth - 1)
  }

  delete(item: T, keys: readonly string[], depth: number): void {
    this.size--
    if (depth === 0) return void this.#items.delete(item)
    const key = keys[depth - 1]!
    const line = this.#within.get(key)!
    line.delete(item, keys, depth - 1)
    if (line.size === 0) this.#within.delete(key)
  }

  first(waits?: (key: string) => boolean): T | undefined {
    for (const item of this.#items) return item
    for (const [key, line] of this.#within) if (!waits?.(key)) return line.first()
    return undefined
  }

  /** Those of these keys have had their turn. */
  turn(keys: readonly string[], depth: number): void {
    const key = keys[depth - 1]
    const line = key === undefined ? undefined : this.#within.get(key)
    if (!line) return
    this.#within.delete(key!)
    this.#within.set(key!, line)
    line.turn(keys, depth - 1)
  }

  /** The longest waiting of the largest network within, where that has at least two more than `key`'s. */
  ofLargest(key: string): T | undefined {
    let largest: Line<T> | undefined
    for (const line of this.#within.values()) if (line.size > (largest?.size ?? 0)) largest = line
    const own = this.#within.get(key)?.size ?? 0
    return largest && largest.size > own + 1 ? largest.first() : undefined
  }
}
