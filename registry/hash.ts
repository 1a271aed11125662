export const FNV_BASIS = 0x811c9dc5

/** 32-bit FNV-1a over the text's UTF-16 units, from `seed` on. It leaves the last units' bits unmixed. */
export function fnv(seed: number, text: string): number {
  let h = seed
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return h
}

/** murmur3's 32-bit finalizer: each bit of the answer depends on all of `h`. @returns 0 to 2^32 − 1 */
export function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
