import fc from 'fast-check'
import t from 'tap'
import type { Encoding } from '../../edge/encoding.js'
import { MAX_CURSOR } from '../../protocol/id.js'
import { EdgeStage, type Question, type Seat } from '../support/edge-stage.js'
import { FakeOutlet } from '../support/fake-outlet.js'
import type { ModelStore } from '../support/model-store.js'

const VIDEOS = ['a', 'b']
const pick = fc.nat({ max: 10_000 })
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('join' as const), video: fc.nat(1), start: fc.constantFrom('now', 'recent', 'ours', 'newest', 'zero', 'foreign'), pick, encoding: fc.constantFrom<Encoding>('plain', 'gzip', 'frames', 'gzipFrames') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('stick' as const), pick }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('drain' as const), pick }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('post' as const), video: fc.nat(1), count: fc.constantFrom(1, 1, 2, 5), push: fc.constantFrom('now', 'now', 'lost', 'late', 'twice', 'hint') }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('dispatchers' as const), are: fc.constantFrom('well', 'away', 'slow', 'late', 'cut', 'forgetful', 'behind') }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(0, 1, 30, 120, 700, 2500) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(7000, 11_000, 61_000) }) },
)

interface Watching extends Seat {
  readonly start: { after?: number; recent?: number }
  readonly store: ModelStore
  left: boolean
}

/** Throws where what a viewer was sent is not each comment once and in order from its start, or a gap that names
 * exactly what was left out. */
function judge({ outlet, start, store, left }: Watching, mayFallShort: boolean): void {
  const fail = (why: string) => {
    throw new Error(`${why}: ${JSON.stringify(start)}, sent ${outlet.story.join(' ')}; the store ends at ${store.head}`)
  }
  const { ids } = store
  const next = (id: number) => ids[ids.indexOf(id) + 1]
  let place = start.after !== undefined && start.after <= store.head ? start.after : undefined
  let ready = 0
  /** Comments that it was sent, or that a gap named. */
  let told = 0
  for (const item of outlet.story) {
    if (typeof item === 'number') {
      if (place !== undefined && item !== (place === 0 ? ids[0] : next(place))) fail(`${item} does not follow ${place}`)
      place = item
      told++
    } else if (item.startsWith('ready')) {
      const id = Number(item.slice(6))
      if (++ready > 1) fail('ready twice')
      if (place !== undefined && id !== place) fail('ready names another place')
      // More, where it was blocked in the middle of them and others came meanwhile.
      if (start.recent && told < Math.min(start.recent, ids.indexOf(id) + 1) && !(mayFallShort && told === 0)) fail('not the newest few')
      place = id
    } else {
      const [from, to] = item.slice(4).split('..').map(Number)
      if (!mayFallShort) fail('a gap for nothing')
      if (from !== place || to! <= from! || !ids.includes(to!)) fail('a gap that is none')
      told += ids.indexOf(to!) - ids.indexOf(from!)
      place = to
    }
  }
  if (left || outlet.ended) return
  if (ready !== 1) fail('never ready')
  if (place !== store.head) fail('it misses the newest')
}

t.test('whatever is lost, late, cut, blocked or away, every viewer gets each comment once and in order from its start, or a gap that names what it missed', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 80, size: 'max' }), fc.nat(), async (steps, seed) => {
      let state = seed + 1
      const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647
      const stage = new EdgeStage({ dispatchers: 2, random })
      const seats: Watching[] = []
      let are = 'well'
      let mayFallShort = false
      const after = async <T>(ms: number, give: () => T) => {
        await new Promise<void>(resolve => void stage.clock.after(ms, resolve))
        return give()
      }
      const lost = () => {
        throw new Error('lost')
      }
      stage.answer = (question: Question) => {
        const now = stage.fromStores(question)
        switch (are) {
          case 'away':
            return random() < 0.5 ? lost() : after(1000, lost)
          case 'slow':
            return after(random() * 900, () => stage.fromStores(question))
          case 'late':
            return after(random() * 900, () => now)
          case 'cut':
            return question.replay ? now : question.syncs.map(sync => stage.store(sync.videoId).sync(sync, { limit: Math.floor(random() * 3) }))
          case 'forgetful':
            return question.replay ? lost() : now.filter(() => random() < 0.5)
          case 'behind': {
            // Memory that ends early, but not below an id of the question; history that ends below L.
            const { replay } = question
            if (replay) return [stage.store(replay.videoId).replay({ ...replay, until: replay.until - 10 })]
            return question.syncs.map(sync => {
              const store = stage.store(sync.videoId)
              const upTo = store.ids.find(id => id >= Math.max(1, sync.last ?? 0, sync.want ?? 0))
              return store.sync(sync, { upTo })
            })
          }
        }
        return now
      }
      for (const video of VIDEOS) stage.store(video, 3000).posts(Math.floor(random() * 60))

      const seat = (index: number) => seats.filter(({ left, outlet }) => !left && !outlet.ended)[index % Math.max(1, seats.length)]
      for (const now of steps) {
        if (now.do === 'join') {
          const videoId = VIDEOS[now.video]!
          const store = stage.store(videoId)
          const ours = store.ids[now.pick % Math.max(1, store.ids.length)] ?? 0
          const start = { now: {}, recent: { recent: 1 + (now.pick % 60) }, ours: { after: ours }, newest: { after: store.head }, zero: { after: 0, recent: 5 }, foreign: { after: MAX_CURSOR - now.pick } }[now.start]
          const outlet = new FakeOutlet(now.encoding)
          seats.push({ ...stage.join(videoId, start, outlet), start: 'after' in start ? { after: start.after } : start, store, left: false })
        } else if (now.do === 'leave') {
          const leaving = seat(now.pick)
          if (leaving) {
            leaving.left = true
            stage.edge.leave(leaving.viewer!)
          }
        } else if (now.do === 'stick') {
          const sticking = seat(now.pick)
          if (sticking) sticking.outlet.stuck = true
        } else if (now.do === 'drain') {
          const draining = seat(now.pick)
          if (draining?.outlet.blocked) stage.drain(draining)
        } else if (now.do === 'post') {
          const comments = stage.store(VIDEOS[now.video]!).posts(now.count)
          const push = () => {
            for (const comment of now.push === 'late' ? comments.reverse() : comments) stage.edge.batch({ comments: [comment], hints: [] })
          }
          if (now.push === 'hint') stage.edge.batch({ comments: [], hints: [{ videoId: VIDEOS[now.video]!, id: comments.at(-1)!.id }] })
          else if (now.push === 'late') stage.clock.after(random() * 3000, push)
          else if (now.push !== 'lost') push()
          if (now.push === 'twice') stage.clock.after(random() * 300, push)
        } else if (now.do === 'dispatchers') {
          are = now.are
          if (are === 'away' || are === 'forgetful' || are === 'behind') mayFallShort = true
        } else await stage.clock.advance(now.ms)
      }

      are = 'well'
      for (const each of seats) {
        each.outlet.stuck = false
        if (!each.left && each.outlet.blocked && !each.outlet.ended) stage.drain(each)
      }
      await stage.clock.advance(15_000)
      for (const each of seats) judge(each, mayFallShort)
      const asked = stage.questions.length
      await stage.clock.advance(10_000)
      if (stage.questions.length - asked > 2 * 6) throw new Error(`${stage.questions.length - asked} questions in 10 s of rest`)
      stage.edge.stop()
    }),
    { numRuns: 200 },
  )
})
