import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { LoopDelay } from '../runtime/loop-delay.js'
import { SECONDS_BUCKETS } from '../runtime/metrics.js'
import type { Gateway } from './gateway.js'
import type { Limits } from './limits.js'

/** The gateway's metrics. Calls are counted here; the numbers of viewers are read from the gateway at each scrape. */
export class GatewayMetrics {
  readonly posts: Counter<'status'>
  readonly postSeconds: Histogram
  readonly acts: Counter<'status'>
  readonly historyReads: Counter<'status'>
  /** Streams that ended at once: the viewer was told to come back later. */
  readonly turnedAway: Counter<'reason'>
  readonly loopDelay: LoopDelay

  constructor(register: Registry) {
    const registers = [register]
    this.loopDelay = new LoopDelay(register)
    this.posts = new Counter({ name: 'live_gateway_posts_total', help: 'Posts answered, by HTTP status.', labelNames: ['status'], registers })
    this.postSeconds = new Histogram({ name: 'live_gateway_post_seconds', help: 'Time from receiving a post to answering 201.', buckets: SECONDS_BUCKETS, registers })
    this.acts = new Counter({ name: 'live_gateway_acts_total', help: 'Acts of moderation answered, by HTTP status.', labelNames: ['status'], registers })
    this.historyReads = new Counter({ name: 'live_gateway_history_reads_total', help: 'Pages of history answered, by HTTP status.', labelNames: ['status'], registers })
    this.turnedAway = new Counter({ name: 'live_gateway_turned_away_total', help: 'Viewers told to come back later, by reason.', labelNames: ['reason'], registers })

    // Starts at 0: an alert on a rate does not see the first event of a counter that appears with it.
    for (const status of [201, 503]) this.posts.inc({ status }, 0)
    for (const status of [200, 503]) this.acts.inc({ status }, 0)
    for (const status of [200, 503]) this.historyReads.inc({ status }, 0)
    for (const reason of ['stopping', 'viewer_limit', 'join_rate']) this.turnedAway.inc({ reason }, 0)
  }

  watch(register: Registry, { sessions, links, upstreams, poster }: Gateway, limits: Limits): void {
    const gauge = (name: string, help: string, read: () => number) =>
      new Gauge({ name: `live_gateway_${name}`, help, registers: [register], collect() { this.set(read()) } })
    const total = (name: string, help: string, read: () => number) =>
      new Counter({
        name: `live_gateway_${name}_total`,
        help,
        registers: [register],
        collect() {
          this.reset()
          this.inc(read())
        },
      })
    const totals = (name: string, help: string, read: () => Record<string, number>) =>
      new Counter({
        name: `live_gateway_${name}_total`,
        help,
        labelNames: ['reason'],
        registers: [register],
        collect() {
          this.reset()
          for (const [reason, value] of Object.entries(read())) this.inc({ reason }, value)
        },
      })
    const { counts } = sessions
    gauge('viewers', 'Viewers with an open stream.', () => sessions.size)
    gauge('waiting_viewers', 'Viewers that wait for an edge.', () => sessions.waitingCount)
    gauge('viewers_in_line', 'New viewers in line to be placed, at JOIN_RATE per second.', () => sessions.inLine)
    gauge('edges_relayed_from', 'Edges that viewers are on, by a link or by streams of their own.', () => upstreams.relayedFromCount)
    gauge('links', 'Open links to edges.', () => links.size)
    gauge('groups', 'Videos that viewers watch by links, counted for each edge.', () => links.groups)
    gauge('flush_interval_seconds', 'Time from the start of a round of writes to that of the next in the same group, as chosen after the last round.', () => links.intervalMs / 1000)
    gauge('kept_bytes', 'Bytes of flushes kept for viewers that lag.', () => links.keptBytes)
    gauge('edges_set_aside', 'Edges in back-off, because they could not be reached or were silent.', () => upstreams.backedOffCount)
    gauge('reads_in_flight', 'Pages of history that are read now.', () => limits.reads.running)
    gauge('reads_waiting', 'Pages of history in line to be read.', () => limits.reads.waiting)
    gauge('posts_in_flight', 'Posts not answered yet.', () => poster.inFlight)
    total('placements', 'Placements of viewers on edges, repeated ones included.', () => counts.placements)
    totals('replacements', 'Times a viewer left an edge to be placed again, by reason.', () => counts.replacements)
    totals('endings', 'Viewers\' streams that ended, by reason.', () => counts.endings)
    total('rejoins', 'Viewers that lagged for so long that their edge had to bring them up to date again.', () => counts.rejoins)
    total('writes', 'Writes of events to viewers.', () => counts.writes)
    total('frame_bytes', 'Bytes of events passed on to viewers.', () => counts.bytes)
  }
}
