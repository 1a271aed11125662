import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { RoomAnswer, SyncRequest } from '../../protocol/wire.js'
import { draft, edgeNode, Scene } from './cast.js'

const edge = edgeNode('e')

async function ask(scene: Scene, videoId: string, last?: number, want?: number): Promise<RoomAnswer> {
  const [answer] = await scene.dispatcher.sync(edge, [{ videoId, last, want }])
  return answer!
}

const ids = ({ comments }: RoomAnswer) => comments.map(({ id }) => id)

/** Owner of its videos for long enough to be settled. */
async function settled(t: Test): Promise<Scene> {
  const scene = new Scene(t)
  scene.dispatchers('d')
  await scene.clock.advance(10_000)
  return scene
}

t.test('a room that opens gets the head and the viewers elsewhere', async t => {
  const scene = await settled(t)
  scene.edge('e', 'v')
  scene.edge('f', 'v')
  t.match(await ask(scene, 'v'), { head: 0, others: 10, from: 'store', more: false, comments: [] })
  const id = await scene.id('v')
  t.match(await ask(scene, 'v'), { head: id, from: 'memory', comments: [] })
})

t.test('a room gets every comment after its last, in order and with its prev', async t => {
  const scene = await settled(t)
  const stored = [await scene.id('v'), await scene.id('v'), await scene.id('v')]
  const answer = await ask(scene, 'v', stored[0])
  t.match(answer, { head: stored[2], from: 'memory', more: false })
  t.same(answer.comments.map(({ prev, id }) => [prev, id]), [[stored[0], stored[1]], [stored[1], stored[2]]])
  t.match(await ask(scene, 'v', stored[0], stored[2]), { from: 'memory' }, 'and knew of the newest')
})

t.test('rule 4: a `want` above the head in memory is answered from the store, however fresh the comparison', async t => {
  const scene = await settled(t)
  const first = await scene.id('v')
  const second = await scene.elsewhere('v')
  t.match(await ask(scene, 'v', first), { from: 'memory', head: first }, 'nobody has named the second')
  const answer = await ask(scene, 'v', first, second)
  t.match(answer, { from: 'store', head: second, more: false })
  t.same(ids(answer), [second])
})

t.test('rule 4: a `last` above the head in memory is answered from the store', async t => {
  const scene = await settled(t)
  await scene.id('v')
  const second = await scene.elsewhere('v')
  const third = await scene.elsewhere('v')
  const answer = await ask(scene, 'v', second)
  t.match(answer, { from: 'store', head: third })
  t.same(ids(answer), [third])
})

t.test('rules 4 and 9: an id that the store does not have is answered with its head, from the store', async t => {
  const scene = await settled(t)
  const id = await scene.id('v')
  t.match(await ask(scene, 'v', id, id + 1_000), { from: 'store', head: id, more: false, comments: [] })
})

t.test('rule 5: a settled owner answers from memory for 30 s after a comparison, then compares', async t => {
  const scene = await settled(t)
  const first = await scene.id('v')
  const second = await scene.elsewhere('v')
  await scene.clock.advance(30_000)
  t.match(await ask(scene, 'v', first), { from: 'memory', head: first })
  await scene.clock.advance(1)
  t.same(ids(await ask(scene, 'v', first)), [second])
})

t.test('rule 5: a comparison that finds nothing new lets memory answer again', async t => {
  const scene = await settled(t)
  const first = await scene.id('v')
  await scene.clock.advance(30_001)
  t.match(await ask(scene, 'v', first), { head: first, from: 'store' })
  const { lastIds } = scene.store.calls
  t.match(await ask(scene, 'v', first), { head: first, from: 'memory' })
  t.equal(scene.store.calls.lastIds, lastIds)
})

t.test('rule 5: an owner of less than 10 s compares every second', async t => {
  const scene = new Scene(t)
  await scene.clock.advance(60_000)
  scene.dispatchers('d')
  const first = await scene.id('v')
  const second = await scene.elsewhere('v')
  await scene.clock.advance(1_000)
  t.match(await ask(scene, 'v', first), { from: 'memory', head: first })
  await scene.clock.advance(1)
  t.same(ids(await ask(scene, 'v', first)), [second])
  await scene.clock.advance(9_000)
  const third = await scene.elsewhere('v')
  t.match(await ask(scene, 'v', second), { from: 'memory' }, 'the take-over is over')
  t.match(await ask(scene, 'v', second, third), { from: 'store' })
})

