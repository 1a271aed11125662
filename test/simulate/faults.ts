import type { VideoId } from '../../protocol/comment.js'
import { ownerOf } from '../../registry/ownership.js'
import type { Feature } from './mixes.js'
import type { Cluster } from './parts.js'
import type { Plan } from './plan.js'
import type { Random } from '../support/random.js'
import type { Slot } from './slot.js'
import type { Viewer } from './viewer.js'

export interface FaultsOptions {
  readonly cluster: Cluster
  readonly plan: Plan
  readonly random: Random
  readonly slots: readonly Slot[]
  readonly viewers: readonly Viewer[]
  /** Nobody posts on a video any more. */
  readonly silence: (videoId: VideoId) => void
}

/** A part is well again so long after it came back. */
const APART_MS = 1_000

/** Makes trouble of the plan's kinds until it heals. */
export class Faults {
  done = 0
  readonly #o: FaultsOptions
  #healed = false
  #killNext = false

  constructor(options: FaultsOptions) {
    this.#o = options
    const { cluster, plan } = options
    Object.assign(cluster.network.faults, { limitBytes: plan.limitBytes, linkBytes: plan.linkBytes, linkStallMs: plan.linkStallMs })
    const { network, disk } = cluster
    if (plan.features.has('loss')) Object.assign(network.faults, { loss: options.random.between(0.01, 0.15), resets: options.random.between(0, 0.3) })
    if (plan.features.has('late')) Object.assign(disk.faults, { late: options.random.between(0, 0.1), lost: options.random.between(0, 0.1) })
    if (plan.features.has('strays')) network.faults.batchLoss = options.random.between(0.1, 0.4)
    disk.onStored = (by, videoId) => this.#stored(by, videoId)
    for (const feature of plan.features) if (feature !== 'acts') this.#next(feature)
  }

  /** All is well from now on. */
  heal(): void {
    this.#healed = true
    const { network, disk, registry, world } = this.#o.cluster
    world.tell?.('! all heals')
    Object.assign(network.faults, { loss: 0, batchLoss: 0, resets: 0, linkStallMs: 0 })
    network.healCuts()
    network.muted.clear()
    Object.assign(disk.faults, { away: false, slow: 1, late: 0, lost: 0 })
    Object.assign(registry.faults, { away: false, lagMs: 20 })
    for (const slot of this.#o.slots) {
      slot.thaw()
      slot.running.session.lagMs = 0
      slot.wish(false)
    }
  }

