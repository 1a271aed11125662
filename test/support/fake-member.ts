import { Buffer } from 'node:buffer'
import type { Member, Source } from '../../gateway/member.js'
import type { EndReason } from '../../protocol/frame.js'
import { joined, type Checksum } from '../../protocol/gzip.js'
import type { Cursor } from '../../protocol/id.js'
import type { MaxRate } from '../../protocol/limits.js'
import type { Encoded, ViewerEncoding } from '../../runtime/fan-out/encoded.js'
import type { PeerFailure } from '../../runtime/peers/peer-error.js'

/** A viewer at a gateway that keeps what it is passed. As a session does, it forgets what brought it its events when that is over. */
export class FakeMember implements Member {
  readonly videoId: string
  readonly encoding: ViewerEncoding
  readonly recent: number
  readonly maxRate: MaxRate | undefined
  cursor: Cursor | undefined
  epoch = 0
  next = 0
  isReady = false
  readonly linksOnly = false
  blocked = false
  source: Source | undefined
  /** What came, write by write. */
  readonly writes: Buffer[] = []
  /** Of all that came; undefined once something came without. */
  checksum: Checksum | undefined
  /** An edge that is broken may have nothing passed on; else that is a fault. */
  takesNothing = false
  /** The next write is the last it takes until `drain`. */
  stuck = false
  answers = 0
  readies = 0
  timesBehind = 0
  /** How often another edge was to be tried out. */
  tries = 0
  /** What it was told of its end here. */
  readonly told: string[] = []

  constructor({ videoId = 'v', gzip = false, recent = 0, cursor, maxRate }: { videoId?: string; gzip?: boolean; recent?: number; cursor?: Cursor; maxRate?: MaxRate | undefined } = {}) {
    this.videoId = videoId
    this.encoding = gzip ? 'gzip' : 'plain'
    this.recent = recent
    this.maxRate = maxRate
    this.cursor = cursor
  }

  get text(): string {
    return Buffer.concat(this.writes).toString()
  }

  answered(): void {
    this.answers++
  }

  pass({ bytes, checksum }: Encoded): boolean {
    if (this.blocked) throw new Error('written to while it was blocked')
    if (bytes.length === 0 && !this.takesNothing) throw new Error('an empty write')
    this.checksum = this.writes.length === 0 ? checksum : this.checksum && checksum && joined(this.checksum, checksum)
    this.writes.push(bytes)
    this.blocked = this.stuck
    return !this.blocked
  }

  ready(): void {
    this.isReady = true
    this.readies++
  }

  fellBehind(): void {
    this.timesBehind++
  }

  tryElsewhere(): void {
    this.tries++
  }

  lost(failure: PeerFailure): void {
    this.#told(failure)
  }

  handedBack(reason: EndReason): void {
    this.#told(reason)
  }

  leave(why: 'silent' | 'stale'): void {
    this.#told(why)
  }

  /** Its connection takes bytes again. */
  drain(): void {
    this.stuck = false
    this.blocked = false
    this.source?.drained(this)
  }

  /** Its client has gone. */
  goes(): void {
    const { source } = this
    this.source = undefined
    source?.leave(this)
  }

  #told(what: string): void {
    this.told.push(what)
    this.goes()
  }
}
