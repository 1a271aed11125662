import { Compressor } from '../../gateway/compressor.js'
import { Group } from '../../gateway/group.js'
import { KeptFlushes } from '../../gateway/kept-flushes.js'
import type { Member, Source } from '../../gateway/member.js'
import type { Encoded } from '../../runtime/fan-out/encoded.js'
import { Pacer } from '../../runtime/fan-out/pacer.js'
import type { Process } from './process.js'
import { EVENT_BYTES } from './simulated-edge.js'

/** The one video whose comments are followed. */
export const VIDEO = 'crowd'

/** A gateway's groups of that video, one for each edge. */
export class SimulatedGateway {
  readonly number: number
  readonly process: Process
  /** The program that reads what its viewers are sent. */
  readonly client: Process | undefined
  readonly #pacer: Pacer
  readonly #kept: KeptFlushes
  readonly #compressor = new Compressor({ level: 0, minViewers: Infinity })
  #groups = 0

  constructor(number: number, process: Process, client: Process | undefined) {
    this.number = number
    this.process = process
    this.client = client
    this.#pacer = new Pacer(process)
    this.#kept = new KeptFlushes(process)
  }

  /** A member that falls behind what is kept gets nothing more, and the run is not complete. */
  group(members: readonly Parcel[]): Group {
    const group = new Group({ number: ++this.#groups, videoId: VIDEO, clock: this.process, pacer: this.#pacer, kept: this.#kept, compressor: this.#compressor, behind: () => {}, written: () => {}, changed: () => {} })
    for (const member of members) group.add(member, 0)
    return group
  }
}

/** Viewers that stand at the same place for good, as one member of their group. */
export class Parcel implements Member {
  readonly videoId = VIDEO
  readonly encoding = 'plain'
  readonly maxRate = undefined
  readonly recent = 0
  readonly isReady = true
  readonly linksOnly = true
  readonly blocked = false
  readonly viewers: number
  cursor: number | undefined = 0
  epoch = 0
  next = 0
  source: Source | undefined
  readonly #given: (from: number, to: number, viewers: number) => void
  #has = 0

  constructor(viewers: number, given: (from: number, to: number, viewers: number) => void) {
    this.viewers = viewers
    this.#given = given
  }

  pass({ bytes }: Encoded): boolean {
    const from = this.#has
    this.#has += bytes.length / EVENT_BYTES
    this.#given(from, this.#has, this.viewers)
    return true
  }

  answered(): void {}
  ready(): void {}
  fellBehind(): void {}
  lost(): void {}
  handedBack(): void {}
  leave(): void {}
  tryElsewhere(): void {}
}
