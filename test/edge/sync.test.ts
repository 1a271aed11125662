import t from 'tap'
import { ownersOf } from '../../registry/ownership.js'
import { PeerError } from '../../runtime/peers/peer-error.js'
import { EdgeStage } from '../support/edge-stage.js'

/** Ids of the dispatchers, owner first. */
const order = (stage: EdgeStage, videoId: string) => ownersOf(stage.view, videoId).map(({ id }) => id)

t.test('rooms of one owner are asked for in one question', async t => {
  const stage = new EdgeStage({ dispatchers: 3 })
  const videos = Array.from({ length: 30 }, (_, i) => `v${i}`)
  const seats = videos.map(videoId => stage.join(videoId))
  await stage.clock.advance(0)
  t.equal(stage.questions.length, 3)
  for (const { node, syncs } of stage.questions) for (const { videoId } of syncs) t.equal(order(stage, videoId)[0], node.id)
  t.ok(seats.every(({ outlet }) => outlet.of('ready').length === 1))
  stage.edge.stop()
})

t.test('at most a thousand rooms stand in one question', async t => {
  const stage = new EdgeStage()
  for (let i = 0; i < 1500; i++) stage.join(`v${i}`)
  await stage.clock.advance(0)
  t.same(stage.questions.map(({ syncs }) => syncs.length), [1000, 500])
  stage.edge.stop()
})

t.test('rule 7: every room is synced at least every 2 s, and they spread over the 2 s', async t => {
  let i = 0
  const stage = new EdgeStage({ random: () => (i++ % 20) / 20 })
  const videos = Array.from({ length: 200 }, (_, i) => `v${i}`)
  for (const videoId of videos) stage.join(videoId)
  await stage.clock.advance(10_000)
  for (const videoId of videos) {
    const times = stage.syncsOf(videoId).map(({ at }) => at)
    t.ok(times.every((at, i) => at - (times[i - 1] ?? 0) <= 2000) && times.at(-1)! >= 8000, `${videoId} ${times.join()}`)
    t.ok(times.length <= 7)
  }
  const largest = Math.max(...stage.questions.slice(1).map(({ syncs }) => syncs.length))
  t.equal(largest, 10, 'a twentieth each')
  stage.edge.stop()
})

t.test('rule 7: the edge backs off from a dispatcher that does not answer, and asks the next in hash order at once', async t => {
  const stage = new EdgeStage({ dispatchers: 3 })
  const [owner, next] = order(stage, 'v')
  stage.answer = question => {
    if (question.node.id === owner) throw new PeerError('lost', 'gone')
    return stage.fromStores(question)
  }
  stage.store('v').posts(2)
  const { outlet } = stage.join('v')
  await stage.clock.advance(0)
  t.same(outlet.story, ['ready 20'])
  t.same(stage.syncsOf('v').map(({ node }) => node), [owner, next])
  stage.questions.length = 0
  stage.edge.batch({ comments: [], hints: [{ videoId: 'v', id: stage.store('v').post().id }] })
  await stage.clock.advance(0)
  t.same(stage.syncsOf('v').map(({ node }) => node), [next], 'not the one in back-off')
  stage.answer = question => stage.fromStores(question)
  await stage.clock.advance(5000)
  t.equal(stage.syncsOf('v').at(-1)!.node, owner, 'tried again after a while')
  stage.edge.stop()
})

t.test('while nobody answers, tries pause and do not multiply; one answer then is enough', async t => {
  for (const failure of ['lost', 'refused', 'local'] as const) {
    const stage = new EdgeStage({ dispatchers: 2 })
    stage.answer = () => {
      throw new PeerError(failure, 'no')
    }
    const { outlet } = stage.join('v')
    for (let i = 0; i < 60; i++) {
      await stage.clock.advance(1000)
      stage.edge.batch({ comments: [], hints: [{ videoId: 'v', id: 10 }] })
    }
    const before = stage.questions.length
    await stage.clock.advance(10_000)
    const tries = stage.questions.length - before
    t.ok(tries >= 50 && tries <= 250, `${failure}: ${tries} tries in 10 s`)
    stage.answer = question => stage.fromStores(question)
    await stage.clock.advance(200)
    t.same(outlet.story, ['ready 0'])
    stage.edge.stop()
  }
})

