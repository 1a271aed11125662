import { Buffer } from 'node:buffer'
import type { VideoId } from '../../protocol/comment.js'
import { parseCursor, type CommentId, type Cursor } from '../../protocol/id.js'
import type { MaxRate } from '../../protocol/limits.js'
import { SseParser, type SseEvent } from '../../protocol/sse.js'
import type { Checker } from './checker.js'
import { Gunzip } from './gunzip.js'
import type { Network } from './network.js'
import type { Process } from './process.js'
import type { Random } from '../support/random.js'
import { Sight } from './sight.js'
import type { World } from './world.js'

const READY = 'event: ready'

export interface ViewerOptions {
  readonly world: World
  readonly network: Network
  readonly checker: Checker
  readonly process: Process
  readonly random: Random
  /** Addresses to try, any of them. */
  readonly gateways: readonly string[]
  readonly videoId: VideoId
  /** What it watches beside, on the same stream; none: it has a stream of its video alone. */
  readonly beside: readonly VideoId[]
  /** What it holds already, with a cursor that may not be ours. */
  readonly after: Cursor | undefined
  readonly recent: number
  /** The most comments a second that it asks to be shown; undefined: all. */
  readonly maxRate: MaxRate | undefined
  /** It asks for a compressed stream. */
  readonly gzip: boolean
  /** An edge or a gateway of the former version may be among those that write to it: a compressed stream may end without its end,
   * and a gateway passes on bytes that it cannot call back. */
  readonly relayed: boolean
  /** Whether a comment this late is a violation; at = when it was stored. */
  readonly boundMs: (at: number) => number
  /** How long so many bytes that newcomers missed may be on their way. */
  readonly transferMs: (bytes: number) => number
  /** Bytes so far that newcomers have been sent before their ready, by their gateway, unpacked: all of them may come by one link. */
  readonly early: Map<string, number>
  /** How long history may have been beyond reach when a gap is given for it. */
  readonly historyMayFail: () => boolean
  /** How often a gateway has placed viewers anew, or brought them up to date again: what they missed meanwhile comes as it is. */
  readonly replaysOf: (gateway: string) => number
  /** Since when a gateway has run without a break. */
  readonly wellSince: (gateway: string) => number
}

/** A viewer that missed more than this may be told of a gap. */
const MAX_REPLAY = 1_000
/** Or one that history could not serve for this long. */
const PATIENCE_MS = 10_000

/** One person watching, as EventSource does it, and a check of every event against the disk. */
export class Viewer {
  readonly name: string
  readonly videoId: VideoId
  /** All up to here it was sent, or told of as a gap; undefined for a newcomer that has nothing yet. */
  place: Cursor | undefined
  received = 0
  /** The first comment it got. */
  first: CommentId | undefined
  /** The last one. */
  last: CommentId | undefined
  watching = false
  /** This connection has had its `ready`. */
  ready = false
  readonly #o: ViewerOptions
  readonly #sight: Sight
  #parser = new SseParser()
  #gunzip: Gunzip | undefined
  #lastEventId = ''
  #stream: { abort(): void; pause(): void; resume(): void } | undefined
  #connections = 0
  #gateway = ''
  /** Comments before its first `ready`: not acts, and of those that were deleted only the ones that it could have been sent. */
  #early = 0
  /** What newcomers of its gateway had been sent when it connected. */
  #earlyBefore = 0
  #everReady = false
  #cameAt = Infinity
  /** Since when it has been there and reading, with all that came before. */
  #wellSince = Infinity
  #progressAt = 0
  #connectedAt = 0
  #paused = false
  #pauses = 0
  /** It has paused on this connection. */
  #pausedHere = false
  /** When it was shown comments that count; undefined once its gateway may have brought it up to date again on this connection. */
  #shownAt: number[] | undefined
  /** As its `ready` was written. */
  #replays = 0

  constructor(options: ViewerOptions) {
    this.#o = options
    this.name = options.process.name
    this.videoId = options.videoId
    this.place = options.after
    if (options.after !== undefined && options.beside.length === 0) this.#lastEventId = String(options.after)
    this.#sight = new Sight({ checker: options.checker, videoId: this.videoId, viewer: this.name, stateMayBeUnknown: options.historyMayFail })
  }

  get paused(): boolean {
    return this.#paused
  }

  watch(): void {
    this.watching = true
    this.#cameAt = this.#o.world.now
    this.#connect()
  }

  leave(): void {
    this.watching = false
    this.#disconnect()
  }

