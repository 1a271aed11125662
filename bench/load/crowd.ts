import { mix } from '../../registry/hash.js'
import { poisson } from './poisson.js'

/** How many videos there are for each that is watched at a time. */
const CATALOGUE = 3
/** Most viewers of a video on one edge: gateways put the others elsewhere. */
const MOST_VIEWERS = 10_000
/** Beyond this rank, videos of nearly the same popularity are summed up together. */
const EXACT_RANKS = 1_000
const GROUP_RATIO = 1.01

/** By Zipf's law a video has the popularity of the first, divided by its rank.
 * @param watched how many videos somebody watches at a time, on average @returns the mean viewers of the first video */
export function popularityOf(watched: number): number {
  let [low, high] = [0, watched * 100]
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2
    if (watchedOf(middle, CATALOGUE * watched) < watched) low = middle
    else high = middle
  }
  return high
}

/** Each video has a number of viewers by Poisson, and so is watched with the probability of its not being 0. */
function watchedOf(first: number, videos: number): number {
  let sum = 0
  for (let rank = 1; rank <= videos; ) {
    const count = rank < EXACT_RANKS ? 1 : Math.min(videos - rank + 1, Math.floor(rank * (GROUP_RATIO - 1)))
    sum += count * (1 - Math.exp(-first / (rank + (count - 1) / 2)))
    rank += count
  }
  return sum
}

/** Of 11 characters, like those of the largest platform. */
export function videoIdOf(rank: number): string {
  return `${mix(rank).toString(36)}${mix(rank ^ 0x5bd1e995).toString(36)}000000000`.slice(0, 11)
}

export interface CrowdOptions {
  /** Its place among the edges, from 0: the videos are dealt out in turn, by rank. */
  readonly edge: number
  readonly edges: number
  /** Videos that somebody watches, on all edges. */
  readonly videos: number
  /** Of the first video, by {@link popularityOf}. */
  readonly popularity: number
  /** How long a viewer stays on average, ms. */
  readonly stayMs: number
  /** 0 ≤ x < 1 */
  readonly random: () => number
  /** The video of that rank, from 1, has that many viewers now. */
  readonly changed: (rank: number, viewers: number) => void
}

/** The viewers of one edge's videos as they come and go: as often as the videos are popular, each for a random time. */
export class Crowd {
  readonly #options: CrowdOptions
  /** By the video's place among the edge's: mean viewers of it and of those before it. */
  readonly #means: Float64Array
  readonly #counts: Uint32Array
  /** The place of each viewer's video. */
  readonly #viewers: number[] = []

  constructor(options: CrowdOptions) {
    const { edge, edges, videos, popularity } = options
    this.#options = options
    const count = Math.max(1, Math.floor((CATALOGUE * videos - edge - 1) / edges) + 1)
    this.#means = new Float64Array(count)
    this.#counts = new Uint32Array(count)
    let sum = 0
    for (let place = 0; place < count; place++) this.#means[place] = sum += Math.min(MOST_VIEWERS, popularity / this.#rank(place))
  }

  get viewers(): number {
    return this.#viewers.length
  }

  /** As if viewers had come and gone for long. */
  fill(): void {
    this.#means.forEach((mean, place) => {
      const viewers = poisson(mean - (this.#means[place - 1] ?? 0), this.#options.random)
      if (viewers === 0) return
      for (let i = 0; i < viewers; i++) this.#viewers.push(place)
      this.#counts[place] = viewers
      this.#options.changed(this.#rank(place), viewers)
    })
  }

  step(ms: number): void {
    const share = ms / this.#options.stayMs
    for (let coming = poisson(this.#means.at(-1)! * share, this.#options.random); coming > 0; coming--) this.#come()
    for (let going = Math.min(this.viewers, poisson(this.viewers * share, this.#options.random)); going > 0; going--) this.#go()
  }

  #rank(place: number): number {
    return place * this.#options.edges + this.#options.edge + 1
  }

  #come(): void {
    const wanted = this.#options.random() * this.#means.at(-1)!
    let [low, high] = [0, this.#means.length - 1]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#means[middle]! <= wanted) low = middle + 1
      else high = middle
    }
    this.#viewers.push(low)
    this.#options.changed(this.#rank(low), ++this.#counts[low]!)
  }

  #go(): void {
    const i = Math.floor(this.#options.random() * this.#viewers.length)
    const place = this.#viewers[i]!
    const last = this.#viewers.pop()!
    if (i < this.#viewers.length) this.#viewers[i] = last
    this.#options.changed(this.#rank(place), --this.#counts[place]!)
  }
}
