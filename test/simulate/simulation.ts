import type { Draft } from '../../protocol/comment.js'
import { nextId, type Cursor } from '../../protocol/id.js'
import { MAX_RATES } from '../../protocol/limits.js'
import { boundOf, FEWER_MS, latestCommitMs, transferMs } from './bounds.js'
import { Checker, type Violation } from './checker.js'
import { Disk } from './disk.js'
import { Faults } from './faults.js'
import type { Mix } from './mixes.js'
import { Moderator } from './moderator.js'
import { Network } from './network.js'
import { startDispatcher, startEdge, startGateway, type Cluster } from './parts.js'
import { page, post, type PersonOptions } from './people.js'
import { FEWER_EVERY, planOf, SEVERAL_EVERY } from './plan.js'
import { EPOCH_MS, Process } from './process.js'
import { Random } from '../support/random.js'
import { Receiver } from './receiver.js'
import { Registry } from './registry.js'
import { Slot } from './slot.js'
import { Viewer, type ViewerOptions } from './viewer.js'
import { World } from './world.js'

export interface Result {
  readonly seed: number
  readonly mix: Mix
  readonly posted: number
  readonly acked: number
  readonly deliveries: number
  readonly gaps: number
  readonly skipped: number
  readonly faults: number
  readonly acts: number
  readonly events: number
  readonly worst: Checker['worst']
  /** Of everything that happened: the same seed gives the same. */
  readonly trace: number
  readonly violations: readonly Violation[]
}

export interface Hooks {
  /** Told of everything that happens, a line each. */
  readonly tell?: (line: string) => void
  /** Looks at, or breaks, what was built, before time begins. */
  readonly built?: (cluster: Cluster) => void
}

const STEP_MS = 500
const BEGIN_MS = 600
const RESTING_MS = 8_000
/** What the last to come ask for, and most bytes of it. */
const LAST_RECENT = 200
const LAST_BYTES = 200 * LAST_RECENT
/** Of viewers that take a compressed stream, in every fourth seed: to unpack them costs more than all the rest. */
const GZIP_SHARE = 0.4
const GZIP_SEEDS = 4
/** There is a web hook in every third seed. */
const HOOK_SEEDS = 3
/** Runs one cluster from a seed until its end, or its first violation. Never two at a time in one process:
 * promises that nobody handled are laid at the door of the one that runs. */
