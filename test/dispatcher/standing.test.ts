import t, { type Test } from 'tap'
import { pino } from 'pino'
import { Standing, type Expectation, type StoreKeeper } from '../../dispatcher/standing.js'
import type { StoreFile } from '../../dispatcher/store/store-file.js'
import { StoreUnavailableError } from '../../dispatcher/store/store.js'
import type { DispatcherNode, ExpectedStore } from '../../protocol/nodes.js'
import { ZkError } from '../../registry/zookeeper/zk-error.js'
import { FakeClock } from '../support/fake-clock.js'
import { dispatcherNode } from '../support/nodes.js'

const MACHINE = 'here'
const FILE: StoreFile = { id: 'store', generation: 'first', place: '1:2', stored: 10, acceptedHere: false }

/** A folder with one file or none. */
class Keeper implements StoreKeeper {
  readonly path = '/data/comments.db'
  stored = 0
  file: StoreFile | undefined
  /** Why it can be neither looked at nor written; why it cannot be written. */
  trouble: string | undefined
  readOnly: string | undefined
  accepted: StoreFile | undefined
  probes = 0
  onProbe: (reason: string | undefined) => void = () => {}
  /** Happens after it was looked at, before that is known. */
  meanwhile = (): void => {}

  async look(): Promise<StoreFile> {
    if (this.trouble !== undefined) throw new StoreUnavailableError(this.trouble)
    const { file } = this
    this.meanwhile()
    if (!file) throw new StoreUnavailableError('FILE_MISSING')
    return file
  }
  accept(file: StoreFile): void {
    this.accepted = file
  }
  refuse(): void {
    this.accepted = undefined
  }
  async noteAccepted(): Promise<void> {
    if (this.readOnly !== undefined) throw new StoreUnavailableError(this.readOnly)
    this.file = { ...this.file!, acceptedHere: true }
  }
  async create(): Promise<void> {
    this.file ??= { ...FILE, id: 'created', stored: 0 }
  }
  async renew(): Promise<void> {
    this.file = { ...this.file!, generation: `after ${this.file!.generation}` }
  }
  async probe(): Promise<void> {
    this.probes++
    this.onProbe(this.readOnly)
    if (this.readOnly !== undefined) throw new StoreUnavailableError(this.readOnly)
  }
}

/** What stands in ZooKeeper. */
class Expecting implements Expectation {
  isRead = true
  expected: ExpectedStore | undefined
  away = false
  async expect(store: ExpectedStore, insteadOf: ExpectedStore | undefined): Promise<boolean> {
    if (this.away) throw new ZkError('CONNECTION_LOSS', 'setData', '/control/store', true)
    if (this.expected !== insteadOf) return false
    this.expected = store
    return true
  }
  async replace(store: ExpectedStore): Promise<void> {
    this.expected = store
  }
}

function stage(t: Test) {
  const clock = new FakeClock()
  const store = new Keeper()
  const expectation = new Expecting()
  const others: DispatcherNode[] = []
  const state: { clockOff: string | undefined } = { clockOff: undefined }
  const standing = new Standing({ store, expectation, others: () => ({ announced: others, possible: others }), clockOff: () => state.clockOff, machine: MACHINE, clock, log: pino({ level: 'silent' }) })
  store.onProbe = reason => standing.wrote(reason)
  let told = 0
  standing.onChange = () => told++
  t.teardown(() => standing.close())
  return { clock, store, expectation, others, state, standing, told: () => told }
}

t.test('the first dispatcher makes the file and says which store is expected', async t => {
  const { store, expectation, standing } = stage(t)
  t.match(standing.refused, /not been looked at/)
  await standing.look()
  t.equal(standing.refused, undefined)
  t.match(expectation.expected, { id: 'created', file: 'here:1:2' })
  t.match(store.accepted, { id: 'created' })
  t.equal(store.file!.acceptedHere, true, 'noted in the file, for a start without ZooKeeper')
  t.match(standing.announced, { state: 'up', store: { id: 'created' } })
})

