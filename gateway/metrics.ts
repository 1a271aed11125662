import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { SECONDS_BUCKETS } from '../runtime/metrics.js'
import type { Gateway } from './gateway.js'

/** What a gateway counts of calls; of viewers the parts keep totals themselves, read when asked for. */
export class GatewayMetrics {
  readonly posts: Counter<'status'>
  readonly postSeconds: Histogram
  readonly historyReads: Counter<'status'>
  /** Streams ended with the first answer. */
  readonly turnedAway: Counter<'reason'>

  constructor(register: Registry) {
    const registers = [register]
    this.posts = new Counter({ name: 'live_gateway_posts_total', help: 'Posts answered, by HTTP status.', labelNames: ['status'], registers })
    this.postSeconds = new Histogram({ name: 'live_gateway_post_seconds', help: 'Post received to answered with 201.', buckets: SECONDS_BUCKETS, registers })
    this.historyReads = new Counter({ name: 'live_gateway_history_reads_total', help: 'Pages of history answered, by HTTP status.', labelNames: ['status'], registers })
    this.turnedAway = new Counter({ name: 'live_gateway_turned_away_total', help: 'Viewers told to come back later.', labelNames: ['reason'], registers })

    // A counter that appears with its first event never rises from 0: no alert would see that event.
    for (const status of [201, 503]) this.posts.inc({ status }, 0)
    for (const status of [200, 503]) this.historyReads.inc({ status }, 0)
    for (const reason of ['stopping', 'viewer_limit', 'join_rate']) this.turnedAway.inc({ reason }, 0)
  }

  watch(register: Registry, { sessions, upstreams, poster }: Gateway): void {
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
    gauge('viewers_in_line', 'Viewers that wait to be placed: more come than JOIN_RATE.', () => sessions.inLine)
    gauge('edges_relayed_from', 'Edges that viewers are relayed from.', () => upstreams.relayedFromCount)
    gauge('edges_set_aside', 'Edges backed off from because they could not be reached or were silent.', () => upstreams.backedOffCount)
    gauge('posts_in_flight', 'Posts not answered yet.', () => poster.inFlight)
    total('placements', 'Viewers placed on an edge, again too.', () => counts.placements)
    totals('replacements', 'Viewers that left an edge to be placed again.', () => counts.replacements)
    totals('endings', 'Streams that ended.', () => counts.endings)
    total('frames', 'Frames from edges passed on.', () => counts.frames)
    total('frame_bytes', 'Bytes of events passed on to viewers.', () => counts.bytes)
  }
}
