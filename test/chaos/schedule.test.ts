import fc from 'fast-check'
import t from 'tap'
import { FAULT_KINDS, faultName, schedule } from './schedule.js'

t.test('a seed gives the same faults again, and another seed others', t => {
  const of = (seed: number) => schedule({ seed, seconds: 120, kinds: FAULT_KINDS, zookeepers: 1, apart: false })
  t.same(of(7), of(7))
  t.notSame(of(7), of(8))
  t.end()
})

t.test('every way of every kind comes before any comes again, and a rolling restart once', t => {
  const names = schedule({ seed: 7, seconds: 600, kinds: FAULT_KINDS.filter(kind => kind !== 'line'), zookeepers: 1, apart: false }).map(faultName)
  const kinds = new Set(names)
  t.equal(new Set(names.slice(0, kinds.size)).size, kinds.size)
  t.equal(names.filter(name => name === 'rolling restart').length, 1)
  t.end()
})

t.test('an ensemble loses its leader, a follower and its quorum, instead of all of it', t => {
  const ways = (zookeepers: number) => new Set(schedule({ seed: 7, seconds: 900, kinds: ['zookeeper'], zookeepers, apart: false }).map(({ way }) => way))
  t.same([...ways(1)].sort(), ['away', 'cut', 'frozen', 'killed'])
  t.same([...ways(3)].sort(), ['cut', 'follower frozen', 'follower killed', 'leader frozen', 'leader killed', 'quorum lost', 'rolling'])
  t.end()
})

t.test('a line between clusters has one trouble at a time beside the parts\' faults, each once before any again, and one is a cut of a minute', t => {
  const both = schedule({ seed: 7, seconds: 300, kinds: ['kill', 'line'], zookeepers: 1, apart: false })
  const line = both.filter(({ kind }) => kind === 'line')
  t.same(new Set(line.slice(0, 4).map(({ way }) => way)), new Set(['cut', 'silent', 'slow', 'half-open']))
  t.ok(line.every(({ atMs }, i) => i === 0 || atMs > line[i - 1]!.atMs + line[i - 1]!.durationMs))
  t.equal(line.find(({ way }) => way === 'cut')!.durationMs, 60_000)
  t.ok(both.filter(({ kind }) => kind === 'kill').some(({ atMs }) => line.some(each => atMs > each.atMs && atMs < each.atMs + each.durationMs)))
  t.same(both.filter(({ kind }) => kind === 'kill'), schedule({ seed: 7, seconds: 300, kinds: ['kill'], zookeepers: 1, apart: false }), 'the parts\' are those of one cluster')
  t.end()
})

t.test('faults begin in order and within the time given; apart, none begins before the last is over', t => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 5, max: 300 }), fc.boolean(), (seed, seconds, apart) => {
      const faults = schedule({ seed, seconds, kinds: FAULT_KINDS.filter(kind => kind !== 'rolling'), zookeepers: 1, apart })
      return faults.every(({ atMs, durationMs }, i) => {
        const next = faults[i + 1]
        return atMs < seconds * 1_000 && durationMs <= seconds * 500 && (!next || next.atMs >= atMs + (apart ? durationMs : 0))
      })
    }),
  )
  t.end()
})
