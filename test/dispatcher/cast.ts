import type { Test } from 'tap'
import { Registry } from 'prom-client'
import type { PeersDeps } from '../../dispatcher/away.js'
import { ByHome } from '../../dispatcher/by-home.js'
import { Dispatcher, type Answers, type DispatcherDeps, type Limits } from '../../dispatcher/dispatcher.js'
import { DispatcherMetrics } from '../../dispatcher/metrics.js'
import type { AuditRecord } from '../../dispatcher/acts.js'
import { Rules, type RulesOptions } from '../../dispatcher/rules.js'
import type { Review } from '../../dispatcher/review.js'
import type { AtOnce } from '../../dispatcher/store/store.js'
import type { ActResult } from '../../protocol/acts.js'
import type { Draft } from '../../protocol/comment.js'
import type { ActOrder } from '../../protocol/entry.js'
import type { DispatcherNode, EdgeNode, MemberNode } from '../../protocol/nodes.js'
import type { PostResult, TimedDraft } from '../../protocol/posts.js'
import { parseBatch, type Batch } from '../../protocol/wire.js'
import { firstByRendezvous } from '../../registry/rendezvous.js'
import { View } from '../../registry/view.js'
import type { Ping } from '../../runtime/peers/failover.js'
import { PeerError } from '../../runtime/peers/peer-error.js'
import { FakeClock } from '../support/fake-clock.js'
import * as nodes from '../support/nodes.js'
import { MemoryStore } from './memory-store.js'

/** The others a dispatcher meets, as one plays them in a test. */

const place = (id: string) => ({ instance: `${id}-1`, internalUrl: `http://${id}`, entries: true })
export const dispatcherNode = (id: string, state: 'up' | 'draining' = 'up'): DispatcherNode => nodes.dispatcherNode(id, { ...place(id), state })
export const edgeNode = (id: string): EdgeNode => nodes.edgeNode(id, place(id))

let keys = 0
export const draft = (videoId: string, content = 'hello', more: Partial<Draft> = {}): Draft => ({ videoId, authorId: 'ann', content, key: `key-${keys++}`, ...more })

/** One thing that was sent. `answer` and `fail` settle it. */
export interface Sent {
  readonly target: MemberNode
  readonly path: string
  readonly body: Buffer
  answer(body?: string): void
  fail(failure: PeerError['failure']): void
}

/** One dispatcher, `d`, with a model store and a network that only writes down what is sent. */
export class Scene {
  readonly clock = new FakeClock()
  readonly view = new View()
  readonly store = new MemoryStore(() => this.clock.now())
  readonly registry = new Registry()
  readonly bugs: unknown[] = []
  readonly audit: AuditRecord[] = []
  /** In the order it was sent. */
  readonly sent: Sent[] = []
  /** Answers at once where it is set. */
  reply: ((sent: Sent) => void) | undefined
  viewIsCurrent = true
  /** By default everybody lives. */
  pings: Ping = () => Promise.resolve(undefined)
  readonly rules: Rules
  readonly dispatcher: Dispatcher
  readonly #byHome: ByHome | undefined

  /** What the site's review says; undefined: there is none. */
  verdict: Review['verdict'] | undefined

  constructor(t: Test, limits: Partial<Limits> = {}, rules: Omit<RulesOptions, 'clock'> = {}, atOnce?: AtOnce, verdict?: Review['verdict'], peers?: PeersDeps) {
    this.verdict = verdict
    this.store.atOnce = atOnce
    this.rules = new Rules({ ...rules, clock: this.clock })
    const deps: DispatcherDeps = {
      self: 'd',
      store: this.store,
      view: this.view,
      viewIsCurrent: () => this.viewIsCurrent,
      clock: this.clock,
      random: () => 0.5,
      metrics: new DispatcherMetrics(this.registry),
      onBug: error => this.bugs.push(error),
      limits,
      rules: this.rules,
      review: verdict && { verdict: post => this.verdict!(post) },
      audit: record => this.audit.push(record),
      ping: (peer, timeoutMs) => this.pings(peer, timeoutMs),
      send: (target, path, body) =>
        new Promise((resolve, reject) => {
          const sent: Sent = {
            target,
            path,
            body: Buffer.from(body),
            answer: (text = '') => resolve(Buffer.from(text)),
            fail: failure => reject(new PeerError(failure, failure)),
          }
          this.sent.push(sent)
          this.reply?.(sent)
        }),
    }
    this.#byHome = peers && new ByHome({ ...deps, peers })
    this.dispatcher = this.#byHome?.here ?? new Dispatcher(deps)
    const part = this.#byHome ?? this.dispatcher
    t.teardown(() => part.close())
  }

