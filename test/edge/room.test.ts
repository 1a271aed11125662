import { Registry } from 'prom-client'
import t from 'tap'
import type { Encoding } from '../../edge/encoding.js'
import { EdgeMetrics } from '../../edge/metrics.js'
import { Pace } from '../../runtime/fan-out/pace.js'
import { Pacer } from '../../runtime/fan-out/pacer.js'
import { ReplayBudget } from '../../edge/replay-buffer.js'
import { Room } from '../../edge/room.js'
import type { Start, Viewer } from '../../edge/viewer.js'
import type { Comment } from '../../protocol/comment.js'
import { DEFAULT_STATE, type VideoState } from '../../protocol/entry.js'
import type { ReplayRequest, RoomAnswer, SyncRequest } from '../../protocol/wire.js'
import { FakeClock } from '../support/fake-clock.js'
import { FakeOutlet } from '../support/fake-outlet.js'
import { ModelStore } from '../support/model-store.js'

/** A clock on which work takes time, too. */
class BusyClock extends FakeClock {
  #spent = 0

  override now(): number {
    return super.now() + this.#spent
  }

  spend(ms: number): void {
    this.#spent += ms
  }
}

/** A room, its store, and the time. Syncs happen when a test says so. */
class Stage {
  readonly clock = new BusyClock()
  readonly store: ModelStore
  readonly metrics = new EdgeMetrics(new Registry())
  readonly budget: ReplayBudget
  readonly replays: ReplayRequest[] = []
  readonly blocked = new Set<Viewer>()
  /** How history answers. */
  history: (request: ReplayRequest) => RoomAnswer | Promise<RoomAnswer> = request => this.store.replay(request)
  /** Whether the room asked for a sync since the last one. */
  needy = false
  readonly room: Room

  /** @param size of a comment's text, characters of two bytes */
  constructor({ ringBytes = 1_000_000, size = 1 } = {}) {
    this.store = new ModelStore('v', size)
    this.budget = new ReplayBudget(ringBytes)
    this.room = new Room('v', {
      clock: this.clock,
      metrics: this.metrics,
      budget: this.budget,
      pacer: new Pacer(this.clock),
      gzip: { level: 6, minViewers: 4 },
      pieceBytes: 64 * 1024,
      replay: async request => {
        this.replays.push(request)
        return this.history(request)
      },
      restarted: () => {},
      needsSync: () => void (this.needy = true),
      blocked: this.blocked,
    })
  }

  /** A room that is open, with `comments` in the store before it and nobody there. */
  static async open(comments = 0, options = {}): Promise<Stage> {
    const stage = new Stage(options)
    stage.store.posts(comments)
    stage.join() // someone who stays
    stage.sync()
    await stage.clock.advance(0)
    return stage
  }

  ask(): SyncRequest {
    this.needy = false
    return this.room.syncRequest()
  }

  sync(options?: Parameters<ModelStore['sync']>[1]): void {
    const request = this.ask()
    this.room.synced(request, this.store.sync(request, options))
  }

  join(start: Start = {}, encoding: Encoding = 'plain'): { viewer: Viewer; outlet: FakeOutlet } {
    const outlet = new FakeOutlet(encoding)
    return { viewer: this.room.join(start, outlet), outlet }
  }

  drain({ viewer, outlet }: { viewer: Viewer; outlet: FakeOutlet }): void {
    outlet.drain()
    this.room.drained(viewer)
  }

  /** Comments stored, pushed and flushed. */
  async push(count: number): Promise<void> {
    for (const comment of this.store.posts(count)) this.room.deliver(comment)
    await this.clock.advance(0)
  }

  /** A tick of the wheel each second. */
  async seconds(count: number): Promise<void> {
    for (let i = 0; i < count; i++) {
      await this.clock.advance(1000)
      this.room.tick()
      await this.clock.advance(0)
    }
  }
}

