import { Buffer } from 'node:buffer'
import t from 'tap'
import { Random } from '../support/random.js'
import { acknowledgement, Disk, entriesOf, EVERYTHING, NOTHING, some, type Entry } from './disk.js'

const entry = (kind: Entry['kind'], file: bigint, given: Partial<Entry> = {}): Entry => ({ kind, thread: 1, file, offset: 0, data: Buffer.alloc(0), ...given })
const written = (file: bigint, offset: number, text: string, thread = 1) => entry('write', file, { offset, data: Buffer.from(text), thread })
const synced = (file: bigint) => [entry('begin', file), entry('end', file)]
const named = (kind: 'create' | 'unlink' | 'mkdir' | 'directory', path: string, file = 0n) => entry(kind, file, { data: Buffer.from(path) })

function after(...entries: (Entry | Entry[])[]): Disk {
  const disk = new Disk('/d')
  for (const each of [named('directory', '/d', 100n), ...entries.flat()]) disk.happened(each)
  return disk
}

const texts = (files: Map<string, Uint8Array>) => Object.fromEntries([...files].map(([path, bytes]) => [path, Buffer.from(bytes).toString()]))
/** What disks of many fates hold, each once. */
function possible(disk: Disk): Set<string> {
  const random = new Random(1)
  return new Set(Array.from({ length: 300 }, () => JSON.stringify(texts(disk.left(some(random))))))
}

t.test('what was synced is there; of the rest there may be all, nothing or some, in whatever order', async t => {
  const disk = after(named('create', '/d/f', 1n), synced(100n), written(1n, 0, 'a'.repeat(512)), synced(1n), written(1n, 0, 'b'.repeat(512)), written(1n, 512, 'c'.repeat(512)))
  t.same(texts(disk.left(NOTHING)), { '/d/f': 'a'.repeat(512) })
  t.same(texts(disk.left(EVERYTHING)), { '/d/f': 'b'.repeat(512) + 'c'.repeat(512) })
  const all = possible(disk)
  for (const [first, second] of [['a', 'c'], ['b', '\0']] as const) t.ok(all.has(JSON.stringify({ '/d/f': first.repeat(512) + second.repeat(512) })), `${first} and then ${second}`)
  t.ok([...all].some(text => /ab|ba/.test(text)), 'a sector may be torn')
})

t.test('an fsync covers what was written before it began, and only once it has ended', async t => {
  const begun = [named('create', '/d/f', 1n), synced(100n), written(1n, 0, 'a'), entry('begin', 1n), written(1n, 1, 'b', 2)].flat()
  t.same(texts(after(begun).left(NOTHING)), { '/d/f': '' })
  t.same(texts(after(begun, entry('end', 1n)).left(NOTHING)), { '/d/f': 'a' })
})

t.test('a file is found once its folder was synced, and so is the folder; until then what was there before may be', async t => {
  t.same(texts(after(named('create', '/d/f', 1n), written(1n, 0, 'a'), synced(1n)).left(NOTHING)), {})
  const inside = [named('mkdir', '/d/e'), named('create', '/d/e/f', 1n), named('directory', '/d/e', 101n), synced(101n)].flat()
  t.same(texts(after(inside).left(NOTHING)), {})
  t.same(texts(after(inside, synced(100n)).left(NOTHING)), { '/d/e/f': '' })
  const again = [named('create', '/d/f', 1n), synced(100n), written(1n, 0, 'old'), synced(1n), named('unlink', '/d/f'), named('create', '/d/f', 2n), written(2n, 0, 'new'), synced(2n)].flat()
  t.same([...possible(after(again))].sort(), ['{"/d/f":"new"}', '{"/d/f":"old"}', '{}'])
  t.same(texts(after(again, synced(100n)).left(NOTHING)), { '/d/f': 'new' })
})

t.test('a file that was cut may have its length and its bytes still', async t => {
  const disk = after(named('create', '/d/f', 1n), synced(100n), written(1n, 0, 'abc'), synced(1n), entry('truncate', 1n, { offset: 1 }))
  t.same(texts(disk.left(NOTHING)), { '/d/f': 'abc' })
  t.same(texts(disk.left(EVERYTHING)), { '/d/f': 'a' })
  disk.happened(written(1n, 2, 'x'))
  t.same(texts(disk.left(EVERYTHING)), { '/d/f': 'a\0x' })
})

t.test('a journal is read to its last whole record', async t => {
  const journal = Buffer.concat([...acknowledgement(Buffer.from('one')), ...acknowledgement(Buffer.from('two'))])
  t.match(entriesOf(journal), [{ kind: 'acknowledged', data: Buffer.from('one') }, { kind: 'acknowledged' }])
  t.equal(entriesOf(journal.subarray(0, -1)).length, 1)
  t.throws(() => entriesOf(Buffer.alloc(64)), /no record/)
})
