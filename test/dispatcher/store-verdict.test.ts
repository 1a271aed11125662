import t from 'tap'
import { asExpected, judge, type Case } from '../../dispatcher/store-verdict.js'
import type { StoreFile } from '../../dispatcher/store/store-file.js'
import { dispatcherNode } from '../support/nodes.js'

const MACHINE = 'here'
const file: StoreFile = { id: 'store', generation: 'first', place: '1:2', stored: 10, acceptedHere: false }
const expected = asExpected(file, MACHINE)

/** The case in which all is as it should be, but for `differs`. */
const of = (differs: Partial<Case>) => judge({ expected, found: file, path: '/data/comments.db', machine: MACHINE, accepted: undefined, wasRefused: false, others: [], ...differs })
const owner = (place: string) => dispatcherNode('dispatcher-2', { store: { id: file.id, generation: file.generation, file: `${MACHINE}:${place}` } })

t.test('the first start', async t => {
  t.same(of({ expected: undefined, found: undefined }), { kind: 'create' })
  t.same(of({ expected: undefined }), { kind: 'expect', store: expected }, 'a file of before stores had an identity')
  t.match(of({ expected: undefined, wasRefused: true }), { kind: 'refuse', reason: 'no store is expected any more' }, 'ZooKeeper lost its data: that makes no store right that was wrong')
})

t.test('the expected store is accepted, at its place', async t => {
  t.same(of({}), { kind: 'accept' })
  t.same(of({ found: { ...file, stored: 11 } }), { kind: 'accept' })
  t.same(of({ accepted: file }), { kind: 'accept' }, 'nothing was stored since')
})

t.test('every other one is refused, and says why', async t => {
  t.match(of({ found: undefined }), { kind: 'refuse', reason: '/data/comments.db is missing, and store store is expected' })
  t.match(of({ found: { ...file, id: 'other' } }), { kind: 'refuse', reason: '/data/comments.db is store other, and store store is expected' })
  t.match(of({ found: { ...file, generation: 'second' } }), { kind: 'refuse', reason: '/data/comments.db is of generation second, and generation first is expected' })
  t.match(of({ found: { ...file, stored: 9 } }), { kind: 'refuse', reason: '/data/comments.db is older than what was stored: it has made 9 comments of at least 10' })
  t.match(of({ accepted: { ...file, stored: 11 } }), { kind: 'refuse', reason: /of at least 11/ }, 'than what this process has stored, though that is not written down yet')
})

t.test('the same store at another place', async t => {
  const moved = { ...file, place: '1:3' }
  t.same(of({ found: moved }), { kind: 'expect', store: { ...expected, file: 'here:1:3' } }, 'moved, or copied while nobody used it')
  t.same(of({ machine: 'rebooted' }), { kind: 'expect', store: { ...expected, file: 'rebooted:1:2' } })
  t.match(of({ found: moved, others: [owner('1:2')] }), { kind: 'refuse', reason: '/data/comments.db is a copy: dispatcher-2 has another file of the same store open' })
  t.match(of({ found: moved, others: [owner('1:3')] }), { kind: 'expect' }, 'the other one has moved with it')
  t.match(of({ found: moved, others: [dispatcherNode('dispatcher-2')] }), { kind: 'expect' }, 'a dispatcher of the version before says nothing of its store')
})

t.test('without ZooKeeper only a file that was accepted here is', async t => {
  t.match(of({ expected: 'unread' }), { kind: 'refuse', reason: /registry has not been read/ })
  t.same(of({ expected: 'unread', found: { ...file, acceptedHere: true } }), { kind: 'accept' })
  t.match(of({ expected: 'unread', found: { ...file, acceptedHere: true }, accepted: { ...file, stored: 11 } }), { kind: 'refuse', reason: /older/ })
  t.match(of({ expected: 'unread', found: undefined }), { kind: 'refuse' })
})
