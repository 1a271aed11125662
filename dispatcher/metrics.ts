import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { ActType } from '../protocol/entry.js'
import { LoopDelay } from '../runtime/loop-delay.js'
import { SECONDS_BUCKETS } from '../runtime/metrics.js'

const SIZE_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]

/** The dispatcher's metrics. */
export class DispatcherMetrics {
  readonly accepted: Counter
  readonly stored: Counter
  readonly forwarded: Counter
  readonly hints: Counter
  readonly batches: Counter
  readonly batchFailures: Counter
  readonly batchComments: Histogram
  readonly groupComments: Histogram
  readonly commitSeconds: Histogram
  readonly posts: Counter<'code'>
  readonly passedOn: Counter
  readonly syncRooms: Counter<'from'>
  readonly syncComments: Counter
  readonly historyPages: Counter<'from'>
  readonly readsRefused: Counter
  readonly acts: Counter<'type'>
  readonly reviews: Counter<'verdict'>
  readonly reviewSeconds: Histogram
  readonly hookEvents: Counter
  readonly hookFailures: Counter
  readonly loopDelay: LoopDelay
  readonly #registry: Registry
  #hookOldest = (): number => 0

  constructor(registry: Registry) {
    this.loopDelay = new LoopDelay(registry)
    this.#registry = registry
    const counter = (name: string, help: string) => new Counter({ name: `live_dispatcher_${name}_total`, help, registers: [registry] })
    const labelled = <L extends string>(name: string, help: string, label: L) =>
      new Counter({ name: `live_dispatcher_${name}_total`, help, labelNames: [label], registers: [registry] })
    const histogram = (name: string, help: string, buckets: number[]) => new Histogram({ name: `live_dispatcher_${name}`, help, buckets, registers: [registry] })

    this.accepted = counter('comments_accepted', 'Posts taken into the accept queue.')
    this.stored = counter('comments_stored', 'New comments on disk.')
    this.forwarded = counter('comments_forwarded', 'Comments in batches that an edge acknowledged, counted once per edge.')
    this.hints = counter('hints_forwarded', 'Hints in batches that an edge acknowledged.')
    this.batches = counter('batches', 'Batches that an edge acknowledged.')
    this.batchFailures = counter('batch_failures', 'Batches that failed; hints replace them.')
    this.batchComments = histogram('batch_comments', 'Comments in a batch.', SIZE_BUCKETS)
    this.groupComments = histogram('commit_comments', 'Posts in a group commit.', SIZE_BUCKETS)
    this.commitSeconds = histogram('commit_seconds', 'Time of a group commit, as the accept queue sees it.', SECONDS_BUCKETS)
    this.posts = labelled('posts', 'Posts answered by this dispatcher, by result: created, repeated or an error code.', 'code')
    this.passedOn = counter('posts_passed_on', 'Posts passed on to the owner of their video.')
    this.syncRooms = labelled('sync_rooms', 'Rooms of syncs and replays, by where they were read; none: the store was unavailable.', 'from')
    this.syncComments = counter('sync_comments', 'Comments in answers to syncs.')
    this.historyPages = labelled('history_pages', 'Pages of history, by where they were read.', 'from')

    this.readsRefused = counter('reads_refused', 'Pages of history and replays refused, since too many were waiting for the store.')

    this.acts = new Counter({ name: 'live_acts_total', help: 'Acts done by this dispatcher: comments deleted or pinned, settings changed, authors banned or let in again, held comments approved or refused.', labelNames: ['type'], registers: [registry] })

    this.reviews = labelled('reviews', 'Posts sent to the review, by its verdict; none: no usable verdict in time.', 'verdict')
    this.reviewSeconds = histogram('review_seconds', 'Time that a post waited for its verdict.', SECONDS_BUCKETS)

    this.hookEvents = new Counter({ name: 'live_hook_events_total', help: 'Events that the web hook has taken.', registers: [registry] })
    this.hookFailures = new Counter({ name: 'live_hook_failures_total', help: 'Calls to the web hook that were not answered by a status of 2xx.', registers: [registry] })
    const hookOldest = () => this.#hookOldest()
    new Gauge({ name: 'live_hook_oldest_undelivered_seconds', help: 'Age of the oldest event that is being sent to the web hook; 0 where nothing waits.', registers: [registry], collect() { this.set(hookOldest()) } })

    // Starts at 0: an alert on a rate does not see the first event of a counter that appears with it.
    for (const code of ['created', 'OVERLOADED', 'STORE_UNAVAILABLE']) this.posts.inc({ code }, 0)
    for (const from of ['memory', 'store', 'none']) this.syncRooms.inc({ from }, 0)
    for (const type of ['deleted', 'pinned', 'settings', 'author-banned', 'approved', 'refused'] satisfies (ActType | 'approved' | 'refused')[]) this.acts.inc({ type }, 0)
    for (const verdict of ['publish', 'hold', 'refuse', 'none']) this.reviews.inc({ verdict }, 0)
    for (const from of ['memory', 'store']) this.historyPages.inc({ from }, 0)
  }

  /** @param read the age in seconds of the oldest event that is being sent to the web hook, 0 where nothing waits */
  hookOldest(read: () => number): void {
    this.#hookOldest = read
  }

  /** Adds a figure of each line to another cluster, which is read at each scrape. */
  peers(name: string, help: string, read: () => Iterable<readonly [peer: string, value: number]>): void {
    new Gauge({ name: `live_peer_${name}`, help, labelNames: ['peer'], registers: [this.#registry], collect() { for (const [peer, value] of read()) this.set({ peer }, value) } })
  }

  /** Adds a size in bytes, which is read at each scrape. */
  bytes(name: string, help: string, read: () => number): void {
    new Gauge({ name: `live_dispatcher_${name}_bytes`, help, registers: [this.#registry], collect() { this.set(read()) } })
  }
}