export async function simulate(seed: number, mix: Mix, hooks: Hooks = {}): Promise<Result> {
  const random = new Random(seed)
  const plan = planOf(mix, random, seed)
  const world = new World(random.fork(), hooks.tell)
  const disk = new Disk(world, plan.disk)
  const boundMs = boundOf(plan)
  const checker = new Checker({ world, disk, boundMs, isQuiet: [...plan.features].every(feature => feature === 'acts') })
  const network = new Network(world)
  const onBug = (process: string, error: unknown) => checker.violate('bug', `${process}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  const receiver = seed % HOOK_SEEDS === 1 ? new Receiver(world, disk, plan.faultsUntil) : undefined
  const cluster: Cluster = { world, network, registry: new Registry(world), disk, receiver, onBug, settings: plan.settings }
  hooks.built?.(cluster)
  world.tell?.(`! seed ${seed}, mix ${mix}: ${[...plan.features].join(' ')}; ${plan.dispatchers} dispatchers, ${plan.edges} edges, ${plan.gateways} gateways, ${plan.disk} store`)
  const unhandled = (error: unknown) => onBug('someone', error)
  process.on('unhandledRejection', unhandled)
  try {
    for (const { id, comments } of plan.videos) {
      const drafts = Array.from({ length: comments }, (_, i): Draft => ({ videoId: id, authorId: 'old', content: `old ${id} ${i}`, key: `old${i}` }))
      await disk.commit('the past', drafts, EPOCH_MS - 60_000)
    }
    receiver?.begin()
    const slots = [
      ...Array.from({ length: plan.dispatchers }, (_, i) => new Slot(cluster, `d${i + 1}`, startDispatcher)),
      ...Array.from({ length: plan.edges }, (_, i) => new Slot(cluster, `e${i + 1}`, startEdge)),
      ...Array.from({ length: plan.gateways }, (_, i) => new Slot(cluster, `g${i + 1}`, startGateway)),
    ]
    const gateways = slots.filter(({ id }) => id.startsWith('g')).map(({ url }) => url)
    const person = (name: string): PersonOptions => ({ world, network, checker, random: random.fork(), gateways, wellSince, process: new Process(world, name, error => onBug(name, error)) })
    const wellSince = (url: string): number => {
      const slot = slots.find(each => each.url === url)!
      return slot.up ? slot.wellSince : Infinity
    }
    const replaysOf = (url: string): number => slots.find(each => each.url === url)!.running.sizes()['replays']!
    const historyMayFail = ['crash', 'freeze', 'late', 'cut', 'loss', 'drain', 'slow', 'away', 'expire', 'split', 'lag'].some(feature => plan.features.has(feature as never))

    const cursorFor = (videoId: string): Cursor | undefined => {
      const now = EPOCH_MS + world.now
      if (plan.features.has('foreign') && random.chance(0.4)) return nextId(now + random.pick([-30_000, -100, 0, 5, 1_000, 3_600_000]), random.below(4_000))
      if (random.chance(0.65)) return undefined
      const stored = checker.stored(videoId)
      return stored.length === 0 || random.chance(0.2) ? 0 : random.pick(stored.slice(-400)).comment.id
    }
    const viewers: Viewer[] = []
    const early = new Map<string, number>()
    const silent = new Set<string>()
    const relayed = plan.settings.formerEdges > 0 || plan.settings.formerGateways > 0
    const watch = (name: string, begin: Pick<ViewerOptions, 'videoId' | 'beside' | 'after' | 'recent' | 'gzip' | 'maxRate'>) => {
      const viewer = new Viewer({ ...person(name), ...begin, relayed, boundMs: at => boundMs(at) + (begin.maxRate === undefined ? 0 : FEWER_MS), transferMs: bytes => transferMs(plan, bytes), early, historyMayFail: () => historyMayFail, wellSince, replaysOf })
      viewers.push(viewer)
      viewer.watch()
    }
    const addViewer = (i: number) => {
      const videoId = random.pick(plan.videos).id
      const after = cursorFor(videoId)
      const recent = random.chance(0.5) ? random.pick([1, 10, 50, 200]) : 0
      const gzip = random.chance(GZIP_SHARE) && seed % GZIP_SEEDS === 0
      const beside = !gzip && (seed + i) % SEVERAL_EVERY === 1 ? plan.videos.map(({ id }) => id).filter(id => id !== videoId) : []
      const maxRate = (seed + i) % FEWER_EVERY === 2 ? MAX_RATES[(seed + i) % MAX_RATES.length] : undefined
      watch(`w${i}`, { videoId, beside, after, recent, gzip, maxRate })
    }
    const openVideos = () => plan.videos.filter(({ id, fallsSilent }) => !silent.has(id) && (!fallsSilent || world.now < plan.faultsUntil))
    const anyDispatcher = () => random.pick(slots.filter(({ id }) => id.startsWith('d'))).url
    const addPost = (i: number) => {
      const open = openVideos()
      if (open.length === 0) return
      const { id: videoId } = random.pick(open)
      const who = person(`p${i}`)
      const stray = plan.features.has('strays') && random.chance(0.4) ? anyDispatcher() : undefined
      void post(who, { videoId, authorId: i % 11 === 10 ? 'moderator0' : `author${i % 5}`, content: `c${i}`, key: `k${i}` }, stray).then(id => {
        if (stray === undefined || id === undefined || !plan.readsSilent) return
        // Its author looks at what was said just before, and then at the newest.
        void page(who, videoId, 'before', false, id)
        world.after(random.between(1_050, 3_000), () => void page(who, videoId, 'before', false))
      })
    }
    const postLoop = (i: number) => {
      addPost(i)
      const everyMs = world.now < plan.faultsUntil ? plan.postEveryMs : Math.max(plan.postEveryMs, 250)
      if (world.now < plan.postsUntil) world.after(random.gap(everyMs), () => postLoop(i + 1))
    }
    let acts = 0
    const actLoop = (moderator: Moderator, reader: PersonOptions) => {
      if (world.now >= plan.postsUntil) return
      world.after(random.gap(plan.actEveryMs), () => actLoop(moderator, reader))
      const open = openVideos()
      if (open.length === 0) return
      const { id: videoId } = random.pick(open)
      acts++
      void moderator.act(videoId).then(() => world.after(random.between(0, 2_000), () => void page(reader, videoId, 'before', false)))
      if (viewers.length === 0) return
      // They come back to what is deleted meanwhile.
      if (random.chance(0.3)) random.pick(viewers).drop()
      else if (plan.mix === 'acts' && random.chance(0.5)) random.pick(viewers).pause(random.between(100, 4_000))
    }
    const pageLoop = () => {
      const who = person('h')
      const seen = random.chance(0.5) && viewers.length > 0 ? random.pick(viewers) : undefined
      const from = random.chance(0.5) ? seen?.first : seen?.last
      const videoId = seen && from !== undefined ? seen.videoId : random.pick(plan.videos).id
      if (plan.readsSilent || !silent.has(videoId)) void page(who, videoId, from === undefined ? random.pick(['before', 'after']) : 'before', false, from)
      if (world.now < plan.postsUntil) world.after(random.gap(plan.mix === 'strays' ? 200 : 1_500), pageLoop)
    }
    for (let i = 0; i < plan.viewers; i++) world.after(BEGIN_MS + (random.chance(0.6) ? random.between(0, 500) : random.between(0, plan.faultsUntil + 2_000)), () => addViewer(i))
    world.after(BEGIN_MS, () => postLoop(0))
    world.after(BEGIN_MS, pageLoop)
    if (plan.features.has('acts')) {
      const directly = () => (random.chance(0.3) ? anyDispatcher() : undefined)
      const moderator = new Moderator({ ...person('m'), directly, longBans: plan.features.has('clock') })
      world.after(BEGIN_MS, () => actLoop(moderator, person('r')))
    }

    const until = async (ms: number): Promise<boolean> => {
      while (world.now < ms && checker.violations.length === 0) {
        await world.run(Math.min(ms, world.now + STEP_MS))
        for (const { running } of slots) {
          const { pipes = 0 } = running.sizes()
          if (pipes > plan.settings.maxPipeBytes * 3 * slots.length) checker.violate('memory', `${pipes} bytes wait in the pipes of ${running.process.name}`)
        }
      }
      return checker.violations.length === 0
    }
    let faults: Faults | undefined
    world.after(BEGIN_MS + 600, () => (faults = new Faults({ cluster, plan, random: random.fork(), slots, viewers, silence: videoId => void silent.add(videoId) })))
    if (await until(plan.faultsUntil)) {
      faults!.heal()
      if (await until(plan.endsAt - RESTING_MS)) {
        const before = { ...network.calls }
        await until(plan.endsAt)
        for (const kind of ['internal/sync', 'internal/replay', 'internal/batch']) {
          const calls = (network.calls[kind] ?? 0) - (before[kind] ?? 0)
          // Each room once in two seconds.
          if (calls > (plan.edges * plan.videos.length * RESTING_MS) / 1_000) checker.violate('restless', `${calls} calls of ${kind} in ${RESTING_MS} ms of rest`)
        }
        if (world.pending > 100 + 10 * slots.length) checker.violate('restless', `${world.pending} timers at rest`)
      }
      if (checker.violations.length === 0) {
        for (const viewer of viewers) viewer.checkEnd()
        checker.checkStored()
        checker.checkAnswers(latestCommitMs(plan))
        receiver?.check(checker)
        // Of what is deleted the last to come are shown nothing. What they are sent may all come by one link.
        const togetherMs = acts > 0 ? plan.videos.length * transferMs(plan, LAST_BYTES) : 0
        if (acts > 0) for (const { id: videoId } of plan.videos) watch(`last of ${videoId}`, { videoId, beside: [], after: undefined, recent: LAST_RECENT, gzip: false, maxRate: undefined })
        let left = plan.videos.length
        for (const { id } of plan.videos) void page(person('last'), id, 'before', true).then(done => {
          left--
          if (!done) checker.violate('history', `history of ${id} cannot be read at the end`, { videoId: id })
        })
        await until(plan.endsAt + 5_000 + togetherMs)
        for (const viewer of viewers) viewer.checkEnd()
        if (left > 0 && checker.violations.length === 0) checker.violate('history', 'history cannot be read at the end')
        const lost = checker.posts.filter(({ ackedAt }) => ackedAt === undefined).length
        if (plan.features.size === 0 && lost > 0) checker.violate('history', `${lost} posts were not acknowledged though all was well`)
        if (network.mostBuffered > plan.limitBytes + 512 * 1024) checker.violate('memory', `${network.mostBuffered} bytes waited in one stream`)
      }
    }
    return {
      seed, mix,
      posted: checker.postedCount,
      acked: checker.ackedCount,
      deliveries: checker.deliveries,
      gaps: checker.gaps,
      skipped: checker.skipped,
      faults: faults?.done ?? 0,
      acts,
      events: world.events,
      worst: checker.worst,
      trace: world.hash >>> 0,
      violations: checker.violations,
    }
  } finally {
    process.off('unhandledRejection', unhandled)
  }
}
