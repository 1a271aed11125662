import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../support/until.js'
import { Audience } from './audience.js'
import { check, isAway, type Across, type Stored, type Verdict, type Violation } from './check.js'
import { Clusters } from './clusters.js'
import { Faults } from './faults.js'
import { healings, late, type Healing } from './healings.js'
import { lastLook } from './last-look.js'
import { Ledger } from './ledger.js'
import { Moderators } from './moderators.js'
import type { ViewerNotes } from './notes.js'
import type { ChaosOptions } from './options.js'
import { Posters } from './posters.js'
import { Random } from '../support/random.js'
import { faultName, schedule } from './schedule.js'
import { silences, type Done, type Silence } from './silences.js'
import type { Target } from './target.js'

/** All that a run came to. */
export interface Outcome {
  readonly options: ChaosOptions
  readonly ledger: Ledger
  readonly viewers: readonly ViewerNotes[]
  readonly done: readonly Done[]
  readonly skipped: readonly string[]
  readonly verdict: Verdict
  readonly silences: readonly Silence[]
  /** Where there are two clusters. */
  readonly healings: readonly Healing[]
  /** Streams that ended though their gateway lived and their viewer read. */
  readonly closed: readonly Violation[]
  /** Longest time that this process did not run, ms: silences may be longer by it. */
  readonly heldUpMs: number
  /** From the last fault until every viewer had everything, ms. */
  readonly settledMs: number
  /** When the run began: `performance.now()`, and Unix ms. */
  readonly began: number
  readonly beganWall: number
  /** The folder of each cluster's data, by its name. */
  readonly data: ReadonlyMap<string, string>
}

/** Who posts or acts gives up after this long; the line between two clusters may be broken for as long besides. */
const PATIENCE_MS = 45_000
const READY_MS = 30_000
const SETTLE_MS = 40_000
/** A gateway that is told to stop takes up to this long; a viewer that stalled is closed within this. */
const STALLED_MS = 20_000
const HELD_UP_TICK_MS = 20

/** Breaks a cluster for a while, lets it come to rest, and holds it to its promises.
 * @param say a line for the human, as it happens */
/** The newest page may come from the memory of a dispatcher that compared it with the store a second ago (rule 5), while
 * one that woke with a stale view stored: so much later history must have all of it. */
const HISTORY_LAG_MS = 1_200

export async function run(options: ChaosOptions, say: (line: string) => void): Promise<Outcome> {
  const kinds = options.faults
  const clusters = options.data === undefined ? await Clusters.start({ ...options, proxies: kinds.includes('net') }) : Clusters.at(options.data)
  let keep = true
  try {
    const outcome = await runOn(clusters, options, say)
    keep = outcome.verdict.violations.length + outcome.closed.length > 0
    return outcome
  } finally {
    await clusters.close(keep)
  }
}

