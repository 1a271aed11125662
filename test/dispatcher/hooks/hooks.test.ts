import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { Hooks } from '../../../dispatcher/hooks/hooks.js'
import { parseSecrets } from '../../../dispatcher/hooks/signature.js'
import { DispatcherMetrics } from '../../../dispatcher/metrics.js'
import { RecentVideos } from '../../../dispatcher/recent-videos.js'
import { heldIdOf } from '../../../dispatcher/store/held-draft.js'
import { StoreUnavailableError, toWire, type Timed } from '../../../dispatcher/store/store.js'
import { MAX_CURSOR } from '../../../protocol/id.js'
import { Budget } from '../../../runtime/limits/budget.js'
import { FakeClock } from '../../support/fake-clock.js'
import { draft } from '../cast.js'
import { MemoryStore } from '../memory-store.js'

interface Event {
  readonly videoId: string
  readonly type: string
  readonly id?: string
  readonly content?: string
  readonly deleted?: true
  readonly heldId?: string
  readonly reason?: string
}

/** One call of the hook. `answer` and `fail` settle it. */
interface Call {
  readonly events: Event[]
  readonly headers: Readonly<Record<string, string>>
  readonly answer: (status: number) => void
  readonly fail: (message: string) => void
}

const secrets = parseSecrets('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')

/** Dispatchers of one store and one receiver, each with its hook. */
class Scene {
  readonly clock = new FakeClock()
  readonly store = new MemoryStore(() => this.clock.now())
  readonly calls: Call[] = []
  readonly troubles: (string | undefined)[] = []
  readonly metrics = new DispatcherMetrics(new Registry())
  /** Answers each call at once where it is set. */
  status: number | undefined
  oldestS = () => 0
  onBug = (error: unknown): void => {
    throw error
  }
  readonly #t: Test

  constructor(t: Test) {
    this.#t = t
    this.store.isHooked = true
  }

  /** One that owns all videos while `owns` says so. */
  dispatcher(owns = { all: true }): Hooks {
    const { clock, store } = this
    const recent = new RecentVideos(1 << 20)
    const metrics = Object.assign(Object.create(this.metrics) as DispatcherMetrics, { hookOldest: (read: () => number) => (this.oldestS = read) })
    const hooks = new Hooks({
      store,
      clock,
      metrics,
      secrets,
      random: () => 0,
      reads: new Budget({ clock, atOnce: 1, inLine: 10, waitMs: 1_000, code: 'RATE_LIMITED' }),
      recent: videoId => recent.get(videoId),
      isOurs: () => owns.all,
      onBug: error => this.onBug(error),
      onTrouble: reason => this.troubles.push(reason),
      post: (body, headers) =>
        new Promise((resolve, reject) => {
          const { events } = JSON.parse(body) as { events: Event[] }
          this.calls.push({ events, headers, answer: resolve, fail: message => reject(new Error(message)) })
          if (this.status !== undefined) resolve(this.status)
        }),
    })
    this.#t.teardown(() => this.close(hooks))
    return hooks
  }

  /** As a process that ends in good order. */
  async close(hooks: Hooks): Promise<void> {
    const closed = hooks.close(10)
    await this.clock.advance(20)
    await closed
  }

  /** Stores drafts, and says so to the hooks. */
  async post(hooks: Hooks | undefined, ...drafts: Timed[]): Promise<string[]> {
    const outcomes = await this.store.append(drafts, this.clock.wall())
    for (const { videoId } of drafts) hooks?.stored(videoId, drafts.some(({ review }) => review === 'hold'))
    await this.clock.advance(0)
    return outcomes.flatMap(outcome => (outcome.kind === 'created' ? [String(outcome.comment.id)] : []))
  }

  /** Ids of comments and acts, call by call. */
  get sent(): (string | undefined)[][] {
    return this.calls.map(({ events }) => events.map(({ id }) => id))
  }
}

