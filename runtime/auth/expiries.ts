import type { Key, Keys } from './keys.js'

const SLOT_MS = 1_000
/** Those whose key is gone end within this time, and not all at once: each comes back. */
const SPREAD_MS = 5_000

/** Items with an expiry time, in slots of one second: adding and deleting take constant time, and one look a second finds
 * everything that is due. */
export class Expiries<T> {
  readonly #slots = new Map<number, Set<T>>()
  readonly #slotOf = new Map<T, number>()
  readonly #keyOf = new Map<T, Key>()
  #lookedAt = -Infinity

  get size(): number {
    return this.#slotOf.size
  }

  /** @param endsAt Unix ms; the item is due up to a second later
   * @param key without which it is due sooner */
  add(item: T, endsAt: number, key?: Key): void {
    const slot = Math.ceil(endsAt / SLOT_MS)
    if (key) this.#keyOf.set(item, key)
    const others = this.#slots.get(slot)
    if (others) others.add(item)
    else this.#slots.set(slot, new Set([item]))
    this.#slotOf.set(item, slot)
  }

  /** Makes every item due whose key is none of these. @param now wall clock, Unix ms */
  keep(keys: Keys, now: number, random: () => number): void {
    const held = new Map<Key, boolean>()
    for (const [item, key] of this.#keyOf) {
      if (!held.has(key)) held.set(key, keys.holds(key))
      if (held.get(key)) continue
      const endsAt = Math.min(this.#slotOf.get(item)! * SLOT_MS, now + random() * SPREAD_MS)
      this.delete(item)
      this.add(item, endsAt)
    }
  }

  delete(item: T): void {
    const slot = this.#slotOf.get(item)
    if (slot === undefined) return
    this.#slotOf.delete(item)
    this.#keyOf.delete(item)
    const others = this.#slots.get(slot)!
    others.delete(item)
    if (others.size === 0) this.#slots.delete(slot)
  }

  /** Removes and returns the expired items. @param now wall clock, Unix ms, which may step */
  due(now: number): T[] {
    const current = Math.floor(now / SLOT_MS)
    if (current === this.#lookedAt) return []
    this.#lookedAt = current
    const ended: T[] = []
    for (const [slot, items] of this.#slots) {
      if (slot > current) continue
      for (const item of items) ended.push(item)
      this.#slots.delete(slot)
    }
    for (const item of ended) {
      this.#slotOf.delete(item)
      this.#keyOf.delete(item)
    }
    return ended
  }
}
