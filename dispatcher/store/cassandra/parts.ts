/** Of one conditional write, which is one message to one partition. */
const MOST = 64
const MOST_BYTES = 48 * 1024

export interface Cut<Item> {
  readonly bytesOf: (item: Item) => number
  /** Whether it goes by itself; without, none does. */
  readonly alone?: (item: Item) => boolean
}

/** Cut, in order, where a conditional write would become large. */
export function* parts<Item>(items: readonly Item[], { bytesOf, alone = () => false }: Cut<Item>): Generator<Item[]> {
  let part: Item[] = []
  let bytes = 0
  for (const item of items) {
    const more = bytesOf(item)
    if (part.length > 0 && (part.length === MOST || bytes + more > MOST_BYTES || alone(item) || alone(part[0]!))) {
      yield part
      part = []
      bytes = 0
    }
    part.push(item)
    bytes += more
  }
  if (part.length > 0) yield part
}
