import fc from 'fast-check'
import t from 'tap'
import { Chain } from '../../edge/chain.js'
import type { Cursor } from '../../protocol/id.js'
import type { RoomAnswer, SyncRequest } from '../../protocol/wire.js'
import { ModelStore } from '../support/model-store.js'

/** A chain that must agree with its store after every step. */
class Checked {
  readonly store = new ModelStore('v')
  readonly chain: Chain
  base: Cursor = 0
  appended: Cursor[] = []
  readonly restarts: [Cursor, Cursor][] = []

  constructor() {
    this.chain = new Chain('v', {
      opened: at => {
        this.base = at
        this.appended = []
      },
      appended: ({ id }) => void this.appended.push(id),
      restarted: (from, to) => void this.restarts.push([from, to]),
    })
  }

  /** Opens at the store's head. */
  open(): this {
    this.chain.answer(this.chain.request(), this.store.sync({ videoId: 'v', last: undefined, want: undefined }))
    return this
  }

  check(): void {
    if (!this.chain.open) return
    const expected = this.store.between(this.base, this.chain.last).map(({ id }) => id)
    if (String(this.appended) !== String(expected)) throw new Error(`appended ${String(this.appended)} after ${this.base}, not ${String(expected)}`)
    if (this.chain.want < this.chain.last) throw new Error(`wants ${this.chain.want} and has ${this.chain.last}`)
  }
}

const pick = fc.nat({ max: 1000 })
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('post' as const), arrives: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('deliver' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('hint' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cursor' as const), above: fc.integer({ min: -15, max: 200 }) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('ask' as const), from: fc.oneof(fc.constant(undefined), pick) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('read' as const), pick, limit: fc.constantFrom(0, 1, 2, 500), memory: fc.oneof(fc.constant(undefined), pick) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('answer' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reopen' as const) }) },
)

t.test('rule 6: whatever comes, in whatever order, a chain appends the store\'s run without a hole, and nothing twice', async () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80, size: 'max' }), steps => {
      const checked = new Checked()
      const { store, chain } = checked
      const asked: SyncRequest[] = []
      const answers: { asked: SyncRequest; answer: RoomAnswer }[] = []
      /** The highest id heard of since the newest question. */
      let heard = 0
      const hear = (id: Cursor) => (heard = Math.max(heard, id))
      for (const now of steps) {
        const before = chain.want
        if (now.do === 'post') {
          const comment = store.post()
          if (now.arrives) {
            hear(comment.id)
            chain.deliver(comment)
          }
        } else if (now.do === 'deliver' && store.comments.length > 0) {
          const comment = store.comments[now.pick % store.comments.length]!
          hear(comment.id)
          chain.deliver(comment)
        } else if (now.do === 'hint' && store.comments.length > 0) {
          const { id } = store.comments[now.pick % store.comments.length]!
          hear(id)
          chain.hint(id)
        } else if (now.do === 'cursor') {
          const id = Math.max(0, store.head + now.above)
          hear(id)
          chain.hint(id)
        } else if (now.do === 'ask') {
          heard = 0
          asked.push(chain.request(now.from))
        } else if (now.do === 'read' && asked.length > 0) {
          const request = asked[now.pick % asked.length]!
          // Rule 4: memory that ends below an id of the request does not answer it.
          const upTo = now.memory === undefined ? undefined : store.ids.filter(id => id >= Math.max(request.last ?? 0, request.want ?? 0))[now.memory % 3]
          answers.push({ asked: request, answer: store.sync(request, { limit: now.limit, upTo }) })
        } else if (now.do === 'answer' && answers.length > 0) {
          const given = answers[now.pick % answers.length]!
          chain.answer(given.asked, given.answer)
          if (chain.want < before) {
            if (given.answer.from !== 'store' || given.answer.more) throw new Error('only the store, read to the end, may lower what is wanted')
            if (given.asked !== asked.at(-1)) throw new Error('lowered by the answer to an old question')
            if (chain.want < heard) throw new Error('lowered below what was heard since the question')
          }
        } else if (now.do === 'reopen') {
          chain.reopen()
          if (chain.open) throw new Error('open')
        }
        if (now.do !== 'answer' && chain.want < before) throw new Error('lowered by no answer')
        checked.check()
      }
      // However it stands, an uncut answer of the store settles it.
      for (let tries = 0; tries < 2; tries++) {
        const request = chain.request()
        chain.answer(request, store.sync(request))
        checked.check()
      }
      if (!chain.open || chain.behind || (chain.last !== store.head)) throw new Error(`stands at ${chain.last}, wants ${chain.want}, the store has ${store.head}`)
    }),
    { numRuns: 1500 },
  )
})