t.test('two that differ at the very first start: one wins, the other is refused', async t => {
  const one = stage(t)
  const two = stage(t)
  one.store.file = { ...FILE, id: 'one' }
  two.store.file = { ...FILE, id: 'two' }
  // Both have read that nothing is expected; the second is late.
  const shared = one.expectation
  Object.defineProperty(two.expectation, 'expected', { get: () => shared.expected })
  two.expectation.expect = (store, insteadOf) => shared.expect(store, insteadOf)
  await one.standing.look()
  await two.standing.look()
  t.equal(one.standing.refused, undefined)
  t.equal(two.standing.refused, '/data/comments.db is store two, and store one is expected')
  t.equal(two.store.accepted, undefined)
  t.match(two.standing.announced, { state: 'draining', fit: false, store: undefined })
})

t.test('a file that goes is refused, and taken again when it is back', async t => {
  const { clock, store, standing, told } = stage(t)
  store.file = FILE
  await standing.look()
  const before = store.file
  store.file = undefined
  standing.wrote('FILE_MOVED')
  await clock.advance(10)
  t.match(standing.refused, /is missing, and store store is expected/)
  t.equal(store.accepted, undefined, 'nothing is stored')
  t.match(standing.announced, { state: 'draining', store: undefined })
  const toldBefore = told()
  store.file = { ...before, place: '1:9' }
  await clock.advance(1_000)
  t.equal(standing.refused, undefined, 'copied back to its place')
  t.ok(told() > toldBefore)
  store.file = undefined
  await clock.advance(1_000)
  t.match(standing.refused, /is missing/)
  store.file = { ...before, place: '1:9' }
  await clock.advance(1_000)
  t.equal(standing.refused, undefined, 'moved back, the same file')
  t.match(store.accepted, { place: '1:9' })
})

t.test('a copy from earlier is refused, also from what this process alone has stored', async t => {
  const { clock, store, expectation, standing } = stage(t)
  store.file = FILE
  await standing.look()
  store.stored = 12
  store.file = { ...FILE, place: '1:3', stored: 11 }
  await clock.advance(1_000)
  t.match(standing.refused, /older than what was stored/)
  t.equal(expectation.expected?.stored, 12, 'which is written down, for the others and for later')
})

t.test('what is stored while it looks makes nothing older', async t => {
  const { clock, store, expectation, standing } = stage(t)
  store.file = FILE
  await standing.look()
  store.meanwhile = () => {
    store.stored = store.file!.stored + 1
    store.file = { ...store.file!, stored: store.stored }
  }
  for (let i = 0; i < 5; i++) {
    await clock.advance(1_000)
    t.equal(standing.refused, undefined)
  }
  t.ok(expectation.expected!.stored > 12)
})

t.test('how much is stored is written down, at most every two seconds', async t => {
  const { clock, store, expectation, standing } = stage(t)
  store.file = FILE
  await standing.look()
  const written: number[] = []
  const expect = expectation.expect.bind(expectation)
  expectation.expect = (file, insteadOf) => {
    written.push(file.stored)
    return expect(file, insteadOf)
  }
  for (const stored of [20, 30, 40, 50, 60, 70]) {
    store.stored = stored
    store.file = { ...store.file, stored }
    await clock.advance(1_000)
    t.ok(expectation.expected!.stored >= stored - 20, `${expectation.expected!.stored} of ${stored}`)
  }
  await clock.advance(10_000)
  t.same(written, [20, 40, 60, 70], 'nothing is written where nothing was stored')
  store.stored = 71
  await standing.close()
  t.equal(expectation.expected?.stored, 71, 'and at the end')
})

t.test('nothing is left in time once it is closed, also while it looks', async t => {
  for (const looks of [false, true]) {
    const { clock, store, standing } = stage(t)
    store.file = FILE
    await standing.look()
    const looking = looks ? standing.look() : undefined
    await standing.close()
    await looking
    t.equal(clock.pending, 0)
  }
})

t.test('it stops without a failure where ZooKeeper is away', async t => {
  const { store, expectation, standing } = stage(t)
  store.file = FILE
  await standing.look()
  store.stored = 20
  expectation.away = true
  await t.resolves(standing.close())
  expectation.away = false
})

t.test('without ZooKeeper a file that was accepted here is used, and no other', async t => {
  const known = stage(t)
  known.expectation.isRead = false
  known.store.file = { ...FILE, acceptedHere: true }
  await known.standing.look()
  t.equal(known.standing.refused, undefined)
  const unknown = stage(t)
  unknown.expectation.isRead = false
  unknown.store.file = FILE
  await unknown.standing.look()
  t.match(unknown.standing.refused, /registry has not been read/)
})