t.test('what one commit has stored goes at once and together, what comes meanwhile goes in the next call', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  const first = await scene.post(hooks, draft('v', 'one'), draft('w', 'two'), draft('v', 'three'))
  t.same(scene.calls[0]!.events.map(({ videoId, type, content }) => [videoId, type, content]), [['v', 'comment', 'one'], ['v', 'comment', 'three'], ['w', 'comment', 'two']])
  t.match(scene.calls[0]!.headers, { 'webhook-id': /^msg_/, 'webhook-timestamp': /^\d+$/, 'webhook-signature': /^v1,/ })
  const next = await scene.post(hooks, draft('v'), draft('v'))
  t.equal(scene.calls.length, 1, 'one call at a time')
  scene.calls[0]!.answer(204)
  await scene.clock.advance(0)
  t.same(scene.sent, [[first[0], first[2], first[1]], next])
  scene.calls[1]!.answer(200)
  await scene.clock.advance(1_000)
  t.equal(scene.store.taken.get('v'), Number(next[1]))
  t.equal(scene.store.calls.noteTaken, 1, 'noted together')
  t.equal((await scene.metrics.hookEvents.get()).values[0]!.value, 5)
})

t.test('a call that fails is made again after a pause that grows, and shows what has become of its events', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  const [id] = await scene.post(hooks, draft('v', 'rude'))
  scene.calls[0]!.answer(500)
  await scene.clock.advance(499)
  t.equal(scene.calls.length, 1)
  await scene.clock.advance(1)
  t.equal(scene.calls.length, 2)
  t.equal(scene.oldestS(), 0.5)
  await scene.post(hooks, { ...draft('v', '', { authorId: 'mod' }), act: { type: 'deleted', target: Number(id) } })
  scene.calls[1]!.fail('no answer within 10000 ms')
  await scene.clock.advance(1_000)
  t.match(scene.calls[2]!.events, [{ type: 'comment', id, deleted: true, content: undefined }, { type: 'deleted', target: id }])
  t.same(scene.troubles, ['it answered 500'], 'it is said once')
  scene.calls[2]!.answer(200)
  await scene.clock.advance(0)
  t.same(scene.troubles, ['it answered 500', undefined])
  t.equal((await scene.metrics.hookFailures.get()).values[0]!.value, 2)
  t.equal(scene.oldestS(), 0)
})

t.test('pauses grow while calls fail in a row, and begin anew after one that was taken', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  await scene.post(hooks, draft('v'))
  scene.calls[0]!.fail('refused')
  await scene.clock.advance(500)
  t.same(scene.troubles, ['refused'])
  scene.calls[1]!.answer(200)
  await scene.post(hooks, draft('v'))
  scene.calls[2]!.answer(500)
  await scene.clock.advance(500)
  t.equal(scene.calls.length, 4)
})

t.test('one that answers 410 is left alone for longer, and loses nothing', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  const ids = await scene.post(hooks, draft('v'))
  scene.calls[0]!.answer(410)
  await scene.clock.advance(29_000)
  t.equal(scene.calls.length, 1)
  await scene.clock.advance(1_000)
  t.same(scene.sent, [ids, ids])
})

t.test('a hundred events go in a call, and videos take turns', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  await scene.post(hooks, draft('first'))
  const many = await scene.post(hooks, ...Array.from({ length: 150 }, () => draft('many')))
  const other = await scene.post(hooks, draft('other'))
  scene.status = 200
  scene.calls[0]!.answer(200)
  await scene.clock.advance(0)
  t.same(scene.sent.slice(1), [many.slice(0, 100), [...other, ...many.slice(100)]])
})

t.test('a receiver that hangs costs no memory, however many videos there are', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  await scene.post(hooks, draft('first'))
  for (let i = 0; i < 30_000; i++) hooks.stored(`v${i}`)
  await scene.post(undefined, draft('late'))
  hooks.stored('late')
  scene.status = 200
  scene.calls[0]!.answer(200)
  await scene.clock.advance(1_000)
  t.match(scene.calls.at(-1)!.events, [{ videoId: 'late' }], 'what had no place in line is found in the store')
  t.ok(scene.store.calls.unsent < 10_100, `${scene.store.calls.unsent} videos were remembered`)
})

