/** What a store's file says of itself. */
export interface StoreFile {
  /** Random, made with the file; its copies have it too. */
  readonly id: string
  /** Random, made with the file and made anew when a backup takes its place: what was seen of another generation may be
   * missing here. */
  readonly generation: string
  /** Device and inode: no two files of one machine share it. */
  readonly place: string
  /** How many idempotency keys it has made. That never falls, so a copy from earlier has less. */
  readonly stored: number
  /** It was accepted as the cluster's store once, at this place. */
  readonly acceptedHere: boolean
}

/** Tells a file, at its place and of its generation, from every other. */
export function tokenOf({ id, generation, place }: Pick<StoreFile, 'id' | 'generation' | 'place'>): string {
  return `${id} ${generation} ${place}`
}