for (const encoding of ['plain', 'gzip', 'frames', 'gzipFrames'] as const) {
  t.test(`as ${encoding}`, async t => {
    t.test('rule 8: a newcomer joins at L: ready, then live', async t => {
      const stage = await Stage.open(3)
      const { outlet } = stage.join({}, encoding)
      t.same(outlet.story, ['ready 30'])
      t.same(JSON.parse(outlet.of('ready')[0]!.data), { videoId: 'v', viewers: 2 })
      await stage.push(2)
      t.same(outlet.story, ['ready 30', 40, 50])
      if (encoding.endsWith('rames')) t.same(outlet.frameIds, [30, 50])
    })

    t.test('a viewer of an empty video is ready at 0', async t => {
      const stage = await Stage.open(0)
      const { outlet } = stage.join({}, encoding)
      t.same(outlet.story, ['ready 0'])
      const { outlet: recent } = stage.join({ recent: 50 }, encoding)
      t.same(recent.story, ['ready 0'])
      t.same(stage.replays, [])
    })

    t.test('a room that is ahead of a store that was put back begins anew below, and a gap says so to everyone', async t => {
      const stage = await Stage.open(3)
      const live = stage.join({}, encoding)
      const blocked = stage.join({}, encoding)
      await stage.push(2)
      blocked.outlet.stuck = true
      await stage.push(1)
      stage.store.comments.splice(2) // 10 and 20 are left
      stage.sync()
      await stage.clock.advance(200)
      t.same(live.outlet.story.filter(each => each !== 'viewers'), ['ready 30', 40, 50, 60, 'gap 60..20'])
      await stage.push(2)
      await stage.clock.advance(200)
      t.same(live.outlet.story.filter(each => each !== 'viewers').slice(-2), [30, 40], 'what is new has ids that are lower')
      stage.drain(blocked)
      const story = blocked.outlet.story.filter(each => each !== 'viewers')
      t.match(story.at(-3), /^gap \d0\.\.20$/)
      t.same(story.slice(-2), [30, 40])
      t.same(stage.join({ after: 20 }, encoding).outlet.story, [30, 40, 'ready 40'])
    })

    t.test('rule 8: the last few come from the buffer where it has them, in one write with ready', async t => {
      const stage = await Stage.open(3)
      await stage.push(5)
      const { outlet } = stage.join({ recent: 4 }, encoding)
      t.same(outlet.story, [50, 60, 70, 80, 'ready 80'])
      t.equal(outlet.writes.length, 1)
      t.same(stage.replays, [])
    })

    t.test('rule 8: the last few come from history where the buffer is too short, cut at L', async t => {
      const stage = await Stage.open(10)
      await stage.push(1)
      const { outlet } = stage.join({ recent: 4 }, encoding)
      t.same(outlet.story, [])
      const [, late] = [stage.store.post(), stage.store.post()] // in the store, not here
      t.equal(late.id, 130)
      await stage.clock.advance(0)
      t.same(stage.replays, [{ videoId: 'v', after: 0, until: 110, limit: 4 }])
      t.same(outlet.story, [80, 90, 100, 110, 'ready 110'])
    })

    t.test('a newcomer that asks for more than there is gets all there is', async t => {
      const stage = await Stage.open(3)
      const { outlet } = stage.join({ recent: 50 }, encoding)
      await stage.clock.advance(0)
      t.same(outlet.story, [10, 20, 30, 'ready 30'])
    })

    t.test('rule 8: what follows a cursor comes from the buffer', async t => {
      const stage = await Stage.open(3)
      await stage.push(5)
      const { outlet } = stage.join({ after: 50, recent: 200 }, encoding)
      t.same(outlet.story, [60, 70, 80, 'ready 80'])
      t.same(stage.replays, [])
      const { outlet: current } = stage.join({ after: 80 }, encoding)
      t.same(current.story, ['ready 80'])
    })

    t.test('rule 8: a viewer that waits for history is not live; at L it catches up with what was flushed meanwhile', async t => {
      const stage = await Stage.open(10)
      let answer: (() => void) | undefined
      stage.history = request => new Promise(resolve => (answer = () => resolve(stage.store.replay(request))))
      const { outlet } = stage.join({ after: 70 }, encoding)
      await stage.push(2)
      t.same(stage.replays, [{ videoId: 'v', after: 70, until: 100, limit: 1000 }])
      t.same(outlet.story, [])
      answer!()
      await stage.clock.advance(0)
      t.same(outlet.story, [80, 90, 100, 110, 120, 'ready 120'])
      await stage.push(1)
      t.same(outlet.story.slice(-2), ['ready 120', 130])
      // The buffer keeps what was read.
      t.same(stage.join({ after: 70 }, encoding).outlet.story, [80, 90, 100, 110, 120, 130, 'ready 130'])
      t.equal(stage.replays.length, 1)
    })

    t.test('rule 8: more than 1,000 missed: a gap that names the rest, and the newest 1,000, from history and from the buffer', async t => {
      const stage = await Stage.open(1500)
      const { outlet } = stage.join({ after: 20 }, encoding)
      await stage.clock.advance(0)
      const newest = stage.store.ids.slice(-1000)
      t.same(outlet.story, [`gap 20..${newest[0]! - 1}`, ...newest, 'ready 15000'])
      t.same(outlet.of('gap')[0]!.id, String(newest[0]! - 1))
      await stage.push(10)
      const again = stage.join({ after: 20 }, encoding)
      t.same(again.outlet.story, ['gap 20..5100', ...stage.store.ids.slice(-1000), 'ready 15100'])
      t.equal(stage.replays.length, 1)
    })

    t.test('rule 8: history short of L for 10 s: a gap, and the viewer joins at L', async t => {
      const stage = await Stage.open(10)
      stage.history = () => Promise.reject(new Error('nobody answers'))
      const { outlet } = stage.join({ after: 70 }, encoding)
      const newcomer = stage.join({ recent: 5 }, encoding)
      await stage.seconds(9)
      t.same(outlet.story, [])
      await stage.seconds(2)
      t.same(outlet.story, ['gap 70..100', 'ready 100'])
      t.same(newcomer.outlet.story, ['ready 100'])
      await stage.push(1)
      t.same(outlet.story, ['gap 70..100', 'ready 100', 110])
      t.same(newcomer.outlet.story, ['ready 100', 110])
    })

    t.test('rule 9: a viewer whose cursor is above L waits, and joins at the flush that reaches it, cut for it alone', async t => {
      const stage = await Stage.open(3)
      const [first, second, third] = stage.store.posts(3) // not pushed here yet
      const { outlet } = stage.join({ after: second!.id }, encoding)
      const below = stage.join({ after: 10 }, encoding)
      t.equal(stage.needy, true)
      t.same(stage.ask(), { videoId: 'v', last: 30, want: 50 })
      await stage.clock.advance(100)
      t.same(outlet.story, [])
      stage.room.deliver(first!)
      await stage.clock.advance(0)
      t.same(outlet.story, [], 'not at a flush that does not reach it')
      stage.room.deliver(second!)
      stage.room.deliver(third!)
      await stage.clock.advance(0)
      t.same(outlet.story, [60, 'ready 60'])
      t.same(below.outlet.ids, [20, 30, 40, 50, 60])
      await stage.push(1)
      t.same(outlet.story, [60, 'ready 60', 70])
    })

    t.test('rule 9: a cursor above the store\'s head is not ours: the viewer joins at L', async t => {
      const stage = await Stage.open(3)
      const { outlet } = stage.join({ after: 1_000_000 }, encoding)
      const ours = stage.join({ after: stage.store.post().id }, encoding)
      stage.sync({ upTo: 40 })
      await stage.clock.advance(0)
      t.same(outlet.story, [], 'memory cannot say that')
      t.same(ours.outlet.story, ['ready 40'])
      stage.sync()
      t.same(outlet.story, ['ready 40'])
      t.equal(stage.room.chain.behind, false)
      await stage.push(1)
      t.same(outlet.story, ['ready 40', 50])
    })

    t.test('rule 10: a viewer that is blocked gets nothing, and catches up in one write when it drains', async t => {
      const stage = await Stage.open(3)
      const slow = stage.join({}, encoding)
      const quick = stage.join({}, encoding)
      slow.outlet.stuck = true
      await stage.push(1)
      await stage.push(1)
      await stage.push(1)
      t.same(slow.outlet.story, ['ready 30', 40])
      t.same(quick.outlet.story, ['ready 30', 40, 50, 60])
      stage.drain(slow)
      t.same(slow.outlet.story, ['ready 30', 40, 50, 60])
      t.equal(slow.outlet.writes.length, 3)
      await stage.push(1)
      t.same(slow.outlet.ids, [40, 50, 60, 70])
    })

    t.test('rule 10: a long catch-up is written in pieces, each when the last was taken', async t => {
      const stage = await Stage.open(3, { size: 992 })
      const slow = stage.join({}, encoding)
      slow.outlet.stuck = true
      await stage.push(1)
      await stage.push(90)
      const pieces: number[] = []
      do {
        const before = slow.outlet.ids.length
        slow.outlet.drain()
        slow.outlet.stuck = true
        stage.room.drained(slow.viewer)
        await stage.clock.advance(0)
        pieces.push(slow.outlet.ids.length - before)
      } while (pieces.at(-1)! > 0)
      t.same(pieces, [32, 32, 26, 0], 'of 64 KB')
      t.same(slow.outlet.ids, stage.store.ids.slice(3))
    })

    t.test('rule 10: one that was blocked for longer than the buffer reaches gets the rest from history, or a gap', async t => {
      const stage = await Stage.open(3)
      const slow = stage.join({}, encoding)
      slow.outlet.stuck = true
      await stage.push(1)
      await stage.push(1500)
      stage.drain(slow)
      await stage.clock.advance(0)
      const newest = stage.store.ids.slice(-1000)
      t.same(slow.outlet.story, ['ready 30', 40, `gap 40..${newest[0]! - 10}`, ...newest])
    })
  })
}