t.test('without any dispatcher viewers wait, and join when one comes', async t => {
  const stage = new EdgeStage({ dispatchers: 0 })
  const { outlet } = stage.join('v')
  stage.edge.viewChanged()
  await stage.clock.advance(11_000)
  t.same(outlet.story, [])
  t.equal(outlet.heartbeats, 1)
  stage.addDispatcher('d1')
  stage.edge.viewChanged()
  await stage.clock.advance(50)
  t.same(outlet.story, ['ready 0'])
  stage.edge.stop()
})

t.test('rule 7: when its video\'s owner changes, a room is synced with the new one', async t => {
  const stage = new EdgeStage()
  const videos = Array.from({ length: 20 }, (_, i) => `v${i}`)
  for (const videoId of videos) stage.join(videoId)
  await stage.clock.advance(10)
  stage.questions.length = 0
  stage.addDispatcher('d2')
  stage.edge.viewChanged()
  stage.edge.viewChanged()
  await stage.clock.advance(50)
  const moved = videos.filter(videoId => order(stage, videoId)[0] === 'd2')
  t.ok(moved.length > 0 && moved.length < 20)
  const asked = () => stage.questions.map(({ node, syncs }) => [node.id, syncs.map(({ videoId }) => videoId).sort()])
  t.same(asked(), [['d2', moved.sort()]])
  stage.questions.length = 0
  stage.addDispatcher('d3')
  stage.edge.viewChanged()
  await stage.clock.advance(50)
  t.same(asked(), [['d3', videos.filter(videoId => order(stage, videoId)[0] === 'd3').sort()]])
  stage.edge.stop()
})

t.test('rooms that an answer left out are asked for again at once; an answer without any, after a pause', async t => {
  const stage = new EdgeStage()
  let most = 2
  stage.answer = question => stage.fromStores(question).slice(0, most)
  const seats = Array.from({ length: 5 }, (_, i) => stage.join(`v${i}`))
  await stage.clock.advance(0)
  t.same(stage.questions.map(({ syncs }) => syncs.length), [5, 3, 1])
  t.ok(seats.every(({ outlet }) => outlet.of('ready').length === 1))
  most = 0
  stage.questions.length = 0
  const late = stage.join('late')
  await stage.clock.advance(1000)
  t.ok(stage.syncsOf('late').length <= 12, `${stage.syncsOf('late').length} questions`)
  most = 2
  await stage.clock.advance(100)
  t.same(late.outlet.story, ['ready 0'])
  stage.edge.stop()
})

t.test('rule 6: what an answer was cut of is asked for at once, and what it did not have after a short pause', async t => {
  const stage = new EdgeStage()
  const store = stage.store('v')
  const { outlet } = stage.join('v')
  await stage.clock.advance(0)
  stage.answer = ({ syncs }) => syncs.map(sync => store.sync(sync, { limit: 4 }))
  store.posts(10)
  stage.questions.length = 0
  stage.edge.batch({ comments: [], hints: [{ videoId: 'v', id: 100 }] })
  await stage.clock.advance(0)
  t.same(stage.syncsOf('v').map(({ request }) => request.last), [0, 40, 80])
  t.same(outlet.ids, store.ids)

  stage.answer = ({ syncs }) => syncs.map(sync => store.sync(sync, { upTo: 100 })) // memory, short of what is wanted
  stage.questions.length = 0
  const { id } = store.post()
  stage.edge.batch({ comments: [], hints: [{ videoId: 'v', id }] })
  await stage.clock.advance(350)
  t.same(stage.syncsOf('v').map(({ request }) => request.want), [id, id, id, id])
  stage.answer = question => stage.fromStores(question)
  await stage.clock.advance(100)
  t.equal(outlet.ids.at(-1), id)
  stage.edge.stop()
})