t.test('comments that come before those they follow are kept, and taken when the hole is filled', async t => {
  const { store, chain, appended } = new Checked().open()
  const [first, second, third] = store.posts(3)
  t.equal(chain.deliver(third!), 'aside')
  t.equal(chain.deliver(second!), 'aside')
  t.same(appended, [])
  t.equal(chain.behind, true)
  t.equal(chain.deliver(first!), 'appended')
  t.equal(chain.last, 30)
  t.equal(chain.behind, false)
  t.equal(chain.deliver(second!), 'known')
})

t.test('nothing is appended before the chain is open, not even what would follow', async t => {
  const { store, chain, appended } = new Checked()
  t.equal(chain.deliver(store.post()), 'aside')
  t.same(appended, [])
  t.equal(chain.last, 0)
})

t.test('a question names what is wanted only where that is above what is here', async t => {
  const { store, chain } = new Checked().open()
  chain.deliver(store.post())
  t.strictSame(chain.request(), { videoId: 'v', last: 10, want: undefined })
  chain.hint(20)
  t.strictSame(chain.request(), { videoId: 'v', last: 10, want: 20 })
  const { chain: closed } = new Checked()
  closed.hint(20)
  t.strictSame(closed.request(), { videoId: 'v', last: undefined, want: 20 })
})

t.test('a hundred comments are kept aside and no more: the oldest of them go', async t => {
  const { store, chain } = new Checked().open()
  const comments = store.posts(150)
  for (const comment of comments.slice(1)) chain.deliver(comment)
  chain.deliver(comments[0]!)
  t.equal(chain.last, 10, 'the second has gone')
  const request = chain.request()
  t.same(request, { videoId: 'v', last: 10, want: 1500 })
  chain.answer(request, store.sync(request, { limit: 48 }))
  t.equal(chain.last, 490)
  chain.answer(chain.request(), store.sync({ videoId: 'v', last: 490, want: 1500 }, { limit: 1 }))
  t.equal(chain.last, 1500, 'the newest hundred were here')
})

t.test('a chain opens where it was asked to when the answer reaches from there to the head, else at the head', async t => {
  const cases: { from: Cursor | undefined; limit: number; at: Cursor; appended: Cursor[] }[] = [
    { from: undefined, limit: 500, at: 40, appended: [] },
    { from: 20, limit: 500, at: 20, appended: [30, 40] },
    { from: 20, limit: 1, at: 40, appended: [] },
    { from: 99, limit: 500, at: 40, appended: [] },
    { from: 0, limit: 500, at: 0, appended: [10, 20, 30, 40] },
  ]
  for (const { from, limit, at, appended } of cases) {
    const checked = new Checked()
    checked.store.posts(4)
    const request = checked.chain.request(from)
    checked.chain.answer(request, checked.store.sync(request, { limit }))
    t.same({ at: checked.base, appended: checked.appended, last: checked.chain.last }, { at, appended, last: 40 }, `from ${from}, at most ${limit}`)
  }
})

t.test('an answer to what was asked before the chain was reopened opens nothing', async t => {
  const { store, chain } = new Checked().open()
  const stale = chain.request()
  chain.reopen()
  chain.answer(stale, store.sync(stale))
  t.equal(chain.open, false)
  const fresh = chain.request()
  chain.answer(stale, store.sync(stale))
  t.equal(chain.open, false)
  chain.answer(fresh, store.sync(fresh))
  t.equal(chain.open, true)
})

t.test('what was heard of since the question stays wanted, however high the question\'s own want was', async t => {
  const { store, chain } = new Checked().open()
  chain.hint(1_000_000) // a cursor that is not of this video
  const request = chain.request()
  const answer = store.sync(request)
  const comment = store.post()
  chain.hint(comment.id)
  chain.answer(request, answer)
  t.equal(chain.want, comment.id)
})