t.test('rule 6: a pushed comment that does not follow is held back until a sync has filled the hole, and a hint is a hole', async t => {
  const stage = await Stage.open(3)
  const { outlet } = stage.join()
  const [, second] = stage.store.posts(2)
  stage.room.deliver(second!)
  await stage.clock.advance(0)
  t.same(outlet.ids, [])
  t.equal(stage.needy, true)
  stage.sync()
  await stage.clock.advance(0)
  t.same(outlet.ids, [40, 50])
  const duplicates = async () => (await stage.metrics.duplicates.get()).values[0]!.value
  t.equal(await duplicates(), 0)
  stage.room.deliver(second!)
  await stage.clock.advance(0)
  t.same(outlet.ids, [40, 50])
  t.equal(await duplicates(), 1)
  stage.room.hint(50)
  t.equal(stage.needy, false)
  stage.room.hint(stage.store.post().id)
  t.equal(stage.needy, true)
})

t.test('rule 6: a pushed comment that follows needs no sync', async t => {
  const stage = await Stage.open(3)
  await stage.push(2)
  t.equal(stage.needy, false)
})

t.test('what a sync brings after the opening is counted as repaired', async t => {
  const stage = await Stage.open(3)
  const repaired = async () => (await stage.metrics.repaired.get()).values[0]!.value
  t.equal(await repaired(), 0)
  stage.store.posts(2)
  stage.sync()
  t.equal(await repaired(), 2)
})