t.test('whoever owns the videos next goes on where the receiver has taken all, and finds what it has not heard of', async t => {
  const scene = new Scene(t)
  const owns = { all: true }
  const before = scene.dispatcher(owns)
  const [taken] = await scene.post(before, draft('v'))
  scene.calls[0]!.answer(200)
  await scene.clock.advance(1_000)
  const [lost] = await scene.post(before, draft('v')) // nobody answers any more
  owns.all = false
  const unheard = await scene.post(undefined, draft('v'), draft('quiet'))
  const after = scene.dispatcher()
  after.ownersChanged()
  await scene.clock.advance(500)
  t.same(new Set(scene.calls.at(-1)!.events.map(({ id }) => id)), new Set([lost, ...unheard]))
  t.notOk(scene.sent.slice(1).flat().includes(taken))
  scene.calls[1]!.answer(200)
  await scene.clock.advance(0)
  t.equal(scene.calls.length, 3, 'the former owner has sent nothing since')
})

t.test('a dispatcher that owns a video again goes on where the other one has come to', async t => {
  const scene = new Scene(t)
  const owns = { all: true }
  const hooks = scene.dispatcher(owns)
  scene.status = 200
  await scene.post(hooks, draft('v'))
  owns.all = false
  const [last] = (await scene.post(undefined, draft('v'), draft('v'))).slice(-1)
  await scene.clock.advance(1_000)
  await scene.store.noteTaken({ entries: new Map([['v', Number(last)]]), held: [] })
  owns.all = true
  hooks.ownersChanged()
  const ids = await scene.post(hooks, draft('v'))
  t.same(scene.sent.slice(1), [ids])
})

t.test('a dispatcher that ends notes what was taken', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  const ids = await scene.post(hooks, draft('v'))
  scene.calls[0]!.answer(200)
  await scene.clock.advance(0)
  t.equal(scene.store.taken.get('v'), 0)
  await scene.close(hooks)
  t.equal(scene.store.taken.get('v'), Number(ids[0]))
  await scene.post(hooks, draft('v'))
  t.equal(scene.calls.length, 1)
})

t.test('a held comment is sent, and then what was decided', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  scene.status = 200
  const [approved, refused] = [draft('v', 'perhaps'), draft('v', 'rude')]
  await scene.post(hooks, { ...approved, review: 'hold' }, { ...refused, review: 'hold' })
  t.match(scene.calls[0]!.events, [{ videoId: 'v', type: 'held', heldId: heldIdOf(approved), content: 'perhaps' }, { type: 'held', content: 'rude' }])
  const [id] = await scene.post(undefined, { ...approved, review: 'approve' })
  await scene.store.refuseHeld('v', heldIdOf(refused), 'be kind')
  hooks.stored('v', true)
  await scene.clock.advance(0)
  t.match(scene.calls[1]!.events, [
    { type: 'comment', id, content: 'perhaps' },
    { type: 'approved', heldId: heldIdOf(approved), id },
    { type: 'refused', heldId: heldIdOf(refused), reason: 'be kind' },
  ])
  await scene.clock.advance(90_000)
  t.equal(scene.calls.length, 2, 'once')
})

t.test('a held comment is sent once, however long it waits, and beside what else waits of its video', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  await scene.post(hooks, draft('v'))
  await scene.post(hooks, { ...draft('v', 'perhaps'), review: 'hold' })
  const [id] = await scene.post(hooks, draft('v'))
  scene.status = 200
  scene.calls[0]!.answer(200)
  await scene.clock.advance(0)
  t.match(scene.calls[1]!.events, [{ type: 'comment', id }, { type: 'held', content: 'perhaps' }])
  await scene.post(hooks, { ...draft('w', 'alone'), review: 'hold' })
  await scene.clock.advance(90_000)
  t.match(scene.calls.slice(2).map(({ events }) => events), [[{ type: 'held', content: 'alone' }]])
})

