import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { StreamEvent } from '../protocol/frame.js'
import { timeOfId } from '../protocol/id.js'
import { LoopDelay } from '../runtime/loop-delay.js'
import { SECONDS_BUCKETS } from '../runtime/metrics.js'

/** The edge's metrics. */
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
  readonly loopDelay: LoopDelay

  constructor(register: Registry) {
    this.loopDelay = new LoopDelay(register)
    const counter = (name: string, help: string) => new Counter({ name: `live_edge_${name}_total`, help, registers: [register] })
    this.joins = counter('joins', 'Joins: one for a viewer here, or one for all viewers behind a gateway that miss the same comments.')
    this.slow = counter('slow_viewers', 'Viewers closed because their socket took nothing for too long, and joins of gateways that did not ask for the next piece.')
    this.received = counter('comments_received', 'Comments that dispatchers pushed here.')
    this.unheld = counter('comments_unheld', 'Comments pushed here for a video that has no room here.')
    this.duplicates = counter('comments_duplicate', 'Comments pushed here that the room already had.')
    this.deliveries = counter('comments_delivered', 'Comments written, one for each viewer, here or behind a gateway.')
    this.writes = counter('writes', 'Writes of flushes: one for each viewer here, and one for all viewers of a video behind a gateway.')
    this.syncs = counter('syncs', 'Syncs sent to dispatchers.')
    this.syncFailures = counter('sync_failures', 'Syncs and replays that a dispatcher did not answer.')
    this.repaired = counter('comments_repaired', 'Comments that came by sync and not by push.')
    this.replays = counter('replays', 'Replays read from dispatchers for viewers.')
    this.restarts = counter('rooms_restarted', 'Rooms that were ahead of the store and restarted at its head, because the store was restored from a backup.')
    this.holdingsFull = counter('holdings_full', 'Viewers refused because the holdings znode has no room for another video.')
    this.batchSize = new Histogram({ name: 'live_edge_batch_comments', help: 'Comments in a batch from a dispatcher.', buckets: [0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000], registers: [register] })
    this.flushInterval = new Gauge({ name: 'live_edge_flush_interval_seconds', help: 'Time from the start of a flush to that of the next in the same room, as chosen after the last flush.', registers: [register] })
    this.flushSeconds = new Histogram({ name: 'live_edge_flush_seconds', help: 'Time spent writing one flush.', buckets: SECONDS_BUCKETS, registers: [register] })
    this.deliverySeconds = new Histogram({ name: 'live_edge_delivery_seconds', help: 'Time from accepting a comment to writing it to the last viewer of its room.', buckets: SECONDS_BUCKETS, registers: [register] })
  }

  /** Records a flush. @param intervalMs from its start to that of the room's next */
  flushed(costMs: number, intervalMs: number): void {
    this.flushSeconds.observe(costMs / 1000)
    this.flushInterval.set(intervalMs / 1000)
  }

  /** Records that `comments` of a flush's events went to so many people by so many writes. @param wall Unix ms */
  delivered(comments: number, writes: number, people: number, events: readonly StreamEvent[], wall: number): void {
    this.writes.inc(writes)
    this.deliveries.inc(comments * people)
    if (writes === 0) return
    for (const { id } of events) if (id !== 0) this.deliverySeconds.observe(Math.max(0, wall - timeOfId(id)) / 1000)
  }

  /** Adds the gauges, which are read at each scrape. */
  watch(register: Registry, edge: { readonly viewers: number; readonly rooms: number }, capacity: number): void {
    new Gauge({ name: 'live_edge_viewers', help: 'Viewers with an open stream.', registers: [register], collect() { this.set(edge.viewers) } })
    new Gauge({ name: 'live_edge_capacity_viewers', help: 'The most viewers that the edge takes.', registers: [register] }).set(capacity)
    new Gauge({ name: 'live_edge_rooms', help: 'Rooms in memory; a room is kept for a minute after its last viewer.', registers: [register], collect() { this.set(edge.rooms) } })
  }
}