t.test('rule 7: viewers that come before the room is open wait, heartbeats going on, and join when the sync says where the video stands', async t => {
  const stage = new Stage()
  stage.store.posts(5)
  const newcomer = stage.join()
  const back = stage.join({ after: 30 }, 'frames')
  const further = stage.join({ after: 20 })
  stage.room.deliver(stage.store.post())
  t.equal(stage.needy, true)
  await stage.seconds(21)
  t.same(newcomer.outlet.story, [])
  t.equal(newcomer.outlet.heartbeats, 2)
  t.equal(back.outlet.heartbeats, 2)
  const request = stage.ask()
  t.same(request, { videoId: 'v', last: 20, want: 60 }, 'from the furthest back: its answer is everyone\'s replay')
  stage.room.synced(request, stage.store.sync(request))
  await stage.clock.advance(0)
  t.same(newcomer.outlet.story, ['ready 60'])
  t.same(back.outlet.story, [40, 50, 60, 'ready 60'])
  t.same(further.outlet.story, [30, 40, 50, 60, 'ready 60'])
  t.same(stage.replays, [])
})

t.test('a viewer whose socket was blocked when the room opened, or when its cursor was reached, catches up when it drains', async t => {
  const stage = new Stage()
  stage.store.posts(5)
  const early = stage.join({ after: 30 })
  early.outlet.stuck = true
  await stage.seconds(10)
  t.equal(early.outlet.blocked, true, 'by a heartbeat')
  stage.sync()
  t.same(early.outlet.story, [])
  stage.drain(early)
  t.same(early.outlet.story, [40, 50, 'ready 50'])

  const ahead = stage.join({ after: 60 })
  const foreign = stage.join({ after: 6000 })
  for (const { outlet } of [ahead, foreign]) outlet.stuck = true
  await stage.seconds(10)
  await stage.push(1)
  stage.sync()
  for (const each of [ahead, foreign]) {
    t.same(each.outlet.story, [])
    stage.drain(each)
    t.same(each.outlet.story, ['ready 60'])
  }
  await stage.push(1)
  for (const { outlet } of [early, ahead, foreign]) t.same(outlet.story.at(-1), 70)
})

t.test('rule 10: a viewer whose socket was blocked while it waited is sent nothing by the flushes that follow', async t => {
  const opening = async (stage: Stage) => {
    const seat = stage.join({ after: 80 })
    seat.outlet.stuck = true
    await stage.seconds(10)
    stage.sync()
    return seat
  }
  const ahead = async (stage: Stage) => {
    stage.join()
    stage.sync()
    const seat = stage.join({ after: 110 })
    seat.outlet.stuck = true
    await stage.seconds(10)
    await stage.push(1)
    return seat
  }
  const replaying = async (stage: Stage) => {
    let answer: (() => void) | undefined
    stage.history = request => new Promise(resolve => (answer = () => resolve(stage.store.replay(request))))
    const seat = stage.join({ after: 90 })
    await stage.seconds(5)
    stage.sync({ limit: 0 })
    seat.outlet.stuck = true
    await stage.seconds(5)
    answer!()
    await stage.clock.advance(0)
    return seat
  }
  for (const wait of [opening, ahead, replaying]) {
    const stage = new Stage()
    stage.store.posts(10)
    const seat = await wait(stage)
    t.equal(seat.outlet.blocked, true, `${wait.name}: by a heartbeat`)
    t.equal(seat.viewer.state.kind, 'live')
    await stage.push(1)
    t.same(seat.outlet.story, [])
    t.same([...stage.blocked], [seat.viewer])
    stage.drain(seat)
    t.same(seat.outlet.story.slice(-2), [stage.store.head, `ready ${stage.store.head}`])
    t.equal(stage.blocked.size, 0)
  }
})

t.test('a viewer that waits, and whose socket was blocked, waits on when it drains', async t => {
  const stage = new Stage()
  stage.store.posts(3)
  const opening = stage.join()
  opening.outlet.stuck = true
  await stage.seconds(10)
  t.equal(opening.outlet.blocked, true, 'by a heartbeat')
  stage.drain(opening)
  t.same(opening.outlet.story, [])
  stage.sync()
  t.same(opening.outlet.story, ['ready 30'])

  const ahead = stage.join({ after: 40 })
  ahead.outlet.stuck = true
  await stage.seconds(10)
  t.equal(ahead.outlet.blocked, true, 'by a heartbeat')
  stage.drain(ahead)
  t.same(ahead.outlet.story, [])
  await stage.push(2)
  t.same(ahead.outlet.story, [50, 'ready 50'])
})

t.test('rule 9: an answer to a question asked before a viewer came does not judge its cursor', async t => {
  const stage = await Stage.open(3)
  const foreign = stage.join({ after: 1_000_000 })
  const request = stage.ask()
  const answer = stage.store.sync(request)
  const { id } = stage.store.post() // seen on another edge
  const ours = stage.join({ after: id })
  stage.room.synced(request, answer)
  t.same(foreign.outlet.story, ['ready 30'])
  t.same(ours.outlet.story, [])
  stage.sync()
  await stage.clock.advance(0)
  t.same(ours.outlet.story, ['ready 40'], 'not 40 a second time')
})