t.test('more held comments than go in a call are sent one call after the other', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  scene.status = 200
  await scene.post(hooks, ...Array.from({ length: 120 }, (): Timed => ({ ...draft('v'), review: 'hold' })))
  t.same(scene.calls.map(({ events }) => events.length), [100, 20])
})

t.test('what waits when the store is away goes as soon as it is back', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  scene.status = 200
  scene.store.before = () => Promise.reject(new StoreUnavailableError('away'))
  hooks.stored('v', true)
  await scene.clock.advance(500)
  scene.store.before = () => {}
  const ids = await scene.post(undefined, draft('v'))
  await scene.clock.advance(500)
  t.same(scene.sent, [ids])
})

t.test('where the receiver has come to is noted each time, what is new alone, and again where the store has lost it', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  scene.status = 200
  const notes: [string, number][][] = []
  const note = scene.store.noteTaken.bind(scene.store)
  scene.store.noteTaken = taken => {
    notes.push([...taken.entries])
    return note(taken)
  }
  const [first] = await scene.post(hooks, draft('v'))
  await scene.clock.advance(1_000)
  const [second] = await scene.post(hooks, draft('w'))
  await scene.clock.advance(1_000)
  t.same(notes, [[['v', Number(first)]], [['w', Number(second)]]])
  hooks.stored('v', true)
  await scene.clock.advance(2_000)
  t.equal(notes.length, 2, 'nothing is new')
  scene.store.taken.set('v', 0)
  await scene.clock.advance(30_000)
  t.same(notes.slice(2), [[['v', Number(first)]]])
  t.equal(scene.calls.length, 2, 'it is not sent again')
})

t.test('a place that could not be noted is noted a second later', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  scene.status = 200
  const [id] = await scene.post(hooks, draft('v'))
  scene.store.before = () => Promise.reject(new StoreUnavailableError('away'))
  await scene.clock.advance(1_000)
  scene.store.before = () => {}
  await scene.clock.advance(1_000)
  t.equal(scene.store.taken.get('v'), Number(id))
})

t.test('an error that is a bug is told, and ends neither calls, notes nor looks', async t => {
  const scene = new Scene(t)
  const bugs: unknown[] = []
  scene.onBug = error => bugs.push(error)
  const hooks = scene.dispatcher()
  scene.status = 200
  const bug = new TypeError('a bug')
  const failing = (call: string) => (scene.store.before = each => (each === call ? Promise.reject(bug) : undefined))
  failing('unsent')
  await scene.post(hooks, draft('v'))
  t.same(bugs, [bug])
  failing('noteTaken')
  const ids = await scene.post(hooks, draft('v'))
  t.equal(scene.sent[0]!.at(-1), ids[0])
  await scene.clock.advance(1_000)
  t.same(bugs, [bug, bug])
  failing('unsentVideos')
  await scene.clock.advance(30_000)
  t.same(bugs, [bug, bug, bug])
  scene.store.before = () => {}
  const found = await scene.post(undefined, draft('w'))
  await scene.clock.advance(30_000)
  t.same(scene.sent.at(-1), found)
})

t.test('the store is looked through each half minute, and at each change of owners; that it is away then is no bug', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  scene.status = 200
  scene.store.before = () => Promise.reject(new StoreUnavailableError('away'))
  await scene.clock.advance(30_000)
  scene.store.before = () => {}
  for (let i = 0; i < 2; i++) {
    const ids = await scene.post(undefined, draft(`quiet-${i}`))
    hooks.ownersChanged()
    await scene.clock.advance(500)
    t.same(scene.sent.at(-1), ids)
  }
  const ids = await scene.post(undefined, draft('v'))
  await scene.clock.advance(30_000)
  t.same(scene.sent.at(-1), ids)
})