t.test('rule 5: who is not the owner compares every second', async t => {
  const scene = await settled(t)
  const first = await scene.id('v')
  scene.dispatchers() // even where it knows of no other
  const second = await scene.elsewhere('v')
  await scene.clock.advance(1_001)
  t.same(ids(await ask(scene, 'v', first)), [second])
})

t.test('rule 5: another dispatcher\'s word is no comparison', async t => {
  const scene = new Scene(t)
  const first = await scene.elsewhere('v')
  const second = await scene.elsewhere('v')
  scene.dispatcher.batch({ comments: [{ videoId: 'v', prev: 0, id: first, json: '{}' }], hints: [] })
  t.same(ids(await ask(scene, 'v', first)), [second])
})

t.test('rule 5: a hint above the head in memory ends what the comparison allowed', async t => {
  const scene = await settled(t)
  const first = await scene.id('v')
  const second = await scene.elsewhere('v')
  scene.dispatcher.batch({ comments: [], hints: [{ videoId: 'v', id: second }] })
  t.same(ids(await ask(scene, 'v', first)), [second])
})

t.test('rule 5: a hint is not forgotten for a comparison that was asked for before it, of a video in memory or not', async t => {
  for (const known of [true, false]) {
    const scene = await settled(t)
    if (known) await scene.id('v')
    else await scene.elsewhere('v')
    await scene.clock.advance(31_000)
    const head = scene.store.videos.get('v')!.at(-1)!.comment.id
    const release = scene.holdAnswer('lastIds')
    const asked = ask(scene, 'v', head)
    await scene.clock.advance(0)
    const second = await scene.elsewhere('v')
    scene.dispatcher.batch({ comments: [], hints: [{ videoId: 'v', id: second }] })
    release()
    await asked
    t.same(ids(await ask(scene, 'v', head)), [second], known ? 'in memory' : 'not in memory')
  }
})

t.test('rule 5: a comparison is as old as the moment it was asked for', async t => {
  const scene = await settled(t)
  let release = (): void => {}
  const first = await scene.elsewhere('v')
  scene.store.committed = () => new Promise(resolve => (release = resolve))
  const posted = scene.id('v') // committed now, answered 31 s later
  await scene.clock.advance(0)
  scene.store.committed = () => {}
  const third = await scene.elsewhere('v')
  await scene.clock.advance(31_000)
  release()
  const second = await posted
  t.ok(first < second && second < third)
  t.same(ids(await ask(scene, 'v', second)), [third])
})

t.test('rule 5: so is one that a sync asks for, whatever it finds', async t => {
  const cases: [what: string, held: 'lastIds' | 'page', begin: (scene: Scene) => Promise<{ last: number; head: number }>][] = [
    ['nothing that the edge has not got', 'lastIds', async scene => scene.id('v').then(id => ({ last: id, head: id }))],
    ['that memory has what the edge has not got', 'lastIds', async scene => ({ last: await scene.id('v'), head: await scene.id('v') })],
    ['what memory has not got', 'page', async scene => ({ last: await scene.elsewhere('v'), head: await scene.elsewhere('v') })],
  ]
  for (const [what, held, begin] of cases) {
    const scene = await settled(t)
    const { last, head } = await begin(scene)
    await scene.clock.advance(30_001)
    const release = scene.holdAnswer(held)
    const asked = ask(scene, 'v', last)
    await scene.clock.advance(0)
    const next = await scene.elsewhere('v')
    await scene.clock.advance(30_001)
    release()
    await asked
    t.equal(ids(await ask(scene, 'v', head)).at(-1), next, what)
  }
})

t.test('a busy video is never read', async t => {
  const scene = await settled(t)
  let last = await scene.id('v')
  for (let i = 0; i < 50; i++) {
    await scene.clock.advance(1_000)
    const id = await scene.id('v')
    t.same(ids(await ask(scene, 'v', last)), [id])
    last = id
  }
  t.match(scene.store.calls, { lastIds: 0, page: 0 })
})