t.test('rule 9: a cursor that is refused after the room began anew joins at L, and is told of no gap', async t => {
  const stage = await Stage.open(5)
  stage.store.comments.splice(2) // a backup was put back
  const asked = stage.ask()
  const { outlet } = stage.join({ after: 900 })
  stage.room.synced(asked, stage.store.sync(asked))
  await stage.push(1)
  await stage.clock.advance(200)
  t.same(outlet.story, [])
  stage.sync()
  t.same(outlet.story, ['ready 30'])
})

t.test('rule 9: an answer that was cut does not judge a cursor', async t => {
  const stage = await Stage.open(3)
  const [first, second] = stage.store.posts(2)
  const { outlet } = stage.join({ after: second!.id })
  const request = stage.ask()
  stage.room.synced(request, { ...stage.store.sync(request, { limit: 1 }), head: first!.id })
  await stage.clock.advance(0)
  t.same(outlet.story, [])
  stage.sync()
  await stage.clock.advance(0)
  t.same(outlet.story, ['ready 50'])
})

t.test('viewers that wait for a cursor or for history are sent heartbeats', async t => {
  const stage = new Stage()
  stage.store.posts(10)
  stage.history = () => new Promise(() => {})
  const replaying = stage.join({ after: 10 }, 'frames')
  await stage.seconds(5)
  stage.sync({ limit: 1 }) // cut: it has to wait for history, too
  const ahead = stage.join({ after: 500 }, 'frames')
  await stage.seconds(5)
  t.equal(replaying.outlet.heartbeats, 1)
  t.equal(ahead.outlet.heartbeats, 0)
  await stage.seconds(5)
  t.equal(ahead.outlet.heartbeats, 1)
  t.same(ahead.outlet.frameIds, [0])
})

t.test('one that has to wait for history again is sent heartbeats from then on', async t => {
  const stage = await Stage.open(3, { ringBytes: 1 })
  stage.history = () => new Promise(() => {})
  const { viewer, outlet } = stage.join()
  outlet.stuck = true
  await stage.push(1)
  await stage.push(1)
  outlet.drain()
  stage.room.drained(viewer)
  t.equal(viewer.state.kind, 'replaying')
  await stage.seconds(9)
  t.equal(outlet.heartbeats, 0)
})

t.test('one question serves all that wait for history, and one that left or is blocked is not written to', async t => {
  const stage = new Stage()
  stage.store.posts(100)
  let answer: (() => void) | undefined
  stage.history = request => new Promise(resolve => (answer = () => resolve(stage.store.replay(request))))
  const [a, b, left, blocked] = [{ after: 500 }, { recent: 20 }, { after: 900 }, { after: 970 }].map(start => stage.join(start))
  blocked!.outlet.stuck = true
  await stage.seconds(9)
  stage.sync({ limit: 1 }) // cut: they have to wait for history, too
  await stage.seconds(1)
  t.equal(blocked!.outlet.blocked, true, 'by a heartbeat')
  stage.room.leave(left!.viewer)
  answer!()
  await stage.clock.advance(0)
  t.equal(stage.replays.length, 1)
  t.same(a!.outlet.ids.length, 50)
  t.same(b!.outlet.ids.length, 20)
  t.same(left!.outlet.story, [])
  t.same(blocked!.outlet.story, [])
  stage.drain(blocked!)
  t.same(blocked!.outlet.story, [980, 990, 1000, 'ready 1000'])
})

t.test('a buffer that others pushed out is no reason to miss anything', async t => {
  const stage = await Stage.open(3, { ringBytes: 1 })
  const viewers = [stage.join(), stage.join({}, 'frames')]
  await stage.push(3)
  const late = stage.join({ after: 40 })
  await stage.clock.advance(0)
  t.same(late.outlet.story, [50, 60, 'ready 60'])
  for (const { outlet } of viewers) t.same(outlet.ids, [40, 50, 60])
})

t.test('rule 8: a viewer is given up after 10 s, however often the room flushes meanwhile', async t => {
  const stage = await Stage.open(10)
  stage.history = () => Promise.reject(new Error('nobody answers'))
  const { outlet } = stage.join({ after: 70 })
  for (let i = 0; i < 10; i++) {
    t.same(outlet.story, [])
    await stage.push(1)
    await stage.seconds(1)
  }
  t.same(outlet.story, ['gap 70..200', 'ready 200'])
})

t.test('rule 8: history that the buffer has run away from is not used, and is asked for again', async t => {
  const stage = await Stage.open(10, { ringBytes: 1 })
  let answer: (() => void) | undefined
  stage.history = request => new Promise(resolve => (answer = () => resolve(stage.store.replay(request))))
  const { outlet } = stage.join({ after: 70 })
  await stage.push(2)
  answer!() // (70, 100]; the buffer begins after 120
  await stage.clock.advance(0)
  t.same(outlet.story, [])
  t.equal(stage.replays.length, 1, 'not at once')
  await stage.clock.advance(250)
  answer!()
  await stage.clock.advance(0)
  t.same(stage.replays.map(({ after, until }) => [after, until]), [[70, 100], [70, 120]])
  t.same(outlet.story, [80, 90, 100, 110, 120, 'ready 120'])
})

