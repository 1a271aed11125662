import fc from 'fast-check'
import t from 'tap'
import { MAX_CURSOR } from '../../protocol/id.js'
import { draft, edgeNode, Scene } from './cast.js'

const newest = { cursor: undefined, direction: 'before', pageSize: 50 } as const

t.test('a page is public comments and where the next one begins', async t => {
  const scene = new Scene(t)
  t.same(await scene.dispatcher.history('v', newest), { comments: [], nextCursor: null })
  const id = await scene.id('v')
  t.same(await scene.dispatcher.history('v', newest), {
    comments: [{ id: String(id), videoId: 'v', authorId: 'ann', content: 'hello', createdAt: scene.clock.wall() }],
    nextCursor: null,
  })
})

t.test('paging either way, from memory or the store, shows every comment once', async t => {
  const scene = new Scene(t)
  await scene.post(...Array.from({ length: 1_030 }, () => draft('v')))
  const all = scene.store.videos.get('v')!.map(({ comment }) => String(comment.id))
  for (const direction of ['before', 'after'] as const) {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 20, max: 200 }), fc.nat({ max: 2_000 }), async (pageSize, waitMs) => {
        const seen: unknown[] = []
        let cursor: number | undefined
        for (;;) {
          const page = await scene.dispatcher.history('v', { cursor, direction, pageSize })
          t.ok(page.comments.length <= pageSize)
          seen.push(...page.comments.map(({ id }) => id))
          if (page.nextCursor === null) break
          cursor = Number(page.nextCursor)
          await scene.clock.advance(waitMs)
        }
        t.same(seen, direction === 'before' ? all.toReversed() : all)
      }),
      { numRuns: 10 },
    )
  }
  t.ok((await scene.metric('history_pages_total', { from: 'memory' })) > 0)
  t.ok((await scene.metric('history_pages_total', { from: 'store' })) > 0)
})

t.test('rule 5: the newest page comes from memory only within 1 s of a comparison', async t => {
  const scene = new Scene(t)
  const first = await scene.id('v')
  const second = await scene.elsewhere('v')
  const read = async () => (await scene.dispatcher.history('v', newest)).comments.map(({ id }) => Number(id))
  await scene.clock.advance(1_000)
  t.same(await read(), [first])
  await scene.clock.advance(1)
  t.same(await read(), [second, first])
  const { page } = scene.store.calls
  t.same(await read(), [second, first])
  t.equal(scene.store.calls.page, page, 'that read was a comparison')
})

t.test('rule 5: so does a page after a cursor that reaches the newest comment', async t => {
  const scene = new Scene(t)
  const first = await scene.id('v')
  const second = await scene.elsewhere('v')
  await scene.clock.advance(1_001)
  const page = await scene.dispatcher.history('v', { cursor: first, direction: 'after', pageSize: 50 })
  t.same(page.comments.map(({ id }) => Number(id)), [second])
})

t.test('rule 5: a page before a cursor is no comparison', async t => {
  const scene = new Scene(t)
  const [first, second, third] = [await scene.elsewhere('v'), await scene.elsewhere('v'), await scene.elsewhere('v')]
  const page = await scene.dispatcher.history('v', { cursor: third, direction: 'before', pageSize: 50 })
  t.same(page.comments.map(({ id }) => Number(id)), [second, first])
  t.match(await scene.dispatcher.sync(edgeNode('e'), [{ videoId: 'v', last: second, want: undefined }]), [{ head: third, comments: [{ id: third }] }])
})

t.test('rule 4: a cursor above the head in memory is read from the store', async t => {
  const scene = new Scene(t)
  const first = await scene.id('v')
  const second = await scene.elsewhere('v')
  for (const cursor of [second + 1, MAX_CURSOR]) {
    const page = await scene.dispatcher.history('v', { cursor, direction: 'before', pageSize: 50 })
    t.same(page.comments.map(({ id }) => Number(id)), [second, first])
  }
  t.same(await scene.dispatcher.history('v', { cursor: second, direction: 'after', pageSize: 50 }), { comments: [], nextCursor: null })
  t.same(await scene.dispatcher.history('v', { cursor: 0, direction: 'before', pageSize: 50 }), { comments: [], nextCursor: null })
})

