import type { VideoId } from '../protocol/comment.js'
import type { EndReason } from '../protocol/frame.js'
import type { Cursor } from '../protocol/id.js'
import type { MaxRate } from '../protocol/limits.js'
import type { EdgeNode } from '../protocol/nodes.js'
import type { Encoded, ViewerEncoding } from '../runtime/fan-out/encoded.js'
import type { Arrival } from './admission.js'
import type { Member, Source } from './member.js'
import type { PlacedViewer } from './pending.js'

/** Where a trial's viewer is and what it has, as of now. */
type Viewer = Pick<Member, 'videoId' | 'encoding' | 'maxRate' | 'cursor' | 'epoch' | 'source' | 'blocked'> & Pick<Arrival, 'client'>

export interface TrialOptions {
  readonly viewer: Viewer
  /** Finds another edge. @returns undefined where there is none */
  readonly find: () => EdgeNode | undefined
  readonly place: (node: EdgeNode) => PlacedViewer
  readonly join: (node: EdgeNode, trial: Trial) => void
  /** The edge said that it was full. */
  readonly refused: (edgeId: string, placed: PlacedViewer) => void
  /** Monotonic ms. */
  readonly now: () => number
  /** It is up to date, and the viewer is where it was: the viewer moves into its place. */
  readonly moves: (trial: Trial, seat: Seat) => void
  /** Nothing comes of it. */
  readonly over: (trial: Trial) => void
}

/** A place on an edge that a viewer may take over. */
export interface Seat {
  readonly edgeId: string
  readonly placed: PlacedViewer
  /** When the edge's first byte came, monotonic ms. */
  readonly answeredAt: number
  /** The group, in which the trial has the viewer's place. */
  readonly group: Source
  /** What the viewer lacks up to there. */
  readonly missed: Encoded | undefined
}

/** Stands in for a viewer whose edge is silent: it joins on another edge from where the viewer stands, and the viewer moves into its
 * place when it is ready. Until then the viewer stays on its own edge, and is written nothing that comes for the trial. */
export class Trial implements Member, Arrival {
  readonly videoId: VideoId
  readonly encoding: ViewerEncoding
  readonly maxRate: MaxRate | undefined
  readonly recent = 0
  readonly isReady = true
  readonly blocked = false
  readonly linksOnly = true
  readonly admitted = true
  readonly client: readonly string[]
  cursor: Cursor | undefined
  epoch: number
  next = 0
  source: Source | undefined
  readonly #o: TrialOptions
  /** Where the viewer stood, and what brought it its events then. */
  readonly #after: Cursor | undefined
  readonly #from: Source | undefined
  readonly #missed: Encoded[] = []
  #edgeId = ''
  #placed: PlacedViewer | undefined
  #answeredAt = 0

  constructor(options: TrialOptions) {
    const { videoId, encoding, maxRate, cursor, epoch, source, client } = options.viewer
    this.#o = options
    this.videoId = videoId
    this.encoding = encoding
    this.maxRate = maxRate
    this.client = client
    this.cursor = this.#after = cursor
    this.epoch = epoch
    this.#from = source
  }

  place(): boolean {
    const node = this.#o.find()
    if (!node) {
      this.end()
      return false
    }
    this.#edgeId = node.id
    this.#placed = this.#o.place(node)
    this.#o.join(node, this)
    return true
  }

  /** Whatever becomes of the viewer, it is not moved. */
  end(): void {
    this.#placed?.left()
    const { source } = this
    this.source = undefined
    source?.leave(this)
    this.#o.over(this)
  }

  answered(): void {
    this.#answeredAt = this.#o.now()
    this.#placed!.arrived(this.#answeredAt)
  }

  pass(events: Encoded): boolean {
    this.#missed.push(events)
    return true
  }

  ready(): void {
    const { source, cursor, blocked } = this.#o.viewer
    const isWhereItWas = source === this.#from && cursor === this.#after
    // Several pieces are more than a connection may be given at a time.
    if (!isWhereItWas || blocked || this.#missed.length > 1) return this.end()
    this.#o.moves(this, { edgeId: this.#edgeId, placed: this.#placed!, answeredAt: this.#answeredAt, group: this.source!, missed: this.#missed[0] })
  }

  turnAway(): void {
    this.end()
  }

  lost(): void {
    this.end()
  }

  handedBack(reason: EndReason): void {
    if (reason === 'full') this.#o.refused(this.#edgeId, this.#placed!)
    this.end()
  }

  leave(): void {
    this.end()
  }

  /** Never: it takes whatever comes, and is in no group when a flush comes. */
  fellBehind(): void {}

  /** Never: nobody tries a trial out. */
  tryElsewhere(): void {}
}