t.test('viewers are told how many watch: at most once a second when it changed, at least every 15 s', async t => {
  const stage = await Stage.open(0)
  const { outlet } = stage.join()
  const counts = () => outlet.of('viewers').map(({ data }) => (JSON.parse(data) as { viewers: number }).viewers)
  await stage.seconds(1)
  t.same(counts(), [2])
  const others = Array.from({ length: 5 }, () => stage.join())
  stage.room.tick()
  await stage.clock.advance(500)
  t.same(counts(), [2], 'not twice in a second')
  await stage.seconds(1)
  t.same(counts(), [2, 7])
  stage.sync({ others: 100 })
  for (const { viewer } of others) stage.room.leave(viewer)
  await stage.seconds(1)
  t.same(counts(), [2, 7, 102])
  let quiet = 0
  for (let i = 0; i < 60; i++) {
    const before = counts().length
    await stage.clock.advance(3) // the wheel is never quite on time
    await stage.seconds(1)
    quiet = counts().length > before ? 0 : quiet + 1003
    if (quiet > 14_000) t.fail(`${quiet} ms without a word`)
  }
  t.same(new Set(counts().slice(3)), new Set([102]))
  t.ok(counts().length <= 3 + 5)
  t.notOk(outlet.of('viewers').some(({ id }) => id !== '0'), 'it moves no cursor')
})

t.test('viewers are not told how many watch twice in a second, although comments are flushed', async t => {
  const stage = await Stage.open(0)
  const { outlet } = stage.join()
  await stage.seconds(1)
  t.equal(outlet.of('viewers').length, 1)
  stage.join()
  stage.room.tick()
  await stage.push(1)
  t.equal(outlet.of('viewers').length, 1)
  await stage.seconds(1)
  t.equal(outlet.of('viewers').length, 2)
})

t.test('where no comment is flushed, a change of how many watch waits a millisecond for each viewer', async t => {
  const stage = await Stage.open(0)
  const { outlet } = stage.join()
  for (let i = 0; i < 1_500; i++) stage.join()
  await stage.seconds(2)
  t.equal(outlet.of('viewers').length, 1)
  stage.join()
  await stage.seconds(1)
  t.equal(outlet.of('viewers').length, 1)
  await stage.seconds(1)
  t.equal(outlet.of('viewers').length, 2)
  stage.join()
  await stage.seconds(1)
  await stage.push(1)
  t.equal(outlet.of('viewers').length, 3, 'it goes with a comment')
})

t.test('one encoding a flush: every viewer of an encoding is given the same bytes', async t => {
  const stage = await Stage.open(0)
  const plain = [stage.join(), stage.join(), stage.join()]
  const frames = [stage.join({}, 'frames'), stage.join({}, 'frames')]
  await stage.push(3)
  for (const viewers of [plain, frames]) {
    t.equal(new Set(viewers.map(({ outlet }) => outlet.writes.at(-1))).size, 1)
    for (const { outlet } of viewers) t.equal(outlet.writes.length, 2)
  }
})

t.test('a flush is compressed where the room has viewers enough', async t => {
  const stage = await Stage.open(0, { size: 1_000 })
  const { outlet } = stage.join({}, 'gzip')
  stage.join()
  await stage.push(1)
  t.ok(outlet.writes.at(-1)!.length > 2_000, 'three viewers')
  stage.join()
  await stage.push(1)
  t.ok(outlet.writes.at(-1)!.length < 200, 'four')
})

t.test('what is written is counted: a write for each viewer, and in it each comment', async t => {
  const stage = await Stage.open(0)
  stage.join()
  for (const comment of stage.store.posts(3)) stage.room.deliver(comment)
  await stage.clock.advance(0)
  const { writes, deliveries } = stage.metrics
  t.same([(await writes.get()).values[0]!.value, (await deliveries.get()).values[0]!.value], [2, 6])
})

t.test('a quiet room flushes at once; then comments gather for as long as its pace says', async t => {
  const stage = await Stage.open(0)
  const { outlet } = stage.join()
  const costMs = 40
  const write = outlet.write.bind(outlet)
  outlet.write = bytes => {
    stage.clock.spend(costMs)
    return write(bytes)
  }
  const restMs = new Pace().interval(costMs, costMs) - costMs
  await stage.push(1)
  t.same(outlet.ids, [10])
  await stage.push(1)
  await stage.clock.advance(Math.floor(restMs))
  t.same(outlet.ids, [10])
  await stage.push(1)
  await stage.clock.advance(1)
  t.same(outlet.ids, [10, 20, 30])
  t.equal(outlet.writes.length, 3)
})

