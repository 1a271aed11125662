import t from 'tap'
import { Audience, popularity } from '../../bench/simulation/audience.js'
import { deliver, type Course } from '../../bench/simulation/delivering.js'
import { movedBetween } from '../../bench/simulation/load.js'
import { Placing } from '../../bench/simulation/placing.js'
import { Cores, Process } from '../../bench/simulation/process.js'
import { impossible, SMALL, WHOLE } from '../../bench/simulation/scenario.js'
import { Timeline } from '../../bench/simulation/timeline.js'
import { compareWithMeasured } from '../../bench/simulation/validation.js'
import { OTHERS } from '../../bench/simulation/way.js'
import { simulateWhole, type Whole } from '../../bench/simulation/whole.js'
import { place } from '../../gateway/placement.js'
import { Random } from '../support/random.js'

const progress = () => {}

t.test('a small cluster: a video grows, a zone is lost, and every viewer gets every comment once', async t => {
  const whole = await simulateWhole(SMALL, { progress, others: true })
  t.same(whole.faults, [])
  const { placed, outcomes, loss } = whole
  t.ok(placed.allBack)
  t.ok(placed.lostViewers.onEdges > 0.15 * whole.viewers && placed.lostViewers.onGateways > 0.2 * whole.viewers, JSON.stringify(placed.lostViewers))
  t.equal(placed.back.edges.total + placed.back.gateways.total, placed.lostViewers.onEdges + placed.lostViewers.onGateways, 'each lost viewer has come back')
  t.equal(placed.seconds.at(-1)!.crowd, SMALL.crowd)
  const [ours] = outcomes
  for (const { delivered } of [ours!.peak, ours!.after, loss]) t.ok(delivered.complete)
  t.ok(ours!.peak.load.fullest < 1.5, `${ours!.peak.load.fullest}`)
  t.ok(ours!.peak.load.edgesOfVideo < 1.1, `${ours!.peak.load.edgesOfVideo}`)

  t.test('the other ways differ by what they name', async t => {
    const of = (name: RegExp) => outcomes.find(({ way }) => name.test(way))!
    t.ok(of(/hash % N/).peak.load.fullest > 3, 'the growing video is on one edge')
    t.ok(of(/hash % N/).moved.others + of(/hash % N/).moved.lost > 0.85 * whole.viewers, 'another number of edges moves nearly all')
    t.equal(of(/hash ring/).moved.others, 0)
    t.ok(of(/any edge/).peak.load.edgesOfVideo > 3, 'viewers of a video are on several edges')
    t.ok(of(/every edge/).peak.cores.dispatchers > 1.5 * ours!.peak.cores.dispatchers, 'a comment is sent more often')
    t.ok(of(/connection/).peak.cores.gateways > 1.5 * ours!.peak.cores.gateways, 'a gateway reads each delivery')
  })

  t.test('the same seed gives the same figures, another seed others', async t => {
    const again = await simulateWhole(SMALL, { progress, others: false })
    t.same(figures(again), figures(whole))
    t.not(JSON.stringify(figures(await simulateWhole({ ...SMALL, seed: 2 }, { progress, others: false }))), JSON.stringify(figures(whole)))
  })

  t.test('a placement that ignores who holds a video shows', async t => {
    let calls = 0
    const apart: typeof place = (view, videoId, pending, rules) => place(view, `${videoId} of ${calls++ % 7}`, pending, rules)
    const { outcomes: broken } = await simulateWhole(SMALL, { progress, decide: apart, others: false })
    t.ok(broken[0]!.peak.load.edgesOfVideo > 1.5 * ours!.peak.load.edgesOfVideo, `${broken[0]!.peak.load.edgesOfVideo}`)
  })
})

t.test('of many edges, which announce themselves seldom, few placements meet a full one', async t => {
  const scenario = { ...SMALL, edges: 300, gateways: 10, videos: 3_000, viewers: 60_000, crowd: 20_000, growSeconds: 15, edgeCapacity: 400, videoShare: 200, staySeconds: 600 }
  const placing = new Placing({ scenario, audience: new Audience(scenario), random: new Random(scenario.seed), look: progress, progress })
  const { placements, refused, allBack } = await placing.run()
  t.ok(allBack)
  t.ok(refused < 0.2 * placements, `${refused} of ${placements}`)
})

/** Of ours. */
function figures({ placed, outcomes, loss }: Whole): object {
  const { moved, peak, after } = outcomes[0]!
  return { ...placed, moved, peak: [peak.delivered.ms, peak.cores], after: [after.delivered.ms, after.cores], loss: loss.delivered.ms }
}

