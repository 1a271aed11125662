import { Registry } from 'prom-client'
import { Edge } from '../../edge/edge.js'
import { EdgeMetrics } from '../../edge/metrics.js'
import type { Start, Viewer } from '../../edge/viewer.js'
import type { MemberNode } from '../../protocol/nodes.js'
import { parseReplay, parseSync, printAnswers, type ReplayRequest, type RoomAnswer, type SyncRequest } from '../../protocol/wire.js'
import { View } from '../../registry/view.js'
import type { Clock } from '../../runtime/clock.js'
import type { PeerFailure } from '../../runtime/peers/peer-error.js'
import { FakeClock } from './fake-clock.js'
import { FakeOutlet } from './fake-outlet.js'
import { ModelStore } from './model-store.js'
import { dispatcherNode } from './nodes.js'

export interface Question {
  readonly at: number
  readonly node: MemberNode
  /** The rooms of a sync; none in a replay. */
  readonly syncs: readonly SyncRequest[]
  readonly replay: ReplayRequest | undefined
}

export interface Seat {
  readonly viewer: Viewer | undefined
  readonly outlet: FakeOutlet
  readonly videoId: string
}

export interface StageOptions {
  readonly dispatchers?: number
  readonly capacity?: number
  readonly random?: () => number
  /** Viewers from which on a flush is compressed; 4 by default. */
  readonly compressFrom?: number
  /** What announcing is said to have taken. */
  readonly announceBytes?: number
}

/** An edge without sockets, before dispatchers that answer from model stores, in virtual time unless told otherwise. */
export class EdgeStage<C extends Clock = FakeClock> {
  readonly clock: C
  readonly view = new View()
  readonly register = new Registry()
  readonly metrics = new EdgeMetrics(this.register)
  readonly questions: Question[] = []
  readonly announced: { at: number; videos: ReadonlyMap<string, number> }[] = []
  readonly peerErrors: unknown[] = []
  readonly edge: Edge
  readonly #stores = new Map<string, ModelStore>()
  /** How a dispatcher answers; by default from the stores at once. */
  answer: (question: Question) => RoomAnswer[] | Promise<RoomAnswer[]> = question => this.fromStores(question)

  /** What a ping of a dispatcher finds; by default that it lives. */
  pings: (node: MemberNode) => PeerFailure | undefined = () => undefined

  constructor({ dispatchers = 1, capacity = 10_000, random = () => 0.9, compressFrom = 4, announceBytes = 100 }: StageOptions = {}, clock: Clock = new FakeClock()) {
    this.clock = clock as C
    for (let i = 1; i <= dispatchers; i++) this.addDispatcher(`d${i}`)
    this.edge = new Edge({
      clock,
      view: this.view,
      metrics: this.metrics,
      capacity,
      gzip: { level: 6, minViewers: compressFrom },
      random,
      send: async (node, path, body) => {
        const bytes = Buffer.from(body)
        const question: Question = { at: clock.now(), node, syncs: path === '/internal/sync' ? parseSync(bytes) : [], replay: path === '/internal/replay' ? parseReplay(bytes) : undefined }
        this.questions.push(question)
        return Buffer.from(printAnswers(await this.answer(question)))
      },
      ping: node => Promise.resolve(this.pings(node)),
      onPeerError: (_node, error) => void this.peerErrors.push(error),
      announce: videos => {
        this.announced.push({ at: clock.now(), videos })
        return announceBytes
      },
    })
  }

  addDispatcher(id: string): void {
    this.view.apply({ kind: 'dispatcher', id, node: dispatcherNode(id, { instance: `${id}-instance`, internalUrl: `http://${id}:9082` }) }, this.clock.now())
  }

  store(videoId: string, size?: number): ModelStore {
    let store = this.#stores.get(videoId)
    if (!store) this.#stores.set(videoId, (store = new ModelStore(videoId, size)))
    return store
  }

  fromStores({ syncs, replay }: Question): RoomAnswer[] {
    return replay ? [this.store(replay.videoId).replay(replay)] : syncs.map(sync => this.store(sync.videoId).sync(sync))
  }

  join(videoId: string, start: Start = {}, outlet = new FakeOutlet()): Seat {
    return { viewer: this.edge.join(videoId, start, outlet), outlet, videoId }
  }

  /** The viewer's socket takes bytes again. */
  drain({ viewer, outlet }: Seat): void {
    outlet.drain()
    this.edge.drained(viewer!)
  }

  /** Stored, and pushed here. */
  post(videoId: string): void {
    this.edge.batch({ comments: [this.store(videoId).post()], hints: [] })
  }

  /** The questions that held this room, and when. */
  syncsOf(videoId: string): { at: number; node: string; request: SyncRequest }[] {
    return this.questions.flatMap(({ at, node, syncs }) => syncs.filter(sync => sync.videoId === videoId).map(request => ({ at, node: node.id, request })))
  }
}
