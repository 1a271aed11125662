import { FNV_BASIS, fnv, mix } from './hash.js'

/** Rendezvous (highest random weight) hashing, Thaler and Ravishankar 1998: every caller that knows the same
 * nodes puts them in the same order for a key, and a node that comes or goes moves only its own share. */
export function byRendezvous<T extends { readonly id: string }>(key: string, nodes: Iterable<T>): T[] {
  const start = startOf(key)
  const weighed = Array.from(nodes, node => ({ node, weight: weigh(start, node.id) }))
  weighed.sort((a, b) => b.weight - a.weight || (a.node.id < b.node.id ? -1 : 1))
  return weighed.map(({ node }) => node)
}

/** The first of `byRendezvous`, without the sorting. */
export function firstByRendezvous<T extends { readonly id: string }>(key: string, nodes: Iterable<T>): T | undefined {
  const start = startOf(key)
  let best: T | undefined
  let most = -1
  for (const node of nodes) {
    const weight = weigh(start, node.id)
    if (weight > most || (weight === most && best && node.id < best.id)) {
      best = node
      most = weight
    }
  }
  return best
}

/** 32 bits of key and id. */
function weigh(start: number, id: string): number {
  return mix(fnv(start, id))
}

/** The key's part of the hash, the same for every node. */
function startOf(key: string): number {
  return fnv(FNV_BASIS, key) ^ 0x2f
}