const course: Course = { crowd: new Map([[0, Uint32Array.of(40, 20)], [1, Uint32Array.of(0, 30)]]), targets: [0, 1], posts: [10, 20, 21, 500], warmUp: 0, parcel: 1 }

t.test('each comment is delivered once to each viewer, and an edge that is left out is noticed', async t => {
  const { complete, deliveries, faults, ms } = await deliver(course)
  t.same([complete, deliveries, faults], [true, 90 * 4, []])
  t.ok(ms!.p50 > 1 && ms!.max < 50, JSON.stringify(ms))
  const without = await deliver({ ...course, targets: [0] })
  t.same([without.complete, without.deliveries], [false, 60 * 4])
  const own = await deliver({ ...course, ownConnections: true })
  t.same([own.complete, own.deliveries], [true, 90 * 4])
})

t.test('the model is near what was measured on one machine', async t => {
  const comparisons = await compareWithMeasured()
  t.equal(comparisons.length, 3)
  for (const { what, model, measured } of comparisons) {
    t.ok(Math.abs(Math.log(model.p50 / measured.p50)) < Math.log(1.6), `${what}: p50 ${model.p50}, measured ${measured.p50}`)
    t.ok(Math.abs(Math.log(model.p99 / measured.p99)) < Math.log(2), `${what}: p99 ${model.p99}, measured ${measured.p99}`)
  }
})

t.test('a cluster that cannot be is refused by the flag that says so', async t => {
  t.same([impossible(WHOLE), impossible(SMALL)], [undefined, undefined])
  t.match(impossible({ ...SMALL, zones: 1 }), /^--zones must be 2/)
  t.match(impossible({ ...SMALL, dispatchers: 2 }), /^--edges, --gateways and --dispatchers/)
  t.match(impossible({ ...SMALL, crowd: 5_900 }), /^--viewers must be --crowd and --videos/)
  t.match(impossible({ ...SMALL, edgeCapacity: 700 }), /^--viewers must be as many as --edges/)
  t.match(impossible({ ...SMALL, sampled: 7 }), /^--sampled/)
  t.match(impossible(WHOLE, 4 * 2 ** 30), /^--viewers 10000000 take more heap .* NODE_OPTIONS=--max-old-space-size=9537,/)
})

t.test('processes that share cores wait for each other', async t => {
  const timeline = new Timeline()
  const cores = new Cores(timeline, 2)
  const done: number[] = []
  for (let i = 0; i < 4; i++) {
    const process = new Process({ timeline, wakeMs: 1, cores })
    process.soon(() => {
      process.spend(9)
      done.push(process.now())
    })
  }
  await timeline.run(100)
  t.same(done, [10, 10, 20, 20])
})

t.test('work beside delays a task, and costs what its share says', async t => {
  const timeline = new Timeline()
  const process = new Process({ timeline, wakeMs: 0 })
  process.background(0.5, 0)
  let at = 0
  timeline.after(5.5, () => process.soon(() => (at = process.now())))
  await timeline.run(1_000)
  t.equal(at, 7.5)
  t.ok(Math.abs(process.busyMs - 500) < 5, `${process.busyMs}`)
})

t.test('videos have viewers by their rank, and as many in all as are wanted', async t => {
  t.ok(popularity(1_000, 1_200).every(count => count >= 1))
  const counts = popularity(1_000, 50_000)
  t.equal(counts.length, 1_000)
  t.ok(counts.every((count, i) => count >= 1 && count <= (counts[i - 1] ?? Infinity)))
  const sum = counts.reduce((total, count) => total + count, 0)
  t.ok(Math.abs(sum - 50_000) < 1_000, `${sum}`)
})

t.test('a hash ring and chance move only who was on a lost edge; hash % N moves nearly all', async t => {
  const audience = new Audience({ videos: 500, viewers: 5_000, crowd: 10 })
  const all = Array.from({ length: 30 }, (_, i) => i)
  const left = all.slice(1, -1)
  const moved = (name: RegExp) => {
    const way = OTHERS.find(each => name.test(each.name))!
    return movedBetween(audience, way.edges!(audience, all, all.length), way.edges!(audience, left, all.length), new Set(left))
  }
  t.same([moved(/ring/).moved, moved(/any edge/).moved], [0, 0])
  t.ok(moved(/ring/).lost > 100 && moved(/ring/).lost < 700, `${moved(/ring/).lost}`)
  t.ok(moved(/% N/).moved > 4_000, `${moved(/% N/).moved}`)
})
