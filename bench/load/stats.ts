import { HISTOGRAM_BUCKETS, Histogram } from '../measure/histogram.js'

const COUNTERS = ['connected', 'ready', 'failed', 'lost', 'comments', 'bytes', 'reads'] as const
const HISTOGRAMS = ['posted', 'disturbed', 'accepted', 'joined', 'back'] as const
type Counter = (typeof COUNTERS)[number]

/** What a thread of viewers counts, in memory that its owner reads without asking. Each number has one writer. */
export class ViewerStats {
  readonly memory: SharedArrayBuffer
  readonly #numbers: Float64Array
  /** Post due to comment read, for checked viewers, of comments that were due while nothing disturbed them. */
  readonly posted: Histogram
  /** The same of the others. */
  readonly disturbed: Histogram
  /** The comment's createdAt to comment read, for checked viewers. */
  readonly accepted: Histogram
  /** Connect due to ready. */
  readonly joined: Histogram
  /** A disturbance to the first comment that was posted after it, once a checked viewer. */
  readonly back: Histogram

  constructor(memory = new SharedArrayBuffer(8 * (COUNTERS.length + HISTOGRAMS.length * HISTOGRAM_BUCKETS))) {
    this.memory = memory
    this.#numbers = new Float64Array(memory, 0, COUNTERS.length)
    const histogram = (name: (typeof HISTOGRAMS)[number]) =>
      new Histogram(new Float64Array(memory, 8 * (COUNTERS.length + HISTOGRAMS.indexOf(name) * HISTOGRAM_BUCKETS), HISTOGRAM_BUCKETS))
    this.posted = histogram('posted')
    this.disturbed = histogram('disturbed')
    this.accepted = histogram('accepted')
    this.joined = histogram('joined')
    this.back = histogram('back')
  }

  add(counter: Counter, amount = 1): void {
    this.#numbers[COUNTERS.indexOf(counter)]! += amount
  }

  get(counter: Counter): number {
    return this.#numbers[COUNTERS.indexOf(counter)]!
  }
}