async function runOn(clusters: Clusters, options: ChaosOptions, say: (line: string) => void): Promise<Outcome> {
  const { seed, seconds } = options
  const random = new Random(seed ^ 0x5eed)
  // A name of this run's own: a cluster that runs already may hold comments of another run.
  const run = `${seed}-${Date.now().toString(36)}`
  const videos = Array.from({ length: options.videos }, (_, i) => `chaos-${run}-${i + 1}`)
  const ledger = new Ledger()
  const targets = clusters.all
  const plan = schedule({ seed, seconds, kinds: options.faults, zookeepers: targets[0]!.zookeepers.length, apart: options.apart })
  const cutMs = Math.max(0, ...plan.filter(({ kind }) => kind === 'line').map(({ durationMs }) => durationMs))
  const patienceMs = PATIENCE_MS + cutMs
  const heldUp = new HeldUp()
  const audience = new Audience({ viewers: options.viewers, videos, churning: options.faults.includes('churn'), sockets: options.otherBuild === undefined, random, addresses: targets.map(target => () => random.pick(target.addresses())) })
  await until(() => audience.present.every(viewer => viewer.isReady), { timeoutMs: READY_MS, what: 'the viewers are ready' })
  const posters = new Posters({ ledger, videos, rate: options.rate, random, addresses: targets.map(target => () => target.addresses()), patienceMs })
  // A former build knows no acts.
  const moderators = options.acts > 0 && options.otherBuild === undefined ? new Moderators({ ledger, videos, rate: options.acts, random, clusters: targets, patienceMs }) : undefined
  audience.begin()
  const began = performance.now()
  const beganWall = Date.now()
  const saySince = (line: string) => say(`${((performance.now() - began) / 1_000).toFixed(1).padStart(6)} s  ${line}`)
  const faults = targets.map(target => new Faults({ target, line: clusters.line, audience, posters, videos, random, say: saySince }))
  say(`seed ${seed}: ${plan.map(fault => `${(fault.atMs / 1_000).toFixed(1)} s ${faultName(fault)}`).join(', ') || 'no faults'}`)

  const underWay: Promise<void>[] = []
  for (const fault of plan) {
    await sleep(Math.max(0, began + fault.atMs - performance.now()))
    const at = fault.which * faults.length
    const doing = faults[Math.floor(at)]!.do({ ...fault, which: at % 1 })
    underWay.push(doing)
    if (options.apart) await Promise.race([doing, sleep(fault.durationMs + 4_000)])
  }
  // A rolling restart goes on under load until it is through.
  if (options.faults.includes('rolling')) await Promise.all(underWay)
  await sleep(Math.max(0, began + seconds * 1_000 - performance.now()))

  saySince('no more faults; waiting until every viewer has everything')
  for (const each of faults) each.end()
  await Promise.allSettled(underWay) // what one started again is ended with the rest, also where another failed
  await Promise.all(underWay)
  for (const { network } of targets) network?.heal()
  audience.settle()
  const settling = performance.now()
  await clusters.whole()
  await Promise.all([posters.stop(), moderators?.stop()])
  const last = new Map<string, number>()
  // A ban is kept from viewers.
  const shown = ledger.acts().filter(({ act }) => act.type !== 'author-banned')
  for (const { videoId, id = 0 } of [...ledger.posts(), ...shown]) last.set(videoId, Math.max(id, last.get(videoId) ?? 0))
  const behind = () => audience.present.filter(({ notes, place, isReady }) => !isReady || place < (last.get(notes.videoId) ?? 0)).length
  await until(() => behind() === 0, { timeoutMs: SETTLE_MS, what: '' }).catch(() => saySince(`${behind()} viewers are still behind`))
  const settledMs = performance.now() - settling
  await sleep(HISTORY_LAG_MS)
  const histories = new Map<string, Stored[]>()
  for (const videoId of videos) histories.set(videoId, await history(clusters.home(videoId), videoId))
  const closed = unduly(clusters, audience)
  const looked = await lastLook(ledger, histories, targets.flatMap(target => target.addresses()))
  audience.close()
  const { line } = clusters
  const across: Across | undefined = line && { homeOf: videoId => line.homeOf(videoId), cutMs }
  const done = faults.flatMap(each => each.done).sort((a, b) => a.from - b.from)
  const healed = across ? healings(ledger, audience.notes, done, notes => isAway(notes, across)) : []
  const verdict = check(ledger, histories, audience.notes, across)
  return {
    options: { ...options, zookeepers: targets[0]!.zookeepers.length },
    ledger,
    viewers: audience.notes,
    done,
    skipped: faults.flatMap(each => each.skipped),
    verdict: { ...verdict, violations: [...verdict.violations, ...looked, ...late(healed)] },
    silences: silences(ledger, audience.notes),
    healings: healed,
    closed,
    heldUpMs: heldUp.close(),
    settledMs,
    began,
    beganWall,
    data: new Map(targets.map(({ name, data }) => [name, data])),
  }
}

async function history(target: Target, videoId: string): Promise<Stored[]> {
  const all: Stored[] = []
  const [first] = target.addresses()
  for (let cursor: string | null = '0'; cursor !== null; ) {
    const response = await fetch(`${first!.url}/comments/${videoId}?direction=after&pageSize=200&cursor=${cursor}`)
    if (response.status !== 200) throw new Error(`history was answered ${response.status}: ${await response.text()}`)
    const page = (await response.json()) as { comments: { id: string; content?: string; deleted?: true }[]; nextCursor: string | null }
    all.push(...page.comments.map(({ id, content = '', deleted }) => ({ id: Number(id), content, deleted })))
    cursor = page.nextCursor
  }
  return all
}

/** Connections that the server ended while their gateway was to live and their viewer read. */
function unduly(clusters: Clusters, audience: Audience): Violation[] {
  const stalls = new Map(audience.present.map(({ notes, stalledAt }) => [notes, stalledAt]))
  return audience.notes.flatMap(notes =>
    notes.connections
      .filter(({ end, readyAt }) => readyAt !== undefined && (end === 'ended' || end === 'broken'))
      .filter(({ pid, endedAt }) => !((clusters.goneAt(pid) ?? Infinity) <= endedAt! + 1_000))
      .filter(({ endedAt }) => endedAt! - (stalls.get(notes) ?? -Infinity) > STALLED_MS)
      .map(({ gateway, end }) => ({ videoId: notes.videoId, id: undefined, viewer: notes.viewer, text: `its stream was ${end} by ${gateway}, which lived` })),
  )
}

/** Notices when this process itself does not run. */
class HeldUp {
  #longestMs = 0
  #at = performance.now()
  readonly #timer = setInterval(() => {
    const now = performance.now()
    this.#longestMs = Math.max(this.#longestMs, now - this.#at - HELD_UP_TICK_MS)
    this.#at = now
  }, HELD_UP_TICK_MS)

  close(): number {
    clearInterval(this.#timer)
    return this.#longestMs
  }
}