t.test('one question at a time is out for a room; what comes up meanwhile is asked after it', async t => {
  const stage = new EdgeStage()
  const store = stage.store('v')
  const { outlet } = stage.join('v')
  await stage.clock.advance(0)
  stage.answer = question => new Promise(resolve => stage.clock.after(500, () => resolve(stage.fromStores(question))))
  for (let i = 0; i < 5; i++) {
    stage.edge.batch({ comments: [], hints: [{ videoId: 'v', id: store.post().id }] })
    await stage.clock.advance(10)
  }
  const open = stage.questions.length
  t.equal(open, 2, 'the opening one and one more')
  await stage.clock.advance(1500)
  t.same(outlet.ids, store.ids)
  stage.edge.stop()
})

t.test('what comes up while a question is out, and its answer has not, is asked for as soon as the answer is there', async t => {
  const stage = new EdgeStage()
  const store = stage.store('v')
  const { outlet } = stage.join('v')
  await stage.clock.advance(0)
  stage.answer = question => {
    const answers = stage.fromStores(question)
    return new Promise(resolve => stage.clock.after(50, () => resolve(answers)))
  }
  stage.questions.length = 0
  const start = stage.clock.now()
  for (let i = 0; i < 2; i++) {
    stage.edge.batch({ comments: [], hints: [{ videoId: 'v', id: store.post().id }] })
    await stage.clock.advance(10)
  }
  await stage.clock.advance(100)
  t.same(stage.syncsOf('v').map(({ at }) => at - start), [0, 50])
  t.same(outlet.ids, [10, 20])
  stage.edge.stop()
})

t.test('a sync that is answered forgives: a dispatcher that fails now and then is backed off from for half a second each time', async t => {
  const stage = new EdgeStage({ dispatchers: 2 })
  const [owner, next] = order(stage, 'v')
  let fails = false
  stage.answer = question => {
    if (fails && question.node.id === owner) throw new PeerError('lost', 'gone')
    return stage.fromStores(question)
  }
  stage.join('v')
  await stage.clock.advance(0)
  const asked = async () => {
    stage.edge.batch({ comments: [], hints: [{ videoId: 'v', id: stage.store('v').post().id }] })
    await stage.clock.advance(0)
    return stage.syncsOf('v').at(-1)!.node
  }
  for (let i = 0; i < 3; i++) {
    fails = true
    t.equal(await asked(), next)
    fails = false
    await stage.clock.advance(700)
    t.equal(await asked(), owner)
  }
  stage.edge.stop()
})

t.test('history is asked of whoever answers first in hash order', async t => {
  const stage = new EdgeStage({ dispatchers: 3 })
  stage.store('v').posts(20)
  stage.join('v')
  await stage.clock.advance(0)
  const [owner, next] = order(stage, 'v')
  stage.answer = question => {
    if (question.replay && question.node.id === owner) throw new PeerError('timeout', 'slow')
    return question.replay ? [{ ...stage.fromStores(question)[0]!, videoId: question.node.id === next ? 'other' : 'v' }] : stage.fromStores(question)
  }
  const { outlet } = stage.join('v', { recent: 3 })
  await stage.clock.advance(0)
  t.equal(stage.questions.filter(({ replay }) => replay).length, 3, 'an answer for another video is no answer')
  t.same(outlet.story, [180, 190, 200, 'ready 200'])
  t.equal(stage.peerErrors.length, 2)
  stage.edge.stop()
})

t.test('an answer that says more and brings nothing new is no reason to ask on at once', async t => {
  const stage = new EdgeStage()
  const store = stage.store('v')
  store.posts(2)
  stage.answer = ({ syncs }) => syncs.map(sync => ({ ...store.sync(sync), more: true, comments: store.comments }))
  const { outlet } = stage.join('v', { after: 10 })
  await stage.clock.advance(1_000)
  t.ok(stage.syncsOf('v').length < 15, `${stage.syncsOf('v').length} in a second`)
  t.ok(outlet.ids.every((id, i) => i === 0 || id > outlet.ids[i - 1]!))
  stage.edge.stop()
})