  /** The worst time to die: with a comment on disk and acknowledged that nobody has heard of, the last of its video
   * where that falls silent. */
  #stored(by: string, videoId: VideoId): void {
    const { cluster, random, slots, plan, silence } = this.#o
    const slot = slots.find(({ process }) => process.name === by)
    if (!slot || this.#healed) return
    const strays = plan.features.has('strays')
    // The owner does not hear of it, and nothing that it stores itself will tell: only who asks for it by its id.
    if (cluster.network.muted.get(by) === 'dispatchers' && random.chance(0.2)) silence(videoId)
    if (!this.#killNext) return
    // An owner is followed by one that has not had the video for long. One that is not the owner leaves an owner that
    // knows of nothing, for as long as rule 5 lets it: that has a bound of its own.
    if (strays && plan.apart !== (ownerOf(slot.running.session.view, videoId)?.id === slot.id)) return
    this.#killNext = false
    if (strays) {
      cluster.network.muted.set(by, 'all')
      silence(videoId)
    }
    cluster.world.after(random.between(2, strays || random.chance(0.5) ? 10 : 40), () => {
      if (!this.#healed && slot.process.name === by) slot.kill(strays ? random.between(5_500, 7_000) : random.between(200, 3_000))
    })
  }

  #next(feature: Feature): void {
    const { cluster, random, plan } = this.#o
    cluster.world.after(random.gap(plan.faultEveryMs), () => {
      if (this.#healed) return
      this.#next(feature)
      if (plan.apart && !this.#o.slots.every(slot => slot.up && cluster.world.now - slot.wellSince > APART_MS)) return
      this.done++
      this.#one(feature)
    })
  }

  #one(feature: Feature): void {
    const { cluster, plan, random, slots, viewers, silence } = this.#o
    const { registry, network, disk, world } = cluster
    const slot = random.pick(slots)
    const later = (ms: number, undo: () => void) => void world.after(ms, () => {
      if (!this.#healed) undo()
    })
    switch (feature) {
      case 'crash':
        if (random.chance(0.4)) return void (this.#killNext = true)
        return slot.kill(random.between(200, 3_000), random.chance(0.3))
      case 'freeze':
        if (slot.id.startsWith('d') && random.chance(0.5)) {
          // Its videos' viewers move meanwhile, to rooms that have to be opened.
          const edge = random.pick(slots.filter(({ id }) => id.startsWith('e')))
          edge.wish(true)
          later(random.between(1_000, 5_000), () => edge.wish(false))
        }
        // An edge that comes back while its viewers are tried out elsewhere.
        if (slot.id.startsWith('e') && random.chance(0.4)) return slot.freeze(random.between(650, 1_050))
        return slot.freeze(random.chance(0.5) ? random.between(100, 2_000) : random.between(2_000, 15_000), !plan.apart && random.chance(0.3))
      case 'drain':
        if (random.chance(0.6)) return slot.stop()
        slot.wish(true)
        return later(random.between(200, 4_000), () => slot.wish(false))
      case 'lag':
        registry.faults.lagMs = random.between(100, 4_000)
        return later(random.between(1_000, 4_000), () => (registry.faults.lagMs = 20))
      case 'split':
        slot.running.session.lagMs = random.between(2_000, 12_000)
        if (random.chance(0.5)) registry.expire(random.pick(slots).running.session)
        return later(random.between(3_000, 8_000), () => (slot.running.session.lagMs = 0))
      case 'away':
        world.tell?.('! the registry is away')
        registry.faults.away = true
        return later(random.between(1_000, 8_000), () => (registry.faults.away = false))
      case 'expire':
        if (random.chance(0.3)) return registry.expire(slot.running.session)
        registry.faults.away = true
        return later(random.between(0, 6_000), () => {
          registry.faults.away = false
          registry.expireAll()
        })
      case 'clock':
        slot.process.skewMs = random.chance(0.1) ? random.between(-3, 3) * 86_400_000 : random.chance(0.2) ? random.between(-3_600_000, 3_600_000) : random.between(-5_000, 5_000)
        return
      case 'late':
        if (random.chance(0.5)) disk.faults.away = true
        else disk.faults.slow = random.between(5, 100)
        world.tell?.(`! the disk is ${disk.faults.away ? 'away' : 'slow'}`)
        return later(random.chance(0.2) ? random.between(8_000, 14_000) : random.between(100, 3_000), () => {
          disk.faults.away = false
          disk.faults.slow = 1
        })
      case 'cut':
        if (plan.apart) return random.chance(0.5) ? this.#cutFromOneDispatcher() : this.#cutFromAllDispatchers()
        return network.cut(slot.id, random.pick(slots).id, random.between(100, 6_000))
      case 'strays':
        if (random.chance(0.4)) return void (this.#killNext = true)
        if (random.chance(0.5)) {
          const { name } = slot.process
          network.muted.set(name, 'dispatchers')
          return later(random.between(2_000, 8_000), () => network.muted.delete(name))
        }
        if (random.chance(0.4)) {
          slot.wish(true)
          return later(random.between(200, 2_000), () => slot.wish(false))
        }
        for (let i = 0; i < 3; i++) random.pick(viewers).drop()
        return
      case 'acts': // are done by moderators
        return
      case 'link':
        return random.pick(viewers).drop()
      case 'slow':
      case 'crowd':
      case 'loss':
      case 'pipe':
      case 'foreign': {
        const viewer = random.pick(viewers)
        if (feature === 'slow' && random.chance(0.7)) {
          for (let i = 0; i < 3; i++) random.pick(viewers).pause(random.between(100, random.chance(0.3) ? 12_000 : 3_000))
          if (random.chance(0.1)) later(random.between(200, 2_000), () => silence(viewer.videoId))
          // One that nobody will post to when it reads again.
          if (random.chance(0.4)) {
            viewer.pause(4_000)
            later(random.between(1_000, 3_000), () => silence(viewer.videoId))
          }
        } else if (random.chance(0.7)) viewer.drop()
        else viewer.leave()
        return
      }
    }
  }

  /** All dispatchers are beyond an edge's reach for long, and no other edge's. */
  #cutFromAllDispatchers(): void {
    const { cluster, random, slots, viewers } = this.#o
    const { network, world } = cluster
    if (network.isCut) return
    const edge = random.pick(slots.filter(({ id }) => id.startsWith('e')))
    const ms = random.between(6_000, 60_000)
    for (const { id } of slots) if (id.startsWith('d')) network.cut(edge.id, id, ms)
    world.tell?.(`! ${edge.id} is cut off from every dispatcher for ${Math.round(ms)} ms`)
    for (let i = 0; i < 4; i++) world.after(random.between(0, 5_000), () => random.pick(viewers).drop())
  }

  /** One dispatcher is beyond an edge's reach for long, and all others are well, while rooms must open there: its
   * viewers come back, and another edge's come over. */
  #cutFromOneDispatcher(): void {
    const { cluster, random, slots, viewers } = this.#o
    const { network, world } = cluster
    if (network.isCut) return
    const some = (letter: string) => random.pick(slots.filter(({ id }) => id.startsWith(letter)))
    const ms = random.between(5_000, 10_000)
    network.cut(some('e').id, some('d').id, ms)
    const edge = some('e')
    edge.wish(true)
    world.after(ms, () => edge.wish(false))
    for (let i = 0; i < 4; i++) world.after(random.between(0, 2_000), () => random.pick(viewers).drop())
  }
}