t.test('what memory holds is not read from the store, however old the comparison', async t => {
  const scene = new Scene(t)
  const [first, second] = [await scene.id('v'), await scene.id('v')]
  const after = (pageSize: number) => scene.dispatcher.history('v', { cursor: undefined, direction: 'after', pageSize })
  t.match(await after(50), { comments: [{ id: String(first) }, { id: String(second) }], nextCursor: null })
  await scene.clock.advance(60_000)
  t.match(await after(1), { comments: [{ id: String(first) }], nextCursor: String(first) })
  t.match(await scene.dispatcher.history('v', { cursor: second, direction: 'before', pageSize: 50 }), { comments: [{ id: String(first) }], nextCursor: null })
  t.equal(scene.store.calls.page, 0)
})

t.test('a page that is just full and the last says so, one before it does not: from memory and from the store', async t => {
  for (const from of ['memory', 'store']) {
    const scene = new Scene(t)
    const ids: string[] = []
    for (let i = 0; i < 3; i++) ids.push(String(await (from === 'memory' ? scene.id('v') : scene.elsewhere('v'))))
    for (const direction of ['before', 'after'] as const) {
      const ordered = direction === 'before' ? ids.toReversed() : ids
      for (const pageSize of [2, 3, 4]) {
        if (from === 'store') await scene.clock.advance(1_001)
        const { comments, nextCursor } = await scene.dispatcher.history('v', { cursor: undefined, direction, pageSize })
        t.same(comments.map(({ id }) => id), ordered.slice(0, pageSize), `${pageSize} ${direction}, from ${from}`)
        t.equal(nextCursor, pageSize < 3 ? ordered[pageSize - 1] : null)
      }
    }
    t.ok((await scene.metric('history_pages_total', { from })) > 0)
  }
})

t.test('memory that ends with the page does not know whether there is more', async t => {
  const scene = new Scene(t)
  const older = await scene.elsewhere('v')
  const first = await scene.id('v') // memory begins here
  t.match(await scene.dispatcher.history('v', { cursor: undefined, direction: 'before', pageSize: 1 }), { comments: [{ id: String(first) }], nextCursor: String(first) })
  const second = await scene.id('v')
  await scene.elsewhere('v')
  await scene.clock.advance(1_001)
  t.match(await scene.dispatcher.history('v', { cursor: first, direction: 'after', pageSize: 1 }), { comments: [{ id: String(second) }], nextCursor: String(second) })
  t.match(await scene.dispatcher.history('v', { cursor: first, direction: 'before', pageSize: 1 }), { comments: [{ id: String(older) }], nextCursor: null })
})

t.test('rule 5: a page that ends where memory does needs that comparison too, also of a video that has long been ours', async t => {
  const scene = new Scene(t)
  scene.dispatchers('d')
  const first = await scene.id('v')
  await scene.clock.advance(10_001)
  const second = await scene.id('v')
  const third = await scene.elsewhere('v')
  await scene.clock.advance(1_001)
  const after = async () => (await scene.dispatcher.history('v', { cursor: first, direction: 'after', pageSize: 1 })).nextCursor
  t.match(await scene.dispatcher.sync(edgeNode('e'), [{ videoId: 'v', last: first, want: undefined }]), [{ from: 'memory', head: second }])
  t.equal(await after(), String(second), `${third} follows`)
})

t.test('rule 5: the newest page is a comparison as old as the moment it was asked for', async t => {
  const scene = new Scene(t)
  const first = await scene.elsewhere('v')
  const release = scene.holdAnswer('page')
  const asked = scene.dispatcher.history('v', newest)
  await scene.clock.advance(0)
  const second = await scene.elsewhere('v')
  await scene.clock.advance(1_001)
  release()
  t.match((await asked).comments, [{ id: String(first) }])
  t.match((await scene.dispatcher.history('v', newest)).comments, [{ id: String(second) }, { id: String(first) }])
})
