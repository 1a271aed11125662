import { setTimeout as sleep } from 'node:timers/promises'
import { isFaultless, type Faults } from './load/checker.js'
import type { Posted } from './load/poster-worker.js'
import { Poster } from './load/poster.js'
import { endsAt, measuredFrom, wallMs, type Schedule } from './load/schedule.js'
import { Viewers } from './load/viewers.js'
import { quantiles, type Quantiles } from './measure/histogram.js'
import { cpuSeconds, memoryBytes, tcpMemoryBytes } from './measure/process-usage.js'
import type { Progress } from './report/progress.js'
import type { EdgeState, RunningSystem } from './systems/system.js'

/** The work that a system is given. */
export interface Work {
  readonly viewers: number
  readonly videos: number
  /** Comments per second, over all videos. */
  readonly rate: number
  /** Measured time, and the time for which comments flow before it. */
  readonly seconds: number
  readonly warmSeconds: number
  /** Between warm-up and measurement. */
  readonly pauseMs?: number
  /** Size of a comment as an edge writes it. */
  readonly eventBytes: number
  /** Viewers whose events are all checked; the others only count comments. */
  readonly checked: number
  readonly threads: number
  /** How long to wait after the end of the schedule; comments that have not been accepted or delivered by then are given up. */
  readonly patienceMs: number
}

/** The resources that one process used in the measured time. */
export interface Usage {
  readonly name: string
  readonly delivers: boolean
  readonly cpuSeconds: number
  readonly memoryBytes: number
}

/** The results of a run. Rates are those of the measured time. */
export interface Outcome {
  readonly system: string
  readonly about: string
  readonly viewers: number
  readonly videos: number
  readonly rate: number
  readonly posted: number
  readonly refused: Readonly<Record<number, number>>
  /** Comments delivered, one for each viewer. */
  readonly deliveries: number
  readonly deliveriesPerSecond: number
  /** Per CPU-second of the processes that write to viewers, and of all the system's; 0 if one of them ended meanwhile. */
  readonly deliveriesPerCpuSecond: number
  readonly deliveriesPerSystemCpuSecond: number
  readonly bytesPerDelivery: number
  /** Memory growth of the delivering processes since they had no viewers, per viewer. */
  readonly memoryPerViewer: number
  readonly kernelMemoryPerViewer: number
  /** From the time a post was due to the reading of its comment; from the system's own stamp, if any, to the reading; from
   * due to answered. */
  readonly latencyMs: Quantiles | undefined
  readonly acceptedLatencyMs: Quantiles | undefined
  readonly postLatencyMs: Quantiles | undefined
  /** From the end of the schedule until the last comment was read or given up. */
  readonly lagMs: number
  /** Some posts were not answered, or some accepted comments not delivered, before no more came or patience ended. */
  readonly gaveUp: boolean
  /** Share of the accepted comments' deliveries that had been made by then. */
  readonly deliveredShare: number
  /** Our edge in the measured time: how long it let comments gather on average, and the worst 99th percentile, over 2 s, of its
   * event-loop delay (some 10 ms of which are the measuring timer's). */
  readonly flushIntervalMs: number | undefined
  readonly loopDelayMs: number | undefined
  readonly usage: readonly Usage[]
  /** Share of one core that the load client itself used. */
  readonly clientCpu: number
  readonly faults: Faults
  readonly firstError: string | undefined
  /** Nothing was missing, duplicated or misplaced, and no post was refused. */
  readonly correct: boolean
  /** Something is wrong that falling behind does not explain. */
  readonly failed: boolean
  /** Correct, and at most a second behind at the end. */
  readonly keptUp: boolean
}

const READY_TIMEOUT_MS = 120_000
/** If no comment comes for this long, no more are expected. */
const SILENT_MS = 4_000
const KEPT_UP_MS = 1_000
/** By then viewer counts and the like have been sent. */
const SETTLE_MS = 1_500
/** Rarely, since a scrape of metrics costs a process with 10,000 descriptors milliseconds. */
const EDGE_SAMPLE_MS = 2_000
const POST_CONNECTIONS = 128

/** Connects the viewers, posts by the schedule and judges the deliveries. */
export async function fanOut(system: RunningSystem, work: Work, progress: Progress): Promise<Outcome> {
  const viewers = new Viewers(work.threads)
  try {
    return await measure(system, work, viewers, progress)
  } finally {
    await viewers.close()
    progress.end()
  }
}

