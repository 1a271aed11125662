import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { StreamEvent } from '../protocol/frame.js'
import { timeOfId } from '../protocol/id.js'
import { SECONDS_BUCKETS } from '../runtime/metrics.js'

/** What an edge counts. */
export class EdgeMetrics {
  readonly joins: Counter
  readonly slow: Counter
  readonly received: Counter
  readonly unheld: Counter
  readonly duplicates: Counter
  readonly deliveries: Counter
  readonly writes: Counter
  readonly syncs: Counter
  readonly syncFailures: Counter
  readonly repaired: Counter
  readonly replays: Counter
  readonly restarts: Counter
  readonly holdingsFull: Counter
  readonly batchSize: Histogram
  readonly flushInterval: Gauge
  readonly flushSeconds: Histogram
  readonly deliverySeconds: Histogram

  constructor(register: Registry) {
    const counter = (name: string, help: string) => new Counter({ name: `live_edge_${name}_total`, help, registers: [register] })
    this.joins = counter('joins', 'Viewers taken.')
    this.slow = counter('slow_viewers', 'Viewers closed because their socket took nothing for too long.')
    this.received = counter('comments_received', 'Comments that dispatchers pushed here.')
    this.unheld = counter('comments_unheld', 'Comments pushed here for a video that nobody here watches.')
    this.duplicates = counter('comments_duplicate', 'Comments that were here already.')
    this.deliveries = counter('comments_delivered', 'Comments written to viewers, one for each viewer.')
    this.writes = counter('writes', 'Writes of flushes to viewers.')
    this.syncs = counter('syncs', 'Sync questions asked.')
    this.syncFailures = counter('sync_failures', 'Questions to a dispatcher that were not answered.')
    this.repaired = counter('comments_repaired', 'Comments that a sync brought and no push had.')
    this.replays = counter('replays', 'Times history was read for viewers.')
    this.restarts = counter('rooms_restarted', 'Rooms that were ahead of the store, and began anew at its head: a backup was put back.')
    this.holdingsFull = counter('holdings_full', 'Viewers refused because the list of held videos has no room for another.')
    this.batchSize = new Histogram({ name: 'live_edge_batch_comments', help: 'Comments in a batch from a dispatcher.', buckets: [0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000], registers: [register] })
    this.flushInterval = new Gauge({ name: 'live_edge_flush_interval_seconds', help: 'Time between the starts of two flushes of a room, as chosen after the last flush.', registers: [register] })
    this.flushSeconds = new Histogram({ name: 'live_edge_flush_seconds', help: 'Time spent writing one flush.', buckets: SECONDS_BUCKETS, registers: [register] })
    this.deliverySeconds = new Histogram({ name: 'live_edge_delivery_seconds', help: 'Comment accepted to written to the last of its room\'s viewers.', buckets: SECONDS_BUCKETS, registers: [register] })
  }

  /** A flush is done. @param intervalMs what its room leaves between two of them, start to start */
  flushed(costMs: number, intervalMs: number): void {
    this.flushSeconds.observe(costMs / 1000)
    this.flushInterval.set(intervalMs / 1000)
  }

  /** `comments` of a flush's events went to `written` viewers. @param wall Unix ms */
  delivered(comments: number, written: number, events: readonly StreamEvent[], wall: number): void {
    this.writes.inc(written)
    this.deliveries.inc(comments * written)
    if (written === 0) return
    for (const { id } of events) if (id !== 0) this.deliverySeconds.observe(Math.max(0, wall - timeOfId(id)) / 1000)
  }

  /** Gauges are read when they are asked for. */
  watch(register: Registry, edge: { readonly viewers: number; readonly rooms: number }, capacity: number): void {
    new Gauge({ name: 'live_edge_viewers', help: 'Viewers held.', registers: [register], collect() { this.set(edge.viewers) } })
    new Gauge({ name: 'live_edge_capacity_viewers', help: 'Viewers it takes at most.', registers: [register] }).set(capacity)
    new Gauge({ name: 'live_edge_rooms', help: 'Rooms in memory, those kept for a minute after their last viewer too.', registers: [register], collect() { this.set(edge.rooms) } })
  }
}
