/** Buckets of whole microseconds up to 64, then 32 to each doubling: no value is off by more than 3%. */
const EXACT = 64
const PER_DOUBLING = 32
const DOUBLINGS = 22
const MOST_US = 2 ** 28 - 1

export const HISTOGRAM_BUCKETS = EXACT + DOUBLINGS * PER_DOUBLING

/** How long things took, in memory that threads may share. Longer than 268 s counts as that. */
export class Histogram {
  readonly counts: Float64Array<ArrayBufferLike>

  constructor(counts: Float64Array<ArrayBufferLike> = new Float64Array(HISTOGRAM_BUCKETS)) {
    this.counts = counts
  }

  /** @param times how often it took so long */
  record(ms: number, times = 1): void {
    const us = Math.min(MOST_US, Math.max(0, Math.round(ms * 1000)))
    this.counts[bucketOf(us)]! += times
  }

  add(other: Histogram): void {
    for (let i = 0; i < HISTOGRAM_BUCKETS; i++) this.counts[i]! += other.counts[i]!
  }

  get total(): number {
    let total = 0
    for (const count of this.counts) total += count
    return total
  }

  /** In ms; undefined while nothing is recorded. @param q from 0 to 1 */
  quantile(q: number): number | undefined {
    const rank = Math.ceil(q * this.total)
    let seen = 0
    for (let i = 0; i < HISTOGRAM_BUCKETS; i++) {
      seen += this.counts[i]!
      if (seen > 0 && seen >= rank) return upperEdge(i) / 1000
    }
    return undefined
  }
}

/** What a run's table and file show of one. */
export interface Quantiles {
  readonly p50: number
  readonly p99: number
  readonly p999: number
  readonly max: number
}

/** Undefined where nothing was recorded. In ms. */
export function quantiles(histogram: Histogram): Quantiles | undefined {
  const [p50, p99, p999, max] = [0.5, 0.99, 0.999, 1].map(q => histogram.quantile(q))
  return p50 === undefined || p99 === undefined || p999 === undefined || max === undefined ? undefined : { p50, p99, p999, max }
}

function bucketOf(us: number): number {
  if (us < EXACT) return us
  const doubling = 31 - Math.clz32(us)
  return EXACT + (doubling - 6) * PER_DOUBLING + ((us >> (doubling - 5)) & (PER_DOUBLING - 1))
}

function upperEdge(bucket: number): number {
  if (bucket < EXACT) return bucket
  const doubling = 6 + Math.floor((bucket - EXACT) / PER_DOUBLING)
  const part = (bucket - EXACT) % PER_DOUBLING
  return 2 ** doubling + (part + 1) * 2 ** (doubling - 5) - 1
}