t.test('ZooKeeper goes while nothing is expected yet: nothing is stored', async t => {
  const { store, expectation, standing } = stage(t)
  store.file = FILE
  expectation.away = true
  await standing.look()
  t.match(standing.refused, /ZooKeeper cannot be asked/)
  t.equal(store.accepted, undefined)
})

t.test('a store that cannot be written: not fit at once at the start, later after a second; back with the first write', async t => {
  const { clock, store, others, standing } = stage(t)
  store.file = FILE
  store.readOnly = 'SQLITE_READONLY'
  await standing.look()
  t.equal(standing.refused, undefined)
  t.equal(standing.cannotStore, 'nothing can be written: SQLITE_READONLY')
  t.match(standing.announced, { state: 'up', fit: false }, 'while it is the only one it is asked all the same')
  others.push(dispatcherNode('dispatcher-2'))
  t.match(standing.announced, { state: 'draining', fit: false })
  others[0] = dispatcherNode('dispatcher-2', { fit: false })
  t.match(standing.announced, { state: 'up' }, 'no better one is there')

  store.readOnly = undefined
  await clock.advance(1_000)
  t.equal(standing.cannotStore, undefined)
  t.match(standing.announced, { state: 'up', fit: undefined })
  standing.wrote('SQLITE_FULL')
  t.equal(standing.cannotStore, undefined, 'that may pass')
  store.readOnly = 'SQLITE_FULL'
  await clock.advance(2_000)
  t.match(standing.cannotStore, /SQLITE_FULL/)
  const { probes } = store
  store.readOnly = undefined
  await clock.advance(1_000)
  t.equal(standing.cannotStore, undefined)
  await clock.advance(5_000)
  t.equal(store.probes, probes + 1, 'who is well is not tried')
})

t.test('what is announced is looked at as soon as nothing can be written, and as soon as something can again', async t => {
  const { clock, store, standing, told } = stage(t)
  store.file = FILE
  await standing.look()
  standing.wrote('SQLITE_FULL')
  store.readOnly = 'SQLITE_FULL'
  await clock.advance(1_000)
  const before = told()
  standing.wrote(undefined)
  t.equal(told() - before, 1)
  await clock.advance(500)
  standing.wrote('SQLITE_FULL')
  await clock.advance(999)
  const later = told()
  standing.wrote('SQLITE_FULL')
  t.equal(told() - later, 0)
  await clock.advance(1)
  standing.wrote('SQLITE_FULL')
  t.equal(told() - later, 1)
  t.match(standing.cannotStore, /SQLITE_FULL/)
})

t.test('it looks once a second, however often it was told to look', async t => {
  const { clock, store, standing } = stage(t)
  store.file = FILE
  await standing.look()
  for (let i = 0; i < 3; i++) await Promise.all([standing.look(), standing.look()])
  let looks = 0
  store.meanwhile = () => void looks++
  await clock.advance(5_000)
  t.equal(looks, 5)
})

t.test('what changes while it looks is looked at before the look is over', async t => {
  const { store, expectation, standing } = stage(t)
  store.file = FILE
  await standing.look()
  const looking = standing.look()
  expectation.expected = { id: 'other', generation: 'first', file: 'there:1:2', stored: 0 }
  void standing.look()
  await looking
  t.match(standing.refused, /store other is expected/)
})

t.test('a store that was refused is not taken because none is expected any more', async t => {
  const { clock, store, expectation, standing } = stage(t)
  store.file = FILE
  expectation.expected = { id: 'other', generation: 'first', file: 'there:1:2', stored: 0 }
  await standing.look()
  t.match(standing.refused, /store other is expected/)
  expectation.expected = undefined
  await clock.advance(1_000)
  t.equal(standing.refused, 'no store is expected any more')
  expectation.expected = { id: 'store', generation: 'first', file: 'here:1:2', stored: 0 }
  await clock.advance(1_000)
  t.equal(standing.refused, undefined)
  expectation.expected = undefined
  await clock.advance(1_000)
  t.equal(standing.refused, undefined, 'it was accepted since')
  t.match(expectation.expected, { id: 'store' })
})