async function measure(system: RunningSystem, work: Work, viewers: Viewers, progress: Progress): Promise<Outcome> {
  const empty = memoryOf(system)
  const emptyKernel = tcpMemoryBytes()
  viewers.connect({ targets: system.streams, viewers: work.viewers, videos: work.videos, checked: work.checked, joinRate: 0 })
  await viewers.ready(READY_TIMEOUT_MS, ready => progress.step(`connecting ${work.viewers} viewers`, ready / work.viewers))
  progress.step('waiting for quiet')
  await sleep(SETTLE_MS)
  const memoryPerViewer = (memoryOf(system) - empty) / work.viewers
  const kernelMemoryPerViewer = (tcpMemoryBytes() - emptyKernel) / work.viewers

  const warm = Math.round(work.warmSeconds * work.rate)
  const schedule: Schedule = { startAt: wallMs() + 300, stepMs: 1000 / work.rate, warm, pauseMs: work.pauseMs ?? 0, count: warm + Math.max(1, Math.round(work.seconds * work.rate)), videos: work.videos }
  viewers.begin(schedule)
  const poster = new Poster({ targets: system.posts, schedule, connections: POST_CONNECTIONS, eventBytes: work.eventBytes, patienceMs: work.patienceMs })
  await waitUntil(measuredFrom(schedule), share => progress.step('warming up', share))
  const from = snapshot(system, viewers)
  const states: EdgeState[] = []
  await system.edgeState?.() // starts a new sample
  const sample = async () => void (await system.edgeState?.().then(state => states.push(state), () => {})) // one fewer if it does not answer
  const sampling = setInterval(() => void sample(), EDGE_SAMPLE_MS)
  await waitUntil(endsAt(schedule), share => progress.step('measuring', share))
  clearInterval(sampling)
  const to = snapshot(system, viewers)
  if (states.length === 0) await sample()
  const { posted, lagMs, gaveUp, deliveredShare } = await drained(viewers, work, endsAt(schedule), poster.done, progress)
  const accepted = posted.accepted.reduce((sum, each) => sum + each, 0)
  // If a post's outcome is unknown, counts cannot be judged; the run has failed anyway.
  const verdict = await viewers.verify(posted.accepted, !posted.refused[0])
  const window = (to.at - from.at) / 1000
  const deliveries = to.comments - from.comments
  const usage = to.cpu.map(({ name, pid, delivers, seconds }) => ({
    name,
    delivers,
    cpuSeconds: seconds - (from.cpu.find(each => each.pid === pid)?.seconds ?? 0),
    memoryBytes: memoryBytes(pid),
  }))
  const perCpuSecond = (all: readonly Usage[]) => {
    const used = all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0)
    // For a process that has ended the difference is negative.
    return used > 0 && all.every(({ cpuSeconds }) => cpuSeconds >= 0) ? deliveries / used : 0
  }
  const { doubled, misplaced, malformed } = verdict.faults
  const correct = isFaultless(verdict.faults) && accepted === schedule.count
  return {
    system: system.name,
    about: system.about,
    viewers: work.viewers,
    videos: work.videos,
    rate: work.rate,
    posted: accepted,
    refused: posted.refused,
    deliveries,
    deliveriesPerSecond: deliveries / window,
    deliveriesPerCpuSecond: perCpuSecond(usage.filter(({ delivers }) => delivers)),
    deliveriesPerSystemCpuSecond: perCpuSecond(usage),
    bytesPerDelivery: deliveries === 0 ? 0 : (to.bytes - from.bytes) / deliveries,
    memoryPerViewer,
    kernelMemoryPerViewer,
    latencyMs: quantiles(viewers.histogram('posted')),
    acceptedLatencyMs: system.stampsAccepted ? quantiles(viewers.histogram('accepted')) : undefined,
    postLatencyMs: quantiles(poster.latency),
    lagMs,
    gaveUp,
    deliveredShare,
    flushIntervalMs: states.length === 0 ? undefined : states.reduce((sum, { flushIntervalMs }) => sum + flushIntervalMs, 0) / states.length,
    loopDelayMs: states.length === 0 ? undefined : Math.max(...states.map(({ loopDelayMs }) => loopDelayMs)),
    usage,
    clientCpu: (to.clientCpu - from.clientCpu) / window,
    faults: verdict.faults,
    firstError: verdict.firstError,
    correct,
    failed: system.promisesDelivery ? !correct : doubled + misplaced + malformed > 0,
    keptUp: correct && lagMs < KEPT_UP_MS,
  }
}

function snapshot(system: RunningSystem, viewers: Viewers) {
  const { user, system: kernel } = process.cpuUsage()
  return {
    at: wallMs(),
    comments: viewers.get('comments'),
    bytes: viewers.get('bytes'),
    cpu: system.processes().map(each => ({ ...each, seconds: cpuSeconds(each.pid) })),
    clientCpu: (user + kernel) / 1e6,
  }
}

/** Waits until every post is answered and every accepted comment is read, or nothing more comes, or patience ends.
 * @param end end of the schedule, Unix ms */
export async function drained(viewers: Viewers, { videos, viewers: count, patienceMs }: Pick<Work, 'videos' | 'viewers' | 'patienceMs'>, end: number, posting: Promise<Posted>, progress: Progress) {
  let read = viewers.get('comments')
  let readAt = wallMs()
  const watching = setInterval(() => {
    const now = viewers.get('comments')
    if (now !== read) readAt = wallMs()
    read = now
  }, 10)
  try {
    progress.step('waiting for the last posts')
    const posted = await posting
    const answeredAt = wallMs()
    let expected = 0
    for (let number = 0; number < posted.accepted.length; number++) {
      const video = number % videos
      if (posted.accepted[number]) expected += Math.floor((count - video - 1) / videos) + 1
    }
    while (read < expected && wallMs() - Math.max(readAt, answeredAt) < SILENT_MS && wallMs() < end + patienceMs) {
      progress.step('waiting for the last comments', read / expected)
      await sleep(10)
    }
    const gaveUp = read < expected || posted.refused[0] !== undefined
    const lagMs = Math.max(0, (gaveUp ? wallMs() : readAt) - end)
    return { posted, lagMs, gaveUp, deliveredShare: expected === 0 ? 0 : Math.min(1, read / expected) }
  } finally {
    clearInterval(watching)
  }
}

/** Memory of the processes that write to viewers, bytes. */
export function memoryOf(system: RunningSystem): number {
  return system.processes().reduce((sum, { pid, delivers }) => sum + (delivers ? memoryBytes(pid) : 0), 0)
}

/** @param at Unix ms */
export async function waitUntil(at: number, progress: (share: number) => void): Promise<void> {
  const began = wallMs()
  for (let now = began; now < at; now = wallMs()) {
    progress((now - began) / (at - began))
    await sleep(Math.min(100, at - now))
  }
}