  /** What is asked about videos, where there are several clusters. */
  get byHome(): ByHome {
    if (!this.#byHome) throw new Error('the scene has no peers')
    return this.#byHome
  }

  get #answers(): Answers {
    return this.#byHome ?? this.dispatcher
  }

  /** Dispatchers of these ids are in view. */
  dispatchers(...ids: string[]): void {
    for (const { id } of [...this.view.allDispatchers()]) {
      if (!ids.includes(id)) this.view.apply({ kind: 'dispatcher', id, node: dispatcherNode(id, 'draining') }, 0)
      if (!ids.includes(id)) this.view.apply({ kind: 'dispatcher', id, node: undefined }, 0)
    }
    for (const id of ids) this.view.apply({ kind: 'dispatcher', id, node: dispatcherNode(id) }, 0)
    this.dispatcher.viewChanged()
  }

  /** An edge is in view and holds these videos, with ten viewers each. */
  edge(id: string, ...videoIds: string[]): void {
    this.view.apply({ kind: 'edge', id, node: edgeNode(id) }, 0)
    this.view.apply({ kind: 'holdings', id, holdings: { instance: `${id}-1`, videos: new Map(videoIds.map(videoId => [videoId, 10])) } }, 0)
  }

  /** Posts, as a gateway does. */
  post(...drafts: TimedDraft[]): Promise<PostResult[]> {
    return this.#answers.posts({ passedOn: false, posts: drafts })
  }

  /** Acts, as a gateway does. */
  act(order: ActOrder): Promise<ActResult> {
    return this.#answers.act({ passedOn: false, order })
  }

  /** A video whose name begins so, that `d` owns among dispatchers of these ids. */
  mine(start: string, ...ids: string[]): string {
    return videoOwned(start, ids, id => id === 'd')
  }

  /** The same of another's. */
  theirs(start: string, ...ids: string[]): string {
    return videoOwned(start, ids, id => id !== 'd')
  }

  /** Posts one comment. @returns its id */
  async id(videoId: string): Promise<number> {
    const [result] = await this.post(draft(videoId))
    if (!result || !('comment' in result)) throw new Error('not stored')
    return result.comment.id
  }

  /** Another dispatcher stores a comment, without a word to this one. @returns its id */
  async elsewhere(videoId: string): Promise<number> {
    const [outcome] = await this.store.append([draft(videoId)], this.clock.wall())
    if (outcome?.kind !== 'created') throw new Error('not stored')
    return outcome.comment.id
  }

  /** The next read of that kind is done when it is asked for, and answered when the function returned is called. */
  holdAnswer(call: 'page' | 'lastIds'): () => void {
    let release = (): void => {}
    const released = new Promise<void>(resolve => (release = resolve))
    const read = this.store[call].bind(this.store) as (...given: unknown[]) => Promise<unknown>
    const held = async (...given: unknown[]) => {
      delete (this.store as Partial<MemoryStore>)[call]
      const answer = await read(...given)
      await released
      return answer
    }
    Object.assign(this.store, { [call]: held })
    return release
  }

  /** The batches sent to a node so far. */
  batches(id: string): Batch[] {
    return this.sent.filter(({ target, path }) => target.id === id && path === '/internal/batch').map(({ body }) => parseBatch(body))
  }

  async metric(name: string, labels: Record<string, string> = {}): Promise<number> {
    const metric = await this.registry.getSingleMetric(`live_dispatcher_${name}`)!.get()
    return metric.values.filter(value => Object.entries(labels).every(([key, label]) => value.labels[key] === label)).reduce((sum, { value }) => sum + value, 0)
  }
}

function videoOwned(start: string, ids: readonly string[], isOwner: (id: string) => boolean): string {
  for (let i = 0; ; i++) if (isOwner(firstByRendezvous(`${start}${i}`, ids.map(id => ({ id })))!.id)) return `${start}${i}`
}