  /** Its connection breaks; it comes back as EventSource does. */
  drop(): void {
    if (!this.#stream) return
    this.#disconnect()
    this.#later()
  }

  /** Reads nothing for a while. */
  pause(ms: number): void {
    if (this.#paused) return
    this.#paused = true
    this.#pauses++
    this.#pausedHere = true
    this.#wellSince = Infinity
    this.#stream?.pause()
    this.#o.world.after(ms, () => {
      this.#paused = false
      if (this.ready) this.#wellSince = this.#o.world.now + 2_000
      this.#stream?.resume()
      this.#checkCaughtUp()
    })
  }

  /** At the very end, when everything is well. */
  checkEnd(): void {
    const { checker } = this.#o
    if (!this.watching) return
    this.#checkWhole()
    if (!this.ready) return this.#violate('waiting', 'has no ready')
    const newest = checker.newestAcked(this.videoId)
    if (this.place! < newest) this.#violate('missed', `stands at ${this.place}; ${newest} was acknowledged`, newest)
  }

  /** It reads again: what it missed comes without waiting for something new. */
  #checkCaughtUp(): void {
    const { world, checker, boundMs, wellSince } = this.#o
    const connection = this.#connections
    const resumedAt = world.now
    const newest = checker.newestAcked(this.videoId)
    if (!this.ready) return
    const pauses = this.#pauses
    world.after(boundMs(resumedAt) + 1_000, () => {
      if (connection !== this.#connections || !this.ready || pauses !== this.#pauses || wellSince(this.#gateway) > resumedAt) return
      if (this.place! < newest) this.#violate('late', `stands at ${this.place}, ${Math.round(world.now - resumedAt)} ms after it began to read again; ${newest} was acknowledged before that`, newest)
    })
  }

