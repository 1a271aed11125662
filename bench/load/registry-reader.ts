import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { Pending } from '../../gateway/pending.js'
import { place } from '../../gateway/placement.js'
import { RegistryWatcher } from '../../registry/watcher.js'
import { Zk } from '../../registry/zookeeper/client.js'
import { connectionManagerOf } from '../../registry/zookeeper/internals.js'
import { systemClock } from '../../runtime/clock.js'
import { Histogram, quantiles, type Quantiles } from '../measure/histogram.js'
import { memoryBytes } from '../measure/process-usage.js'
import { videoIdOf } from './crowd.js'
import { probeOf } from './probe.js'
import { wallMs } from './schedule.js'

/** A process that keeps a view as a gateway or a dispatcher does, and finds edges as a gateway does. Its argument is
 * {@link ReaderOptions} in JSON; whatever message it gets, it answers with a {@link ReaderReport} on the time since the last. */
export interface ReaderOptions {
  readonly part: 'gateway' | 'dispatcher'
  readonly connect: string
  readonly videos: number
  /** Unix ms: when the process was started; from when probes count. */
  readonly startedAt: number
  readonly epoch: number
}

/** Sent once, when all of the registry has been read. */
export interface ReaderReady {
  readonly readyMs: number
  /** Processor time that it took. */
  readonly readyCpuMs: number
}

export interface ReaderReport {
  /** Memory (PSS) of the view and all that comes with it, bytes; and what of it is in use once garbage is collected. */
  readonly viewBytes: number
  readonly liveBytes: number
  readonly edges: number
  readonly videos: number
  readonly changes: number
  readonly bytesRead: number
  /** From an edge's change until the view showed it; undefined where there was none. */
  readonly staleMs: Quantiles | undefined
  /** Times of a placement, ms; of a gateway. */
  readonly placementMs: Quantiles | undefined
}

const POLL_MS = 5
/** 100 viewers come a second, and each stays a while. */
const JOIN_MS = 10
const JOINS_KEPT = 3_000
const VIDEO_SHARE = 10_000
const NONE_BACKED_OFF = () => false

async function run({ part, connect, videos, startedAt, epoch }: ReaderOptions): Promise<void> {
  const emptyBytes = memoryBytes(process.pid)
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const live = () => {
    collect()
    return process.memoryUsage().heapUsed
  }
  const emptyLive = live()
  const zk = new Zk(connect)
  const watcher = new RegistryWatcher({ zk, clock: systemClock, log: pino({ level: 'silent' }), metrics: new Registry(), watch: ['edges', 'holdings', 'dispatchers'] })
  const pending = new Pending()
  const probes = new Map<string, number>()
  let [changes, stale, placements] = [0, new Histogram(), new Histogram()]

  watcher.onChange(change => {
    changes++
    if (part === 'gateway') pending.seen(change, performance.now())
    const seen = probeOf(change)
    if (seen === undefined || seen <= (probes.get(change.id) ?? 0)) return
    if (probes.has(change.id)) stale.record(wallMs() - epoch - seen)
    probes.set(change.id, seen)
  })
  while (!watcher.loaded) await new Promise(resolve => setTimeout(resolve, POLL_MS))
  const { user, system } = process.cpuUsage()
  process.send!({ readyMs: wallMs() - startedAt, readyCpuMs: (user + system) / 1000 } satisfies ReaderReady)

  if (part === 'gateway') {
    const viewers: { left(): void }[] = []
    setInterval(() => {
      // As popular as the videos are: their ranks are spread evenly over the logarithm.
      const videoId = videoIdOf(Math.floor(Math.exp(Math.random() * Math.log(3 * videos))))
      const began = performance.now()
      const edge = place(watcher.view, videoId, pending, { videoShare: VIDEO_SHARE, backedOff: NONE_BACKED_OFF })
      placements.record(performance.now() - began)
      if (typeof edge === 'string') return
      const viewer = pending.place(edge, videoId, performance.now())
      viewer.arrived(performance.now())
      viewers.push(viewer)
      if (viewers.length > JOINS_KEPT) viewers.shift()!.left()
    }, JOIN_MS)
    setInterval(() => pending.expire(performance.now()), 1_000)
  }

  let bytesBefore = 0
  process.on('message', () => {
    const bytesRead = connectionManagerOf(zk.session.client).socket?.bytesRead ?? 0
    const report: ReaderReport = { viewBytes: memoryBytes(process.pid) - emptyBytes, liveBytes: live() - emptyLive, edges: watcher.view.edges().length, videos: watcher.view.videoCount, changes, bytesRead: bytesRead - bytesBefore, staleMs: quantiles(stale), placementMs: quantiles(placements) }
    process.send!(report, () => {})
    bytesBefore = bytesRead
    ;[changes, stale, placements] = [0, new Histogram(), new Histogram()]
  })
}

process.once('disconnect', () => process.exit())
await run(JSON.parse(process.argv[2]!) as ReaderOptions)