t.test('what a sync has read or compared is in memory for the next one', async t => {
  const scene = await settled(t)
  const [first, second] = [await scene.elsewhere('v'), await scene.elsewhere('v')]
  t.match(await ask(scene, 'v', first), { from: 'store', head: second })
  t.match(await ask(scene, 'v', first), { from: 'memory', head: second })
  await scene.clock.advance(30_001)
  for (let i = 0; i < 2; i++) t.match(await ask(scene, 'v', first), { from: 'memory', head: second })
  t.match(scene.store.calls, { lastIds: 2, page: 1 })
})

t.test('many videos are compared in one read', async t => {
  const scene = await settled(t)
  const requests: SyncRequest[] = Array.from({ length: 300 }, (_, i) => ({ videoId: `v${i}`, last: 0, want: undefined }))
  t.equal((await scene.dispatcher.sync(edge, requests)).length, 300)
  t.match(scene.store.calls, { lastIds: 1, page: 0 })
})

t.test('at most 500 comments a room, and `more`; the rest comes next', async t => {
  for (const memory of [true, false]) {
    const scene = await settled(t)
    await scene.post(...Array.from({ length: 700 }, () => draft('v')))
    if (!memory) await scene.clock.advance(30_001)
    if (!memory) await scene.elsewhere('v') // no longer the store's equal
    const first = await ask(scene, 'v', 0)
    t.match(first, { from: memory ? 'memory' : 'store', more: true })
    t.equal(first.comments.length, 500)
    const rest = await ask(scene, 'v', first.comments.at(-1)!.id)
    t.equal(rest.more, false)
    t.equal(rest.comments.length, memory ? 200 : 201)
    t.equal(rest.comments[0]!.prev, first.comments.at(-1)!.id)
  }
})

t.test('at most 256 KB a room and 1 MB in all; a room that got nothing says `more`', async t => {
  const scene = await settled(t)
  const videos = Array.from({ length: 10 }, (_, i) => `v${i}`)
  for (const videoId of videos) await scene.post(...Array.from({ length: 150 }, () => draft(videoId, '💬'.repeat(500))))
  for (const from of ['memory', 'store']) {
    const answers = await scene.dispatcher.sync(edge, videos.map(videoId => ({ videoId, last: 0, want: undefined })))
    const bytes = answers.map(({ comments }) => comments.reduce((sum, { json }) => sum + Buffer.byteLength(json), 0))
    t.equal(answers.length, 10, from)
    for (const each of bytes) t.ok(each <= 256 * 1024 + 3_000, `${each}`)
    const total = bytes.reduce((a, b) => a + b)
    t.ok(total > 900_000 && total <= 1024 * 1024 + 16 * 3_000, `${total} in all`)
    t.ok(answers.every(({ more }) => more))
    t.ok(answers.some(({ comments }) => comments.length === 0))
    for (const videoId of videos) await scene.elsewhere(videoId)
    await scene.clock.advance(30_001)
  }
})

t.test('while the store is away rooms in memory are answered, others are left out', async t => {
  const scene = await settled(t)
  const { StoreUnavailableError } = await import('../../dispatcher/store/store.js')
  const id = await scene.id('v')
  scene.store.before = () => Promise.reject(new StoreUnavailableError('gone'))
  const answers = await scene.dispatcher.sync(edge, [{ videoId: 'v', last: 0, want: undefined }, { videoId: 'w', last: 0, want: undefined }])
  t.same(answers.map(({ videoId, head }) => [videoId, head]), [['v', id]])
  await t.rejects(ask(scene, 'w', 0), { code: 'STORE_UNAVAILABLE' })

  scene.store.before = call => (call === 'page' ? Promise.reject(new StoreUnavailableError('gone meanwhile')) : undefined)
  await scene.elsewhere('w')
  await t.rejects(ask(scene, 'w', 0), { code: 'STORE_UNAVAILABLE' })
})