t.test('neither memory nor a cut answer lowers what is wanted', async t => {
  const { store, chain } = new Checked().open()
  store.posts(3)
  chain.hint(100)
  for (const options of [{ upTo: 30 }, { limit: 1 }]) {
    const request = chain.request()
    chain.answer(request, store.sync(request, options))
    t.equal(chain.want, 100)
    chain.reopen()
    chain.answer(chain.request(0), store.sync({ videoId: 'v', last: 0, want: 100 }, { limit: 1 }))
    store.posts(3)
  }
  const request = chain.request()
  chain.answer(request, store.sync(request))
  t.equal(chain.want, store.head)
})

t.test('a chain that is ahead of its store begins anew at the store\'s head', async t => {
  const checked = new Checked().open()
  const { chain, store, restarts } = checked
  for (const comment of store.posts(5)) chain.deliver(comment)
  store.comments.splice(2) // a backup was put back
  const asked = chain.request()
  chain.answer(asked, store.sync(asked))
  t.same([chain.last, chain.want, chain.behind], [20, 20, false])
  t.same(restarts, [[50, 20]])
  for (const comment of store.posts(2)) t.equal(chain.deliver(comment), 'appended')
  t.same(checked.appended.slice(-2), [30, 40])
})

t.test('a chain whose store went back, and has gone on since, begins anew where the store\'s own chain passes by', async t => {
  for (const from of ['store', 'memory'] as const) {
    const { chain, store, restarts, appended } = new Checked().open()
    for (const comment of store.posts(5)) chain.deliver(comment)
    store.comments.splice(2)
    store.comments.push({ videoId: 'v', prev: 20, id: 60, json: '{"id":"60"}' })
    store.post()
    t.equal(chain.deliver(store.comments[2]!), 'aside')
    const asked = chain.request()
    chain.answer(asked, { ...store.sync(asked), from })
    t.same(restarts, [[50, 20]], from)
    t.same(appended.slice(-2), [60, 70])
    t.same([chain.last, chain.behind], [70, false])
  }
})

t.test('the same where nothing was appended since the chain opened at the head, or where a cursor that is no comment opened it', async t => {
  for (const from of [undefined, 25]) {
    const { chain, store, restarts } = new Checked()
    store.posts(5)
    const first = chain.request(from)
    chain.answer(first, store.sync(first))
    store.comments.splice(2)
    store.comments.push({ videoId: 'v', prev: 20, id: 60, json: '{"id":"60"}' })
    const asked = chain.request()
    chain.answer(asked, store.sync(asked))
    t.same(restarts, [[50, 20]], `opened from ${from}`)
    t.equal(chain.last, 60)
  }
})

t.test('a cursor that is no comment of the store opens a chain, and nothing is begun anew for it', async t => {
  const checked = new Checked()
  const { chain, store, restarts } = checked
  store.posts(5)
  const asked = chain.request(25)
  chain.answer(asked, store.sync(asked))
  t.same(restarts, [])
  t.same(checked.appended, [30, 40, 50])
})

t.test('only the store, asked for what the chain had, read to the end, can say that it is behind', async t => {
  const behind = (change: (answer: RoomAnswer) => Partial<RoomAnswer>) => {
    const { chain, store, restarts } = new Checked().open()
    for (const comment of store.posts(5)) chain.deliver(comment)
    const asked = chain.request()
    const answer = { ...store.sync(asked), head: 20, comments: [] }
    chain.answer(asked, { ...answer, ...change(answer) })
    return restarts
  }
  t.same(behind(() => ({})), [[50, 20]])
  t.same(behind(() => ({ from: 'memory' })), [])
  t.same(behind(() => ({ more: true })), [])
  const { chain, store, restarts } = new Checked().open()
  for (const comment of store.posts(5)) chain.deliver(comment)
  const asked = chain.request()
  const early = store.sync(asked)
  for (const comment of store.posts(1)) chain.deliver(comment)
  chain.answer(asked, early)
  t.same(restarts, [], 'a comment came while the answer was on its way')
  const old = chain.request()
  chain.request()
  chain.answer(old, { ...store.sync(old), head: 20 })
  t.same(restarts, [], 'not the newest question')
})