t.test('a comment that comes during a flush gathers as long as its pace says, too', async t => {
  const stage = await Stage.open(0)
  await stage.clock.advance(10_000)
  const { outlet } = stage.join()
  const costMs = 40
  const write = outlet.write.bind(outlet)
  outlet.write = bytes => {
    outlet.write = write
    stage.clock.spend(costMs)
    stage.room.deliver(stage.store.post())
    return write(bytes)
  }
  const restMs = new Pace().interval(costMs, costMs) - costMs
  await stage.push(1)
  await stage.clock.advance(Math.floor(restMs))
  t.same(outlet.ids, [10])
  await stage.clock.advance(1)
  t.same(outlet.ids, [10, 20])
})

t.test('a long flush is cut in slices; who joins, leaves, blocks or drains between them gets each comment once', async t => {
  const stage = await Stage.open(3)
  const viewers = Array.from({ length: 200 }, (_, i) => stage.join({}, i % 2 ? 'frames' : 'plain'))
  const drains = viewers[180]!
  drains.outlet.stuck = true
  await stage.push(1)
  const joined: ReturnType<Stage['join']>[] = []
  const slices: number[] = []
  let written = 0
  for (const { outlet } of viewers) {
    const write = outlet.write.bind(outlet)
    outlet.write = bytes => {
      stage.clock.spend(0.1)
      if (written++ === 10) {
        // Runs before the second slice.
        stage.clock.soon(() => {
          slices.push(written)
          joined.push(stage.join(), stage.join({ after: 40 }, 'frames'), stage.join({ after: 50 }), stage.join({ after: 60 }))
          stage.room.leave(viewers[150]!.viewer)
          stage.drain(drains)
          for (const comment of stage.store.posts(1)) stage.room.deliver(comment)
        })
      }
      return write(bytes)
    }
  }
  await stage.push(1)
  await stage.clock.advance(200)
  t.ok(slices[0]! < 100, 'in the middle of the flush')
  viewers.forEach(({ outlet }, i) => {
    const expected = i === 150 ? ['ready 30', 40] : ['ready 30', 40, 50, 60]
    if (String(outlet.story) !== String(expected)) t.same(outlet.story, expected, `viewer ${i}`)
  })
  t.same(joined.map(({ outlet }) => outlet.story), [['ready 50', 60], [50, 'ready 50', 60], ['ready 50', 60], ['ready 60']])
  const flushes = (await stage.metrics.flushSeconds.get()).values.find(({ metricName }) => metricName?.endsWith('_count'))
  t.equal(flushes?.value, 3)
})

t.test('a flush looks at the clock at each 64th viewer, and pauses only where its slice is over', async t => {
  for (const { costMs, inFirst } of [{ costMs: 0, inFirst: 200 }, { costMs: 0.1, inFirst: 63 }]) {
    const stage = await Stage.open(0) // one is here
    let written = 0
    let first: number | undefined
    for (let i = 0; i < 200; i++) {
      const { outlet } = stage.join()
      const write = outlet.write.bind(outlet)
      outlet.write = bytes => {
        stage.clock.spend(costMs)
        if (written++ === 0) stage.clock.soon(() => (first = written)) // runs before the second slice
        return write(bytes)
      }
    }
    await stage.push(1)
    t.equal(first, inFirst, `${costMs} ms a viewer`)
    t.equal(written, 200)
  }
})

t.test('a room that was empty for a while asks anew; a late answer to an old question opens nothing', async t => {
  const stage = await Stage.open(3)
  const [stays] = stage.room.viewers
  await stage.push(2)
  const stale = stage.ask()
  const staleAnswer = stage.store.sync(stale)
  stage.room.leave(stays!)
  t.equal(stage.room.emptySince, stage.clock.now())
  stage.store.posts(3) // while nobody was here to be pushed to
  const newcomer = stage.join()
  const back = stage.join({ after: 40 })
  t.equal(stage.needy, true)
  stage.needy = false
  stage.room.synced(stale, staleAnswer)
  await stage.clock.advance(0)
  t.same(newcomer.outlet.story, [])
  t.equal(stage.needy, true)
  stage.sync()
  await stage.clock.advance(0)
  t.same(newcomer.outlet.story, ['ready 80'])
  t.same(back.outlet.story, [50, 60, 70, 80, 'ready 80'])
  t.same(stage.replays, [], 'the buffer was kept')
  t.equal(stage.room.emptySince, undefined)
})

t.test('a room that was empty for a while asks from where it was: its buffer serves whoever comes next', async t => {
  const stage = await Stage.open(3)
  await stage.push(2)
  stage.room.leave([...stage.room.viewers][0]!)
  stage.store.post()
  const { outlet } = stage.join({ recent: 3 })
  stage.sync()
  await stage.clock.advance(0)
  t.same(outlet.story, [40, 50, 60, 'ready 60'])
  t.same(stage.replays, [])
})

t.test('a room that is dropped gives its share of the budget back', async t => {
  const stage = await Stage.open(3)
  await stage.push(2)
  t.ok(stage.budget.bytes > 0)
  stage.room.drop()
  t.equal(stage.budget.bytes, 0)
})

