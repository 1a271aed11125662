import fc from 'fast-check'
import t from 'tap'
import { HoldingsAnnouncements } from '../../edge/holdings.js'
import { FakeClock } from '../support/fake-clock.js'

function announcing(bytes = 200, edges = 1) {
  const clock = new FakeClock()
  const held = new Map<string, number>()
  const writes: { at: number; videos: ReadonlyMap<string, number> }[] = []
  const announcements = new HoldingsAnnouncements({
    clock,
    edges: () => edges,
    read: () => new Map(Array.from(held).filter(([, viewers]) => viewers > 0)),
    write(videos) {
      writes.push({ at: clock.now(), videos })
      return bytes
    },
  })
  const set = (video: string, viewers: number) => {
    held.set(video, viewers)
    announcements.changed(video, viewers)
  }
  return { clock, held, writes, announcements, set, times: () => writes.map(({ at }) => at) }
}

t.test('a video that appears or leaves is announced within 20 to 50 ms, with all else that changed by then', async t => {
  const { clock, writes, set, times } = announcing()
  set('a', 1)
  await clock.advance(10)
  set('b', 1)
  await clock.advance(10)
  t.same(times(), [20])
  t.same([...writes[0]!.videos], [['a', 1], ['b', 1]])
  await clock.advance(1)
  set('a', 0)
  await clock.advance(60)
  t.same(times().slice(1), [71])
  t.same([...writes[1]!.videos], [['b', 1]])
  await clock.advance(60_000)
  t.equal(writes.length, 2, 'and no more')
})

t.test('the interval stretches with the list, up to 1 s', async t => {
  for (const [bytes, interval] of [[100_000, 550], [900_000, 1000]] as const) {
    const { clock, set, times } = announcing(bytes)
    set('a', 1)
    await clock.advance(30)
    set('b', 1)
    await clock.advance(2000)
    t.same(times(), [20, 20 + interval])
  }
})

t.test('of many edges each has its share: what was saved up is announced at once, and then it waits, up to 4 s', async t => {
  for (const [edges, share] of [[1, 50], [100, 400], [1_000, 4_000], [10_000, 4_000]] as const) {
    const { clock, writes, set, times } = announcing(0, edges)
    let i = 0
    const until = async (at: number) => {
      for (; clock.now() < at; await clock.advance(10)) set(`v${i++}`, 1)
    }
    await until(60_000)
    t.same(times().slice(0, 3), [20, 70, 120], `${edges} edges`)
    const later = times().slice(5)
    const between = later.slice(1).map((at, i) => at - later[i]!)
    t.ok(between.every(ms => Math.abs(ms - share) <= 20), `${edges} edges: ${between.slice(0, 5).join()}`)
    await clock.advance(5_000)
    t.equal(writes.at(-1)!.videos.size, i, 'all of it in the end')
    await clock.advance(15_000)
    const quiet = clock.now()
    set('late', 1)
    await clock.advance(50)
    t.equal(times().at(-1), quiet + 20, 'after some quiet')
  }
})

t.test('counts are told at most once a second when they moved by 5%', async t => {
  const { clock, set, times } = announcing()
  set('a', 100)
  await clock.advance(20)
  for (let viewers = 101; viewers <= 400; viewers++) {
    set('a', viewers)
    await clock.advance(10)
  }
  await clock.advance(2000)
  const between = times().map((at, i) => at - (times()[i - 1] ?? -1000))
  t.ok(between.every(ms => ms >= 1000), String(times()))
  t.ok(times().length >= 4)
})

t.test('a count that has come to rest is told, although another video\'s never rests', async t => {
  const { clock, writes, set } = announcing()
  set('still', 1000)
  set('moving', 1000)
  await clock.advance(100)
  set('still', 1001)
  for (let i = 0; i < 20; i++) {
    set('moving', 1000 + (i % 2) + 1)
    await clock.advance(100)
  }
  t.equal(writes.at(-1)!.videos.get('still'), 1001)
})

t.test('a count that came back to what was told is not told again', async t => {
  const { clock, writes, set } = announcing()
  set('a', 1000)
  await clock.advance(100)
  set('a', 1001)
  set('a', 1000)
  await clock.advance(5000)
  t.equal(writes.length, 1)
})

t.test('nothing is announced after it is stopped', async t => {
  const { clock, writes, announcements, set } = announcing()
  set('a', 1000)
  await clock.advance(20)
  set('a', 1001)
  set('b', 1)
  announcements.stop()
  await clock.advance(5000)
  t.equal(writes.length, 1)
})

t.test('whatever moves, the set is right within 50 ms of its last write\'s interval, and a count at rest within 2 s', async () => {
  const step = fc.record({ video: fc.nat(3), viewers: fc.oneof(fc.nat(3), fc.integer({ min: 990, max: 1010 })), wait: fc.constantFrom(0, 1, 15, 60, 300, 990, 1500) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40, size: 'max' }), async steps => {
      const { clock, held, writes, set } = announcing()
      const movedAt = new Map<string, number>()
      const setAt = new Map<string, number>()
      const check = () => {
        const told = writes.at(-1)?.videos
        for (const [video, viewers] of held) {
          if ((told?.get(video) ?? 0) !== viewers && clock.now() - movedAt.get(video)! >= 2000) throw new Error(`${video} rests at ${viewers}, ${told?.get(video)} was told`)
          if ((told?.has(video) ?? false) !== viewers > 0 && clock.now() - setAt.get(video)! > 52) throw new Error(`${video} is not told`)
        }
      }
      for (const { video, viewers, wait } of steps) {
        const name = `v${video}`
        const was = held.get(name) ?? 0
        if (was > 0 !== viewers > 0) setAt.set(name, clock.now())
        if (was !== viewers) movedAt.set(name, clock.now())
        if (was !== viewers) set(name, viewers)
        await clock.advance(wait)
        check()
      }
      await clock.advance(2000)
      check()
    }),
    { numRuns: 150 },
  )
})
