import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from '../support/cluster.js'
import { until } from '../support/until.js'
import { check, type Stored, type Verdict, type Violation } from './check.js'
import { Crowd } from './crowd.js'
import { Ledger, type Post } from './ledger.js'
import type { ViewerNotes } from './notes.js'
import { Posters } from './posters.js'
import { Random } from '../support/random.js'
import type { Address } from './viewer.js'

export interface StormOptions {
  readonly viewers: number
  readonly videos: number
  /** Comments a second, in all. */
  readonly rate: number
  /** How long posts are watched before the gateway dies. */
  readonly calmSeconds: number
}

/** How viewers came, all together. */
export interface Coming {
  readonly viewers: number
  /** From the first to the last `ready`, or from the gateway's death to it, ms. */
  readonly tookMs: number
  /** From a connection to its `ready`, of connections that had one, ms. */
  readonly waitedMs: { readonly p50: number; readonly max: number }
  /** Most viewers placed in one second, by gateway; the most that any had in line; those told to come back. */
  readonly placedPerSecond: number
  readonly inLine: number
  readonly turnedAway: number
  /** Processor time of the gateways for each viewer that was placed, what they relayed meanwhile included, ms. */
  readonly cpuMs: number
}

export interface PostTimes {
  readonly posts: number
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** What a reconnect storm came to. */
export interface Storm {
  readonly first: Coming
  readonly back: Coming
  readonly before: PostTimes
  readonly during: PostTimes
  readonly failedPosts: readonly Post[]
  /** RSS of the gateways that live, MB: before, at most, at the end. */
  readonly gatewayMb: { readonly before: readonly number[]; readonly most: readonly number[]; readonly after: readonly number[] }
  readonly verdict: Verdict
  /** Streams that ended though they were served and their gateway lived. */
  readonly closed: readonly Violation[]
}

const LOOK_MS = 500
/** A poster that has waited this long gives up. */
const POSTERS_PATIENCE_MS = 45_000
const PATIENCE_MS = 180_000

/** Viewers come to all gateways of a cluster that restarts nobody; then the last gateway is killed, and its viewers
 * come back to the others with their cursors, while comments are posted all the time.
 * @param say a line for the human, as it happens */
export async function storm(cluster: Cluster, { viewers, videos, rate, calmSeconds }: StormOptions, say: (line: string) => void): Promise<Storm> {
  const random = new Random(1)
  const ids = Array.from({ length: videos }, (_, i) => `storm-${i + 1}`)
  const all: Address[] = cluster.record().gateways.map(({ id, url, pid }) => ({ id, url: url!, pid }))
  const survivors = all.slice(0, -1)
  const victim = all.at(-1)!
  let addresses: readonly Address[] = all

  const crowd = new Crowd({ viewers, videos: ids, perSecond: viewers, addresses })
  const firstAt = performance.now()
  const first = await come(cluster, all, () => crowd.count().then(({ ready }) => ready === viewers))
  const firstMs = performance.now() - firstAt
  say(`${viewers} viewers came within a second, and all were ready after ${Math.round(firstMs)} ms`)

  const ledger = new Ledger()
  const calmAt = performance.now()
  const posters = new Posters({ ledger, videos: ids, rate, random, addresses: [() => addresses], patienceMs: POSTERS_PATIENCE_MS })
  await sleep(calmSeconds * 1_000)
  const before = survivors.map(rssMb)
  const killedAt = performance.now()
  cluster.kill(victim.id)
  addresses = survivors
  crowd.send(survivors)
  say(`${victim.id} was killed`)
  await until(async () => (await crowd.count()).ready < viewers, { what: 'its viewers are gone' })
  const back = await come(cluster, survivors, () => crowd.count().then(({ ready }) => ready === viewers))
  const backAt = performance.now()
  say(`all were back after ${Math.round(backAt - killedAt)} ms`)
  await sleep(2_000)
  await posters.stop()

  const last = new Map<string, number>()
  for (const { videoId, id = 0 } of ledger.posts()) last.set(videoId, Math.max(id, last.get(videoId) ?? 0))
  await until(() => sleep(LOOK_MS).then(() => crowd.count(last)).then(({ ready, behind }) => ready === viewers && behind === 0), { timeoutMs: 40_000 }).catch(() => say('some are still behind'))
  const after = survivors.map(rssMb)
  const histories = new Map<string, Stored[]>()
  for (const videoId of ids) histories.set(videoId, (await cluster.history(videoId)).map(({ id, content }) => ({ id: Number(id), content })))
  const notes = await crowd.leave()

  const posts = [...ledger.posts()]
  const begunIn = (from: number, to: number) => posts.filter(({ begunAt }) => begunAt >= from && begunAt < to)
  const wasThere = ({ connections }: ViewerNotes) => connections.findLastIndex(({ gateway, readyAt }) => gateway === victim.id && readyAt !== undefined)
  const returned = notes.filter(each => wasThere(each) >= 0)
  const returns = returned.flatMap(each => each.connections.slice(wasThere(each) + 1))
  const comings = notes.flatMap(each => (wasThere(each) < 0 ? each.connections : each.connections.slice(0, wasThere(each) + 1)))
  return {
    first: { ...first, viewers, tookMs: firstMs, waitedMs: waits(comings) },
    back: { ...back, viewers: returned.length, tookMs: backAt - killedAt, waitedMs: waits(returns) },
    before: times(begunIn(calmAt, killedAt)),
    during: times(begunIn(killedAt, backAt)),
    failedPosts: posts.filter(({ failed }) => failed),
    gatewayMb: { before, most: back.mostMb, after },
    verdict: check(ledger, histories, notes),
    closed: unduly(notes, victim),
  }
}

/** Watches the gateways until everybody is there. */
async function come(cluster: Cluster, gateways: readonly Address[], there: () => Promise<boolean>) {
  const look = async () => {
    const metrics = await Promise.all(gateways.map(({ id }) => cluster.metrics(id)))
    const read = (name: string) => metrics.map(metric => metric(name))
    const sum = (name: string) => read(name).reduce((a, b) => a + b, 0)
    return { at: performance.now(), placed: read('live_gateway_placements_total'), inLine: read('live_gateway_viewers_in_line'), turnedAway: sum('live_gateway_turned_away_total'), cpuSeconds: sum('process_cpu_seconds_total') }
  }
  const looks = [await look()]
  const mostMb = gateways.map(rssMb)
  await until(
    async () => {
      await sleep(LOOK_MS)
      looks.push(await look())
      for (const [i, gateway] of gateways.entries()) mostMb[i] = Math.max(mostMb[i]!, rssMb(gateway))
      return there()
    },
    { timeoutMs: PATIENCE_MS, what: 'every viewer is ready' },
  )
  const first = looks[0]!
  const last = looks.at(-1)!
  const placedSince = ({ placed }: { placed: readonly number[] }, then: { placed: readonly number[] }) => placed.map((count, i) => count - then.placed[i]!)
  const rates = looks.flatMap(later => {
    const then = looks.findLast(({ at }) => later.at - at >= 1_000)
    return then ? placedSince(later, then).map(count => (count * 1_000) / (later.at - then.at)) : []
  })
  const placed = placedSince(last, first).reduce((a, b) => a + b, 0)
  return {
    placedPerSecond: Math.max(0, ...rates),
    inLine: Math.max(...looks.flatMap(({ inLine }) => inLine)),
    turnedAway: last.turnedAway - first.turnedAway,
    cpuMs: ((last.cpuSeconds - first.cpuSeconds) * 1_000) / placed,
    mostMb,
  }
}

function waits(connections: readonly ViewerNotes['connections'][number][]): Coming['waitedMs'] {
  const all = connections.flatMap(({ at, readyAt }) => (readyAt === undefined ? [] : [readyAt - at])).sort((a, b) => a - b)
  return { p50: all[Math.floor(all.length / 2)] ?? 0, max: all.at(-1) ?? 0 }
}

function times(posts: readonly Post[]): PostTimes {
  const all = posts.flatMap(({ begunAt, acknowledgedAt }) => (acknowledgedAt === undefined ? [] : [acknowledgedAt - begunAt])).sort((a, b) => a - b)
  const at = (share: number) => all[Math.floor(all.length * share)] ?? 0
  return { posts: posts.length, p50: at(0.5), p99: at(0.99), max: all.at(-1) ?? 0 }
}

function unduly(notes: readonly ViewerNotes[], victim: Address): Violation[] {
  return notes.flatMap(({ viewer, videoId, connections }) =>
    connections
      .filter(({ gateway, readyAt, end }) => gateway !== victim.id && readyAt !== undefined && (end === 'ended' || end === 'broken'))
      .map(({ gateway, end }) => ({ videoId, id: undefined, viewer, text: `its stream was ${end} by ${gateway}, which lived` })),
  )
}

function rssMb({ pid }: Address): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1_024
}