t.test('rule 9: a cursor that a long flush reaches is not refused by an answer that was read before it', async t => {
  const stage = await Stage.open(3)
  const { outlet: slow } = stage.join()
  const many = Array.from({ length: 100 }, () => stage.join().outlet)
  const late = stage.join({ after: 35 }) // somebody else's cursor, that the next comment passes
  const asked = stage.ask()
  const answer = stage.store.sync(asked)
  for (const outlet of [slow, ...many]) {
    const write = outlet.write.bind(outlet)
    outlet.write = bytes => {
      stage.clock.spend(0.1)
      return write(bytes)
    }
  }
  const write = slow.write.bind(slow)
  slow.write = bytes => {
    stage.clock.soon(() => stage.room.synced(asked, answer)) // between two slices
    return write(bytes)
  }
  await stage.push(1)
  await stage.clock.advance(200)
  t.same(late.outlet.story, [40, 'ready 40'])
})

t.test('a comment that is deleted between two flushes is written to nobody', async t => {
  const stage = await Stage.open(1)
  const { outlet } = stage.join()
  const target = stage.store.post()
  for (const entry of [target, stage.store.act({ type: 'deleted', target: target.id })]) stage.room.deliver(entry)
  await stage.clock.advance(0)
  t.same(outlet.ids, [])
  t.same(outlet.of('deleted').map(({ id, data }) => [id, data]), [['20', '{"target":"20"}'], ['30', '{"target":"20"}']])
})

t.test('whoever comes after a deletion is replayed a tombstone, from the buffer and from history that was read before it', async t => {
  const stage = await Stage.open(2)
  await stage.push(3) // 30, 40, 50
  const { outlet: seen } = stage.join({ after: 30 }, 'plain')
  t.same(seen.ids, [40, 50], 'encoded once for all who lack the same')
  let answer = (): void => {}
  stage.history = request => new Promise(resolve => {
    const read = stage.store.replay(request)
    answer = () => resolve(read)
  })
  const { outlet: late } = stage.join({ after: 10 })
  stage.room.deliver(stage.store.act({ type: 'deleted', target: 20 }))
  stage.room.deliver(stage.store.act({ type: 'deleted', target: 40 }))
  await stage.clock.advance(0)
  answer()
  await stage.clock.advance(0)
  const { outlet: fresh } = stage.join({ after: 30 })
  for (const [outlet, what] of [[late, 'from history'], [fresh, 'from the buffer']] as const) {
    t.same(outlet.ids, what === 'from history' ? [30, 50] : [50], what)
    t.match(outlet.of('deleted').map(({ id }) => Number(id)), what === 'from history' ? [20, 40, 60, 70] : [40, 60, 70], what)
  }
})

t.test('recent counts comments, and asks history for more where acts are among the newest', async t => {
  const stage = new Stage()
  stage.store.posts(5)
  for (let i = 0; i < 4; i++) stage.store.act({ type: 'author-banned', authorId: 'bob', until: i })
  stage.join()
  stage.sync()
  await stage.clock.advance(0)
  const { outlet } = stage.join({ recent: 3 })
  await stage.clock.advance(0)
  t.same(stage.replays.map(({ limit }) => limit), [3, 1_000])
  t.same(outlet.story, [30, 40, 50, 'ready 90'])
  const { outlet: next } = stage.join({ recent: 2 })
  t.same(next.story, [40, 50, 'ready 90'], 'from the buffer, which has them now')
})

t.test('ready says how the video is set and what is pinned, as a sync and the acts since have it', async t => {
  const stage = await Stage.open(1)
  const ready = () => JSON.parse(stage.join().outlet.of('ready')[0]!.data) as Record<string, unknown>
  t.same(Object.keys(ready()), ['videoId', 'viewers'], 'nothing where nobody has said')
  const settings = { slowModeSeconds: 5, closed: false, signedInOnly: false }
  const told = (head: number, state: VideoState) => {
    const request = stage.ask()
    stage.room.synced(request, { ...stage.store.sync(request, { upTo: head }), state })
  }
  told(10, { settings, pinned: undefined })
  t.match(ready(), { settings, pinned: null })
  const pinned: Comment = { id: 10, videoId: 'v', authorId: 'ann', content: 'a\u2028b', createdAt: 5 }
  stage.room.deliver(stage.store.act({ type: 'pinned', target: 10 }, pinned))
  await stage.clock.advance(0)
  t.match(ready(), { settings, pinned: { id: '10', authorId: 'ann', content: 'a\u2028b', createdAt: 5 } })
  told(10, DEFAULT_STATE)
  t.match(ready(), { settings }, 'a dispatcher that knows less does not set it back')
  told(20, DEFAULT_STATE)
  t.same(Object.keys(ready()), ['videoId', 'viewers'], 'the default is left out')
})

t.test('so it does where a comment was pushed above what the opening sync knows', async t => {
  const stage = new Stage()
  const settings = { slowModeSeconds: 5, closed: false, signedInOnly: false }
  stage.store.post()
  const { outlet } = stage.join()
  const request = stage.ask()
  stage.room.deliver(stage.store.post())
  stage.room.synced(request, { ...stage.store.sync(request, { upTo: 10 }), state: { settings, pinned: undefined } })
  t.match(JSON.parse(outlet.of('ready')[0]!.data), { settings })
})
