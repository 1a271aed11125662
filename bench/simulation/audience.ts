import { videoIdOf } from '../load/crowd.js'
import type { Scenario } from './scenario.js'

/** In place of an edge: the viewer has none. */
export const NOWHERE = 0xffff
/** By Zipf's law with this exponent: a video has the first one's viewers, divided by its rank to this power. */
const EXPONENT = 0.8
/** The growing video's number. */
export const CROWD = 0

/** Every viewer of every video: which gateway it has connected to, and which edge it is on. A viewer of a video other than the
 * growing one is replaced by a newcomer when it leaves, so that its video keeps its popularity. */
export class Audience {
  readonly ids: readonly string[]
  /** A video's viewers are those from here to where the next video's begin. */
  readonly starts: Uint32Array
  readonly video: Uint32Array
  readonly edge: Uint16Array
  readonly gateway: Uint16Array

  constructor({ videos, viewers, crowd }: Pick<Scenario, 'videos' | 'viewers' | 'crowd'>) {
    const others = popularity(videos - 1, viewers - crowd)
    this.ids = Array.from({ length: videos }, (_, rank) => videoIdOf(rank))
    this.starts = new Uint32Array(videos + 1)
    this.starts[1] = crowd
    others.forEach((count, i) => (this.starts[i + 2] = this.starts[i + 1]! + count))
    const total = this.starts[videos]!
    this.video = new Uint32Array(total)
    for (let video = 0; video < videos; video++) this.video.fill(video, this.starts[video], this.starts[video + 1])
    this.edge = new Uint16Array(total).fill(NOWHERE)
    this.gateway = new Uint16Array(total).fill(NOWHERE)
  }

  get videos(): number {
    return this.ids.length
  }

  get size(): number {
    return this.video.length
  }

  /** Those of the growing video come first. */
  get crowd(): number {
    return this.starts[1]!
  }
}

/** Viewers of each video, the most popular first, each at least one; together as near to `viewers` as whole numbers allow. */
export function popularity(videos: number, viewers: number): Uint32Array {
  const counts = new Uint32Array(videos)
  const fill = (first: number): number => {
    let sum = 0
    for (let rank = 1; rank <= videos; rank++) sum += counts[rank - 1] = Math.max(1, Math.floor(first * rank ** -EXPONENT))
    return sum
  }
  let [low, high] = [1, viewers]
  for (let i = 0; i < 40; i++) {
    const middle = (low + high) / 2
    if (fill(middle) > viewers) high = middle
    else low = middle
  }
  fill(low)
  return counts
}