t.test('the places of ten thousand videos are remembered, those that were needed last', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  scene.status = 200
  await scene.post(hooks, ...Array.from({ length: 10_000 }, (_, i) => draft(`v${i}`)))
  await scene.post(hooks, draft('v0'))
  const before = scene.store.calls.unsent
  await scene.post(hooks, draft('v9999'))
  await scene.post(hooks, draft('v0'))
  t.equal(scene.store.calls.unsent, before)
  await scene.post(hooks, draft('one more'))
  await scene.post(hooks, draft('v0'))
  t.equal(scene.store.calls.unsent, before + 1)
  await scene.post(hooks, draft('v1'))
  t.equal(scene.store.calls.unsent, before + 2)
})

t.test('a dispatcher that ends does not wait for a pause', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  await scene.post(hooks, draft('v'))
  scene.calls[0]!.answer(500)
  await scene.clock.advance(0)
  await hooks.close(60_000)
  t.equal(scene.calls.length, 1)
})

t.test('a dispatcher that has ended leaves no timer behind, and looks for nothing more', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  await scene.post(hooks, draft('v'))
  hooks.ownersChanged()
  scene.calls[0]!.answer(200)
  await scene.clock.advance(0)
  await hooks.close(60_000)
  t.equal(scene.clock.pending, 0)
})

t.test('a store that is away is waited for, and a video that cannot be read holds up no other', async t => {
  const scene = new Scene(t)
  const hooks = scene.dispatcher()
  scene.status = 200
  await scene.store.append([draft('v'), draft('w')], scene.clock.wall())
  scene.store.before = () => Promise.reject(new StoreUnavailableError('away'))
  hooks.stored('v', true)
  await scene.clock.advance(2_500)
  t.same(scene.calls, [])
  scene.store.before = () => {}
  scene.store.damaged = videoId => (videoId === 'v' ? 'damaged' : undefined)
  hooks.stored('w', true)
  await scene.clock.advance(1_000)
  t.match(scene.calls.map(({ events }) => events), [[{ videoId: 'w' }]])
  scene.store.damaged = () => undefined
  await scene.clock.advance(45_000)
  t.match(scene.calls[1]!.events, [{ videoId: 'v' }])
})

t.test('a backup that takes the store\'s place is sent from where it stands itself', async t => {
  const scene = new Scene(t)
  scene.store.generation = 'one'
  const hooks = scene.dispatcher()
  scene.status = 200
  await scene.post(hooks, draft('v'), draft('v'), draft('v'))
  await scene.clock.advance(1_000)
  const entries = scene.store.videos.get('v')!
  const lost = entries.splice(1)
  scene.store.taken.set('v', entries[0]!.comment.id)
  scene.store.generation = 'two'
  scene.clock.step(-60_000) // its id is below one that was taken
  await scene.post(hooks, draft('v'))
  const [anew] = (await scene.store.page('v', { after: entries[0]!.comment.id, until: MAX_CURSOR, newestFirst: false, limit: 1 })).map(toWire)
  t.ok(anew!.id <= lost.at(-1)!.comment.id)
  t.same(scene.sent.at(-1), [String(anew!.id)])
})

t.test('what was taken of one store is not noted in another that comes meanwhile', async t => {
  const scene = new Scene(t)
  scene.store.generation = 'one'
  const hooks = scene.dispatcher()
  await scene.post(hooks, draft('v'))
  scene.store.generation = 'two'
  scene.calls[0]!.answer(200)
  scene.status = 200
  await scene.clock.advance(0)
  t.same(scene.sent[1], scene.sent[0], 'it is sent as the other store has it')
  t.equal(scene.store.calls.noteTaken, 0)
  await scene.clock.advance(1_000)
  t.equal(scene.store.calls.noteTaken, 1)
})

t.test('nor is what was taken and waits to be noted', async t => {
  const scene = new Scene(t)
  scene.store.generation = 'one'
  const hooks = scene.dispatcher()
  scene.status = 200
  await scene.post(hooks, draft('v'))
  scene.store.generation = 'two'
  await scene.clock.advance(1_000)
  t.equal(scene.store.calls.noteTaken, 0)
})