t.test('a room whose video cannot be read has no answer; each of the others has its own', async t => {
  for (const readable of ['neither', 'its head alone'] as const) {
    const scene = new Scene(t)
    const videos = Array.from({ length: 40 }, (_, i) => `v${i}`)
    for (const videoId of videos) await scene.elsewhere(videoId)
    scene.store.damaged = videoId => (videoId === 'v1' || videoId === 'v20' ? 'SQLITE_CORRUPT' : undefined)
    if (readable === 'its head alone') scene.store.lastIds = videoIds => Promise.resolve(new Map(videoIds.map(videoId => [videoId, scene.store.videos.get(videoId)!.at(-1)!.comment.id])))
    const answers = await scene.dispatcher.sync(edge, videos.map(videoId => ({ videoId, last: 0, want: undefined })))
    t.same(answers.map(({ videoId }) => videoId).sort(), videos.filter(videoId => videoId !== 'v1' && videoId !== 'v20').sort(), readable)
    t.ok(answers.every(({ comments }) => comments.length === 1))
    t.equal(await scene.metric('sync_rooms_total', { from: 'none' }), 2)
    t.same(await scene.dispatcher.sync(edge, [{ videoId: 'v1', last: 0, want: undefined }]), [])
    await t.rejects(scene.dispatcher.replay({ videoId: 'v1', after: 0, until: 5, limit: 10 }), { code: 'STORE_UNAVAILABLE' })
  }
})

t.test('whoever stores what, an edge that names what it knows of gets all of it, in order', async t => {
  const step = fc.constantFrom('here', 'elsewhere', 'told', 'wait', 'sync')
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
      const scene = new Scene(t)
      scene.dispatchers('d')
      let last = 0
      let known = 0
      const seen: number[] = []
      for (const each of steps) {
        if (each === 'here') await scene.id('v')
        if (each === 'elsewhere') known = await scene.elsewhere('v')
        if (each === 'told') {
          const { comment, prev } = scene.store.videos.get('v')?.at(-1) ?? {}
          if (comment) scene.dispatcher.batch({ comments: [{ videoId: 'v', prev: prev!, id: comment.id, json: '{}' }], hints: [] })
        }
        if (each === 'wait') await scene.clock.advance(700)
        if (each !== 'sync') continue
        const answer = await ask(scene, 'v', last, known > last ? known : undefined)
        for (const comment of answer.comments) {
          t.equal(comment.prev, last)
          seen.push((last = comment.id))
        }
        t.ok(last >= known, 'what it named it has')
      }
      await scene.clock.advance(30_001)
      for (const { id } of (await ask(scene, 'v', last)).comments) seen.push(id)
      t.same(seen, (scene.store.videos.get('v') ?? []).map(({ comment }) => comment.id))
    }),
    { numRuns: 150 },
  )
})

t.test('a replay that is just full says `more` only where there is more', async t => {
  const scene = await settled(t)
  const below = await scene.elsewhere('v')
  const [first, second] = [await scene.id('v'), await scene.id('v')] // memory begins here
  const replay = (after: number, limit: number) => scene.dispatcher.replay({ videoId: 'v', after, until: second, limit })
  t.match(await replay(below, 2), { from: 'memory', more: false, comments: [{ id: first }, { id: second }] })
  t.match(await replay(below, 1), { from: 'memory', more: true, comments: [{ id: second }] })
  t.match(await replay(0, 1), { from: 'memory', more: true, comments: [{ id: second }] })
  t.match(await replay(0, 2), { from: 'store', more: true, comments: [{ id: first }, { id: second }] }, 'memory does not know')
  t.match(await replay(0, 3), { from: 'store', more: false, comments: [{ id: below }, { id: first }, { id: second }] })
})

t.test('a replay is the newest `limit` of a range, ascending, from memory where that holds it', async t => {
  const scene = await settled(t)
  await scene.post(...Array.from({ length: 1_200 }, () => draft('v')))
  const all = scene.store.videos.get('v')!.map(({ comment }) => comment.id)
  const replay = (after: number, until: number, limit: number) => scene.dispatcher.replay({ videoId: 'v', after, until, limit })
  const newest = await replay(all[1_000]!, all[1_100]!, 50)
  t.match(newest, { from: 'memory', more: true })
  t.same(ids(newest), all.slice(1_051, 1_101))
  t.match(await replay(all[1_000]!, all[1_010]!, 50), { from: 'memory', more: false })
  const old = await replay(0, all[220]!, 50)
  t.match(old, { from: 'store', more: true })
  t.same(ids(old), all.slice(171, 221))
  const beyond = await scene.elsewhere('v')
  const cut = await replay(all[1_198]!, beyond, 50)
  t.match(cut, { from: 'store', more: false, head: beyond }, 'rule 4')
  t.same(ids(cut), [all[1_199], beyond])
  t.equal((await replay(0, beyond, 5_000)).comments.length, 1_000)
})