t.test('a file that was moved is looked at once more before it is refused', async t => {
  const { clock, store, standing } = stage(t)
  store.trouble = 'SQLITE_BUSY'
  store.file = FILE
  await standing.look()
  t.equal(standing.refused, 'the file cannot be used: SQLITE_BUSY')
  store.trouble = undefined
  await clock.advance(1_000)
  t.equal(store.probes, 1)
  const look = store.look.bind(store)
  store.look = () => {
    store.look = look
    store.file = { ...store.file!, place: '1:9' }
    return Promise.reject(new StoreUnavailableError('FILE_MOVED'))
  }
  await standing.look()
  t.equal(standing.refused, undefined)
  t.match(store.accepted, { place: '1:9' })
})

t.test('a wrong clock: passed over, and not ready, but it stores', async t => {
  const { store, others, state, standing } = stage(t)
  store.file = FILE
  await standing.look()
  state.clockOff = 'the clock is 90 s ahead of ZooKeeper\'s'
  t.equal(standing.unfit, state.clockOff)
  t.equal(standing.cannotStore, undefined)
  t.match(standing.announced, { state: 'up', fit: false })
  others.push(dispatcherNode('dispatcher-2'))
  t.match(standing.announced, { state: 'draining' })
  t.match(standing.report, { clockOff: state.clockOff, cannotStore: null })
})

t.test('an operator\'s word', async t => {
  const { clock, store, expectation, standing } = stage(t)
  store.file = FILE
  await standing.look()
  await standing.adopt('accept') // as it is: it lacks nothing

  store.file = { ...FILE, id: 'another', place: '1:3', stored: 2 }
  await clock.advance(1_000)
  t.match(standing.refused, /is store another/)
  await t.rejects(standing.adopt('create'), { code: 'BAD_REQUEST', message: /is there/ })
  await standing.adopt('accept')
  t.equal(standing.refused, undefined)
  t.match(expectation.expected, { id: 'another', stored: 2 })

  store.stored = 5
  store.file = { ...store.file, stored: 5 }
  await clock.advance(3_000)
  store.file = { ...store.file, place: '1:4', stored: 1 }
  store.stored = 0
  await clock.advance(1_000)
  t.match(standing.refused, /older/)
  await t.rejects(standing.adopt('accept'), { code: 'BAD_REQUEST', message: /restore it/ })
  await standing.adopt('restore')
  t.equal(standing.refused, undefined)
  t.match(expectation.expected, { id: 'another', generation: 'after first', stored: 1 })

  store.file = undefined
  await clock.advance(1_000)
  await standing.adopt('create')
  t.equal(standing.refused, undefined)
  t.match(expectation.expected, { id: 'created', stored: 0 })
})

t.test('nothing looks at a file while it is being made', async t => {
  const { clock, store, expectation, standing } = stage(t)
  store.file = FILE
  await standing.look()
  store.file = undefined
  await clock.advance(1_000)
  const create = store.create.bind(store)
  let finish = (): void => {}
  store.create = () => new Promise<void>(resolve => (finish = resolve)).then(create)
  const adopted = standing.adopt('create')
  await clock.advance(1)
  let looks = 0
  const look = store.look.bind(store)
  store.look = () => {
    looks++
    return look()
  }
  const wanted = standing.look() // as when another dispatcher comes
  await clock.advance(5_000)
  t.equal(looks, 0)
  finish()
  await adopted
  await wanted
  t.ok(looks > 0)
  t.equal(standing.refused, undefined)
  t.match(expectation.expected, { id: 'created' })
  const before = looks
  await clock.advance(3_000)
  t.ok(looks > before, 'and it goes on looking')
})

t.test('an operator may accept an earlier copy where no store is expected any more', async t => {
  const { clock, store, expectation, standing } = stage(t)
  store.file = FILE
  await standing.look()
  expectation.expected = { id: 'other', generation: 'first', file: 'there:1:2', stored: 0 }
  await clock.advance(1_000)
  expectation.expected = undefined
  store.file = { ...FILE, place: '1:3', stored: 4 }
  await clock.advance(1_000)
  t.equal(standing.refused, 'no store is expected any more')
  await standing.adopt('accept')
  t.equal(standing.refused, undefined)
  t.match(expectation.expected, { id: 'store', stored: 4 })
})

t.test('a file that cannot be looked at for a while stays accepted: its calls have their own errors', async t => {
  const { clock, store, standing } = stage(t)
  store.file = FILE
  await standing.look()
  store.trouble = 'SQLITE_BUSY'
  await clock.advance(1_000)
  t.equal(standing.refused, undefined)
  store.trouble = 'LOG_MOVED'
  await clock.advance(1_000)
  t.match(standing.refused, /LOG_MOVED/)
})
