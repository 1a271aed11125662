/** A kind of trouble. `strays` is posts that are stored by dispatchers that do not own their video, whose news
 * of it is often lost; `crowd`, many viewers on an edge whose writes take time; `link`, links that
 * are read late and take little, while viewers come and go; `foreign`, cursors that this
 * cluster never gave; `acts`, which is no trouble: what moderators do, and authors to what they have said. */
export const FEATURES = [
  'loss', 'pipe', 'crash', 'freeze', 'lag', 'away', 'split', 'clock', 'late', 'drain', 'foreign', 'expire', 'slow', 'cut', 'crowd', 'strays', 'link', 'acts',
] as const
export type Feature = (typeof FEATURES)[number]

/** One feature alone (acts with another one, in every second seed), none of them, a few by chance (`all`), or every one at once and often (`hard`). */
export const MIXES = ['none', ...FEATURES, 'all', 'hard'] as const
export type Mix = (typeof MIXES)[number]

export function isMix(text: string): text is Mix {
  return (MIXES as readonly string[]).includes(text)
}