  #connect(): void {
    if (!this.watching || this.#stream) return
    const { network, process, random, gateways, beside, world, gzip, relayed } = this.#o
    const connection = ++this.#connections
    this.#parser = new SseParser()
    this.#gunzip = undefined
    this.ready = false
    this.#wellSince = Infinity
    this.#progressAt = world.now
    this.#connectedAt = world.now
    this.#pausedHere = this.#paused
    this.#sight.begin()
    this.#shownAt = []
    const current = () => connection === this.#connections
    const lost = (broken: boolean) => {
      if (!current()) return
      this.#checkWhole()
      if (!broken && this.#gunzip?.isComplete === false && !this.#o.relayed) this.#violate('encoding', 'got an end without CRC and length')
      this.#stream = undefined
      this.#wellSince = Infinity
      this.ready = false
      this.#later()
    }
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (gzip) headers['accept-encoding'] = 'gzip, br'
    if (this.#lastEventId !== '') headers['last-event-id'] = this.#lastEventId
    this.#gateway = random.pick(gateways)
    this.#earlyBefore = this.#earlySent
    this.#stream = network.stream(
      process,
      this.#gateway,
      { path: this.#path, headers },
      {
        data: (chunk, headers) => void (current() && this.#data(chunk, headers.get('content-encoding') === 'gzip')),
        over: lost,
        written: (bytes, headers) => {
          if (!current() || headers.get('content-encoding') === 'gzip') return
          // What its gateway has brought it since is a replay too, whenever the ready arrives.
          if (Buffer.from(bytes).includes(READY)) this.#replays = this.#o.replaysOf(this.#gateway)
          if (!relayed && beside.length === 0) this.#sight.written(bytes)
        },
      },
      () => lost(true),
    )
    if (this.#paused) this.#stream.pause()
  }

  get #path(): string {
    const { beside, after, recent, maxRate } = this.#o
    const own = this.videoId + (after === undefined ? '' : `:${after}`)
    const query = [...(beside.length > 0 ? [`videos=${[own, ...beside].join()}`] : []), ...(recent > 0 ? [`recent=${recent}`] : []), ...(maxRate === undefined ? [] : [`maxRate=${maxRate}`])].join('&')
    return `/comments${beside.length > 0 ? '' : `/${this.videoId}`}${query && `?${query}`}`
  }

  #disconnect(): void {
    this.#checkWhole()
    this.#connections++
    this.#stream?.abort()
    this.#stream = undefined
    this.ready = false
    this.#wellSince = Infinity
  }

  #later(): void {
    const { world, random } = this.#o
    world.after(random.chance(0.3) ? random.between(1, 50) : (this.#parser.retryMs ?? 1_000) * random.between(0.2, 1), () => this.#connect())
  }

  #data(chunk: Buffer, packed: boolean): void {
    if (packed) this.#gunzip ??= new Gunzip()
    let text = chunk
    try {
      text = this.#gunzip?.push(chunk) ?? chunk
    } catch (error) {
      this.#violate('encoding', `got what cannot be unpacked: ${String(error)}`)
    }
    if (!this.ready) this.#o.early.set(this.#gateway, this.#earlySent + text.length)
    for (const event of this.#parser.push(text)) this.#event(this.#o.beside.length > 0 ? ofOneVideo(event, this.videoId) : event)
    // An id holds for the next connection too, as in a browser.
    if (this.#parser.lastEventId !== '') this.#lastEventId = this.#parser.lastEventId
  }

  /** A connection is over, or the run. */
  #checkWhole(): void {
    if (this.#gunzip?.isWhole === false) this.#violate('encoding', 'unpacked in one, its stream is another than in parts')
  }

  #event(said: SseEvent | undefined): void {
    if (!said || said.event === 'viewers') return
    const { world } = this.#o
    const { event, id, data } = said
    world.tell?.(`${this.name} gets ${event} ${id} ${data}`)
    world.mix(Number(id))
    const at = parseCursor(id)
    if (at === undefined) return this.#violate('cursor', `an event ${event} with the id ${JSON.stringify(id)}`)
    if (event === 'gap') this.#gap(at, data)
    else if (event === 'ready') this.#atReady(at, said)
    else if (event === 'skipped') this.#skipped(at, data)
    else this.#entry(at, said)
    this.#progressAt = world.now
  }

  #entry(id: CommentId, said: SseEvent): void {
    const { checker, world, boundMs } = this.#o
    checker.deliveries++
    this.received++
    if (!checker.at(this.videoId, id)) return this.#violate('history', 'got what is not stored', id)
    this.#sight.entry(said, this.#connectedAt)
    const prev = checker.prevShown(this.videoId, id)
    const last = this.last ?? 0
    if (id === last) this.#violate('twice', 'got it twice', id)
    else if (id < last || (this.place !== undefined && id <= this.place)) this.#violate('order', `got it after ${Math.max(last, this.place ?? 0)}`, id)
    else if (this.place !== undefined && prev > this.place) this.#violate('missed', `got ${id} after ${this.place}; ${prev} lies between`, prev)
    const deletedAt = checker.chronicle(this.videoId).deletedAt(id)
    if (!this.ready && (said.event === 'message' || (deletedAt >= this.#cameAt && deletedAt < Infinity))) this.#early++
    this.first ??= id
    this.last = id
    this.place = id
    if (said.event === 'message' && checker.at(this.videoId, id)?.comment.by === undefined) this.#checkRate(id)
    const landedAt = checker.landedAt(this.videoId, id)
    if (landedAt < this.#wellSince || landedAt < this.#o.wellSince(this.#gateway)) return
    const latencyMs = world.now - landedAt
    if (latencyMs > checker.worst.latencyMs) checker.worst = { latencyMs, viewer: this.name, videoId: this.videoId, id }
    if (latencyMs > boundMs(landedAt)) this.#violate('late', `got it ${Math.round(latencyMs)} ms after it was stored; ${boundMs(landedAt)} are allowed`, id)
  }

  #gap(to: Cursor, data: string): void {
    const { checker, world, historyMayFail } = this.#o
    const { from } = JSON.parse(data) as { from: string }
    checker.gaps++
    // It may begin at a ban, which the viewer does not see.
    if (this.place === undefined || Number(from) < this.place || checker.countShown(this.videoId, this.place, Number(from)) > 0 || to <= this.place) this.#violate('gap', `a gap (${from}, ${to}] at ${this.place}`)
    else {
      const unsent = checker.count(this.videoId, this.place, to)
      const behind = checker.count(this.videoId, this.place, checker.head(this.videoId))
      const waitedMs = world.now - this.#progressAt
      if (unsent === 0) this.#violate('gap', `a gap (${from}, ${to}] that holds nothing`)
      else if (behind <= MAX_REPLAY && !(historyMayFail() && waitedMs >= PATIENCE_MS - 500)) {
        this.#violate('gap', `a gap (${from}, ${to}] for ${unsent} comments, after ${Math.round(waitedMs)} ms`, to)
      }
    }
    this.place = to
  }

  /** What it is shown and what it is told is left out are the chain. */
  #skipped(to: Cursor, data: string): void {
    const { checker, maxRate } = this.#o
    const { count, from } = JSON.parse(data) as { count: number; from: string }
    checker.skipped += count
    const place = this.place ?? NaN
    const entries = checker.between(this.videoId, place, to).filter(({ comment: { id } }) => checker.chronicle(this.videoId).isShown(id))
    if (maxRate === undefined || !this.ready) this.#violate('skipped', `did not ask to have ${count} left out in (${from}, ${to}], or is not up to date`, to)
    // It may begin at a ban, which the viewer does not see.
    else if (!(Number(from) >= place) || checker.countShown(this.videoId, place, Number(from)) > 0 || entries.length !== count) this.#violate('skipped', `is told that ${count} of (${from}, ${to}] are left out, at ${place}, where ${entries.length} lie`, to)
    else if (entries.some(({ act, comment }) => act || comment.by)) this.#violate('skipped', `is told that acts or what a moderator wrote are left out in (${from}, ${to}]`, to)
    this.place = to
    this.last = to
  }

  /** The bound on the rate holds over any time in which its gateway brought nobody up to date, and it read. What a slow network brings
   * together counts as a second. When a compressed stream's `ready` was written is not seen. */
  #checkRate(id: CommentId): void {
    const { world, maxRate, replaysOf } = this.#o
    if (maxRate === undefined || !this.ready || this.#o.relayed || this.#o.gzip) return
    if (this.#pausedHere || replaysOf(this.#gateway) !== this.#replays) this.#shownAt = undefined
    if (!this.#shownAt) return
    this.#shownAt.push(world.now)
    for (const [i, at] of this.#shownAt.entries()) {
      const count = this.#shownAt.length - i
      if (count > maxRate * (2 + (world.now - at) / 1_000)) return this.#violate('skipped', `was shown ${count} comments in ${Math.round(world.now - at)} ms, and asked for ${maxRate} a second`, id)
    }
  }

  get #earlySent(): number {
    return this.#o.early.get(this.#gateway) ?? 0
  }

  #atReady(at: Cursor, said: SseEvent): void {
    const { checker, recent, after, world, historyMayFail } = this.#o
    const waited = historyMayFail() && world.now - this.#progressAt >= PATIENCE_MS - 500
    const all = checker.countComments(this.videoId, 0, at)
    const tookMs = world.now - this.#connectedAt
    const allowedMs = this.#o.boundMs(this.#connectedAt) + this.#o.transferMs(this.#earlySent - this.#earlyBefore)
    if (!this.#pausedHere && this.#o.wellSince(this.#gateway) <= this.#connectedAt && tookMs > allowedMs) {
      this.#violate('late', `was ready ${Math.round(tookMs)} ms after it came; ${Math.round(allowedMs)} are allowed`)
    }
    if (this.ready) this.#violate('twice', 'a second ready in one connection')
    this.#sight.ready(said, this.#connectedAt)
    if (this.place === undefined) {
      if (recent > 0 && all > 0 && !waited) this.#violate('recent', `none of the last ${recent} came, of ${all}`)
    } else if (at < this.place) {
      // A cursor that is no comment's is not ours: the viewer joins below it (rule 9).
      if (checker.at(this.videoId, this.place)) this.#violate('cursor', `ready at ${at}, before its cursor ${this.place}`)
    } else if (at > this.place) {
      const missed = checker.countShown(this.videoId, this.place, at)
      if (missed > 0) this.#violate('missed', `ready at ${at}, with ${missed} comments after ${this.place} not sent`, at)
    }
    if (!this.#everReady && after === undefined && recent > 0 && this.#early < Math.min(recent, all) && !waited) {
      this.#violate('recent', `${this.#early} of the last ${recent} came, of ${all}`)
    }
    this.place = at
    this.ready = true
    this.#everReady = true
    if (!this.#paused) this.#wellSince = world.now
  }

  #violate(invariant: Parameters<Checker['violate']>[0], text: string, id?: CommentId): void {
    this.#o.checker.violate(invariant, `${this.name} of ${this.videoId} ${text}`, { viewer: this.name, videoId: this.videoId, id })
  }
}

/** An event of a stream of several videos, with the id that it has in its own; undefined where that is another's. */
function ofOneVideo({ event, data }: SseEvent, videoId: VideoId): SseEvent | undefined {
  const { videoId: of, id = '', ...rest } = JSON.parse(data) as { readonly videoId: VideoId; readonly id?: string }
  if (of !== videoId) return undefined
  return { event, id, data: event === 'message' ? data : JSON.stringify(rest) }
}
