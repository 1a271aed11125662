import fc from 'fast-check'
import type { Test } from 'tap'
import { heldIdOf, saidOf } from '../../dispatcher/store/held-draft.js'
import type { Outcome, Range, Store, Stored, Timed } from '../../dispatcher/store/store.js'
import { DEFAULT_SETTINGS, type Act } from '../../protocol/entry.js'
import { MAX_CURSOR } from '../../protocol/id.js'

/** What a store needs to be held to its contract. */
export interface StoreUnderTest {
  /** A handle on the same comments as every other handle of this one `Fixture`. @param isHooked what it stores is for a web hook */
  open(isHooked?: boolean): Promise<Store>
}

export type Fixture = (t: Test) => Promise<StoreUnderTest>

const NOW = Date.UTC(2026, 5, 1)
const ALL: Range = { after: 0, until: MAX_CURSOR, newestFirst: false, limit: 1_000 }
let keys = 0

function draft(videoId: string, content = 'hello', more: Partial<Timed> = {}): Timed {
  return { videoId, authorId: 'ann', content, key: `key-${keys++}`, ...more }
}

function act(videoId: string, act: Act, more: Partial<Timed> = {}): Timed {
  return { ...draft(videoId, '', { authorId: 'mod' }), act, ...more }
}

function created(outcome: Outcome | undefined): Stored {
  if (outcome?.kind !== 'created') throw new Error(`not created but ${outcome?.kind}`)
  return outcome
}

const ids = (stored: readonly Stored[]) => stored.map(({ comment }) => comment.id)

/** Holds a store to what dispatcher/store/store.ts says. */
export function storeContract(t: Test, fixture: Fixture): void {
  const opened = async (t: Test): Promise<Store> => {
    const store = await (await fixture(t)).open()
    t.teardown(() => store.close())
    return store
  }

  t.test('a draft becomes a comment that a page shows', async t => {
    const store = await opened(t)
    const first = draft('v', 'ein Wort: 😀\nzwei', { authorId: 'Zoë' })
    const [outcome] = await store.append([first], NOW)
    const { comment, prev } = created(outcome)
    t.match(comment, { videoId: 'v', authorId: 'Zoë', content: 'ein Wort: 😀\nzwei', createdAt: NOW })
    t.equal(prev, 0)
    t.same(await store.page('v', ALL), [{ comment, prev: 0 }])
    t.same(await store.lastIds(['v', 'other']), new Map([['v', comment.id], ['other', 0]]))
  })

  t.test('an author\'s name stays with the comment, and where there is none there is none', async t => {
    const store = await opened(t)
    const named = draft('v', 'hello', { authorName: 'Ann Zoë 😀' })
    const outcomes = (await store.append([named, draft('v')], NOW)).map(created)
    t.same(outcomes.map(({ comment }) => comment.authorName), ['Ann Zoë 😀', undefined])
    const stored = await store.page('v', ALL)
    t.same(stored.map(({ comment }) => comment), outcomes.map(({ comment }) => comment))
    t.notOk('authorName' in stored[1]!.comment)
    t.match(await store.append([{ ...named, authorName: 'Ann' }], NOW), [{ kind: 'repeated', comment: { authorName: 'Ann Zoë 😀' } }], 'a repeated key is answered with the first')
  })

  t.test('that a moderator wrote a comment stays with it', async t => {
    const store = await opened(t)
    const outcomes = (await store.append([draft('v', 'calm, please', { by: 'moderator' }), draft('v', 'hello')], NOW)).map(created)
    const stored = await store.page('v', ALL)
    t.same(stored.map(({ comment }) => comment), outcomes.map(({ comment }) => comment))
    t.same(stored.map(({ comment }) => comment.by), ['moderator', undefined])
    t.notOk('by' in stored[1]!.comment)
  })

  t.test('a draft whose time is up makes no comment, and those beside it do', async t => {
    const store = await opened(t)
    const now = performance.now()
    const outcomes = await store.append([{ ...draft('v', 'late'), deadline: now - 1 }, { ...draft('v', 'in time'), deadline: now + 60_000 }, draft('v', 'any time')], NOW)
    t.same(outcomes.map(({ kind }) => kind), ['expired', 'created', 'created'])
    t.same((await store.page('v', ALL)).map(({ comment }) => comment.content), ['in time', 'any time'])
    t.match(await store.append([{ ...draft('v', 'late too'), deadline: now }], NOW), [{ kind: 'expired' }])
  })

  t.test('several drafts of one video in one append follow each other', async t => {
    const store = await opened(t)
    const outcomes = (await store.append([draft('v'), draft('w'), draft('v'), draft('v')], NOW)).map(created)
    const [a, w, b, c] = outcomes as [Stored, Stored, Stored, Stored]
    t.ok(a.comment.id < b.comment.id && b.comment.id < c.comment.id)
    t.same([a.prev, b.prev, c.prev, w.prev], [0, a.comment.id, b.comment.id, 0])
    t.same(ids(await store.page('v', ALL)), ids([a, b, c]))
  })

  t.test('a key tells what it has made, and nothing of other content, another author or another video', async t => {
    const store = await opened(t)
    const first = draft('v')
    t.equal(await store.madeBy(first), undefined)
    const [outcome] = await store.append([first], NOW)
    t.same(await store.madeBy(first), created(outcome).comment)
    for (const other of [{ content: 'other' }, { authorId: 'bob' }, { videoId: 'w' }, { key: 'other' }]) t.equal(await store.madeBy({ ...first, ...other }), undefined, JSON.stringify(other))
    t.equal((await store.lastIds(['v'])).get('v'), created(outcome).comment.id, 'asking stores nothing')
  })

  t.test('ids ascend though the clock steps back', async t => {
    const store = await opened(t)
    const [first] = await store.append([draft('v')], NOW)
    const [second] = await store.append([draft('v')], NOW - 3_600_000)
    t.equal(created(second).comment.id, created(first).comment.id + 1)
    t.equal(created(second).prev, created(first).comment.id)
  })

  t.test('a repeated key gives the first comment, in the same append and later', async t => {
    const store = await opened(t)
    const post = draft('v')
    const [first, again] = await store.append([post, post], NOW)
    const { comment } = created(first)
    t.same(again, { kind: 'repeated', comment })
    t.same(await store.append([post], NOW + 1_000), [{ kind: 'repeated', comment }])
    t.same(ids(await store.page('v', ALL)), [comment.id])
  })

  t.test('a key with other content is reused', async t => {
    const store = await opened(t)
    const post = draft('v', 'one')
    await store.append([post], NOW)
    t.same(await store.append([{ ...post, content: 'two' }], NOW), [{ kind: 'reused' }])
    t.equal((await store.page('v', ALL)).length, 1)
  })

  t.test('a key belongs to its video and author', async t => {
    const store = await opened(t)
    const post = draft('v')
    const outcomes = await store.append([post, { ...post, videoId: 'w' }, { ...post, authorId: 'bob' }], NOW)
    t.same(outcomes.map(({ kind }) => kind), ['created', 'created', 'created'])
  })

  t.test('a key is still known 24 hours later', async t => {
    const store = await opened(t)
    const post = draft('v')
    await store.append([post], NOW)
    for (let i = 0; i < 10; i++) await store.append([draft('v'), draft('w')], NOW + 86_400_000 - 1)
    t.match(await store.append([post], NOW + 86_400_000 - 1), [{ kind: 'repeated' }])
  })

  t.test('pages have after < id ≤ until, in either order, at most `limit`', async t => {
    const store = await opened(t)
    const stored = (await store.append(Array.from({ length: 20 }, (_, i) => draft('v', `c${i}`)), NOW)).map(created)
    await store.append([draft('u'), draft('w')], NOW)
    const bound = fc.oneof(fc.constantFrom(0, MAX_CURSOR), fc.tuple(fc.constantFrom(...ids(stored)), fc.integer({ min: -1, max: 1 })).map(([id, d]) => id + d))
    await fc.assert(
      fc.asyncProperty(bound, bound, fc.boolean(), fc.integer({ min: 1, max: 25 }), async (after, until, newestFirst, limit) => {
        const inside = stored.filter(({ comment }) => comment.id > after && comment.id <= until)
        const expected = (newestFirst ? inside.toReversed() : inside).slice(0, limit).map(({ comment, prev }) => ({ comment, prev }))
        t.same(await store.page('v', { after, until, newestFirst, limit }), expected)
      }),
      { numRuns: 60 },
    )
  })

  t.test('many handles at once: one chain a video, nothing lost, nothing twice', async t => {
    const append = fc.record({
      handle: fc.integer({ min: 0, max: 2 }),
      clockMs: fc.integer({ min: -5, max: 5 }),
      drafts: fc.array(fc.record({ video: fc.constantFrom('a', 'b'), key: fc.integer({ min: 0, max: 12 }) }), { minLength: 1, maxLength: 6 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(append, { minLength: 1, maxLength: 12 }), async appends => {
        const under = await fixture(t)
        const stores = await Promise.all([under.open(), under.open(), under.open()])
        try {
          const outcomes = await Promise.all(
            appends.map(({ handle, clockMs, drafts }) =>
              stores[handle]!.append(drafts.map(({ video, key }) => draft(video, 'same', { key: `k${key}` })), NOW + clockMs),
            ),
          )
          const asked = new Set(appends.flatMap(({ drafts }) => drafts.map(({ video, key }) => `${video} k${key}`)))
          const made = outcomes.flat().filter(({ kind }) => kind === 'created').map(created)
          t.equal(made.length, asked.size, 'one comment a key')
          for (const video of ['a', 'b']) {
            const chain = await stores[0].page(video, ALL)
            let prev = 0
            for (const stored of chain) {
              t.ok(stored.comment.id > prev)
              t.equal(stored.prev, prev)
              prev = stored.comment.id
            }
            t.same(chain.map(({ comment, prev }) => [comment.id, prev]), made.filter(({ comment }) => comment.videoId === video).map(({ comment, prev }) => [comment.id, prev]).sort((x, y) => x[0]! - y[0]!))
          }
        } finally {
          await Promise.all(stores.map(store => store.close()))
        }
      }),
      { numRuns: 8 },
    )
  })

  t.test('what an append has resolved, every handle sees', async t => {
    const under = await fixture(t)
    const [one, other] = [await under.open(), await under.open()]
    t.teardown(() => Promise.all([one.close(), other.close()]))
    for (let i = 0; i < 20; i++) {
      const [outcome] = await one.append([draft('v')], NOW)
      const { id } = created(outcome).comment
      t.equal((await other.lastIds(['v'])).get('v'), id)
      t.same(ids(await other.page('v', { ...ALL, newestFirst: true, limit: 1 })), [id])
    }
  })
  t.test('an act has a place among the comments, and a key', async t => {
    const store = await opened(t)
    const closing = act('v', { type: 'settings', settings: { slowModeSeconds: 30, closed: true, signedInOnly: false } })
    const [first, second, third, again] = await store.append([draft('v'), closing, draft('v'), closing], NOW)
    const [before, done, after] = [first, second, third].map(created) as [Stored, Stored, Stored]
    t.match(done, { comment: { videoId: 'v', authorId: '', content: '', createdAt: NOW }, prev: before.comment.id, act: closing.act })
    t.equal(after.prev, done.comment.id)
    t.match(again, { kind: 'repeated', comment: { id: done.comment.id } })
    t.match(await store.append([{ ...closing, act: { type: 'settings', settings: DEFAULT_SETTINGS } }], NOW), [{ kind: 'reused' }])
    t.same(await store.page('v', ALL), [before, done, after].map(({ kind: _, ...stored }: Stored & { kind?: string }) => stored))
  })

  t.test('a comment that is deleted is a tombstone from then on, and stays one when it is erased', async t => {
    const store = await opened(t)
    const post = draft('v', 'regretted', { authorName: 'Ann Zoë' })
    const [one, two] = (await store.append([post, draft('v', 'fine')], NOW)).map(created) as [Stored, Stored]
    const target = one.comment.id
    const [outcome] = await store.append([act('v', { type: 'deleted', target })], NOW + 1)
    const done = created(outcome)
    const tombstone = { comment: { id: target, videoId: 'v', authorId: '', content: '', createdAt: NOW }, prev: 0, deletedBy: done.comment.id }
    const expected = [tombstone, { comment: two.comment, prev: target }, { comment: done.comment, prev: two.comment.id, act: { type: 'deleted', target } }]
    t.same(await store.page('v', ALL), expected, 'before it is erased')
    for (let i = 0; i < 2; i++) await store.erase('v', target)
    t.same(await store.page('v', ALL), expected)
    t.same((await store.state(['v'], NOW)).get('v')!.unerased, [])
    t.match(await store.append([act('v', { type: 'deleted', target })], NOW + 2), [{ kind: 'repeated', comment: { id: done.comment.id } }], 'once is enough')
    t.match(await store.append([post, { ...post, content: 'other' }], NOW + 2), [{ kind: 'repeated', comment: { id: target, content: 'regretted' } }, { kind: 'reused' }], 'its key knows it still')
    t.match(await store.madeBy(post), { id: target })
    t.equal((await store.page('v', ALL)).length, 3)
  })

  t.test('what is not a comment of the video cannot be deleted or pinned', async t => {
    const store = await opened(t)
    const [one, other] = (await store.append([draft('v'), draft('w')], NOW)).map(created) as [Stored, Stored]
    const [deletion] = await store.append([act('v', { type: 'deleted', target: one.comment.id })], NOW)
    for (const target of [created(deletion).comment.id, other.comment.id + 1, 1]) {
      t.same(await store.append([act('v', { type: 'deleted', target }), act('v', { type: 'pinned', target })], NOW), [{ kind: 'missing' }, { kind: 'missing' }])
    }
    t.same(await store.append([act('v', { type: 'pinned', target: one.comment.id })], NOW), [{ kind: 'missing' }], 'nor a deleted one pinned')
    t.equal((await store.page('v', ALL)).length, 2)
  })

  t.test('the state is what the acts have come to', async t => {
    const under = await fixture(t)
    const [store, other] = [await under.open(), await under.open()]
    t.teardown(() => Promise.all([store.close(), other.close()]))
    const state = async () => (await other.state(['v', 'empty'], NOW)).get('v')!
    t.same((await store.state(['empty'], NOW)).get('empty'), { settings: DEFAULT_SETTINGS, pinned: undefined, head: 0, bans: new Map(), unerased: [] })
    const [one, two] = (await store.append([draft('v', 'one'), draft('v', 'two')], NOW)).map(created) as [Stored, Stored]
    const settings = { slowModeSeconds: 10, closed: false, signedInOnly: true }
    const outcomes = await store.append(
      [
        act('v', { type: 'pinned', target: one.comment.id }),
        act('v', { type: 'settings', settings }),
        act('v', { type: 'author-banned', authorId: 'bob', until: NOW + 1_000 }),
        act('v', { type: 'author-banned', authorId: 'cat', until: NOW + 1_000 }),
        act('v', { type: 'author-banned', authorId: 'cat', until: 0 }),
        act('v', { type: 'author-banned', authorId: 'dan', until: NOW }),
      ],
      NOW,
    )
    t.same(created(outcomes[0]).pinned, one.comment)
    t.same(await state(), { settings, pinned: one.comment, head: created(outcomes.at(-1)).comment.id, bans: new Map([['bob', NOW + 1_000]]), unerased: [] })
    t.same((await other.state(['v'], NOW + 1_000)).get('v')!.bans, new Map())
    t.same((await other.page('v', ALL))[2]!.pinned, one.comment)
    await store.append([act('v', { type: 'deleted', target: one.comment.id })], NOW)
    t.equal((await state()).pinned, undefined, 'nothing deleted is pinned')
    t.notOk('pinned' in (await other.page('v', ALL))[2]!)
    await store.append([act('v', { type: 'pinned', target: two.comment.id })], NOW)
    t.same((await state()).pinned, two.comment)
    await store.append([act('v', { type: 'pinned', target: undefined }), draft('v')], NOW)
    t.same({ ...(await state()), head: 0 }, { settings, pinned: undefined, head: 0, bans: new Map([['bob', NOW + 1_000]]), unerased: (await state()).unerased })
  })

  t.test('when an author last posted', async t => {
    const store = await opened(t)
    t.equal(await store.lastPostedAt('v', 'ann'), undefined)
    await store.append([draft('v')], NOW)
    await store.append([draft('w'), draft('v', 'hello', { authorId: 'bob' }), act('v', { type: 'pinned', target: undefined }, { authorId: 'ann' })], NOW + 1_000)
    t.equal(await store.lastPostedAt('v', 'ann'), NOW, 'not what others did, or elsewhere, or an act')
  })

  t.test('an author\'s comments are found in all videos', async t => {
    const store = await opened(t)
    const outcomes = await store.append([draft('v'), draft('w'), draft('v', 'x', { authorId: 'bob' }), draft('w'), draft('u'), draft('u', 'x', { authorId: 'bob' }), draft('w')], NOW)
    const [v, , , w, u] = outcomes.map(outcome => ('comment' in outcome ? outcome.comment : undefined))
    await store.append([act('w', { type: 'deleted', target: w!.id })], NOW)
    const found: string[] = []
    let after: string | undefined
    do {
      const part = await store.commentsBy('ann', after)
      found.push(...part.places.map(({ videoId, id }) => `${videoId} ${id}`))
      after = part.after
    } while (after !== undefined)
    const left = outcomes.flatMap(outcome => ('comment' in outcome && outcome.comment.authorId === 'ann' && outcome.comment !== w ? [`${outcome.comment.videoId} ${outcome.comment.id}`] : []))
    t.same(found.sort(), left.sort())
    t.ok(found.includes(`${v!.videoId} ${v!.id}`) && found.includes(`${u!.videoId} ${u!.id}`))
  })

  t.test('a held comment is in no page, waits, and becomes a comment when it is approved', async t => {
    const under = await fixture(t)
    const [store, other] = [await under.open(), await under.open()]
    t.teardown(() => Promise.all([store.close(), other.close()]))
    const post = draft('v', 'perhaps', { authorName: 'Ann Zoë' })
    const [before, held] = await store.append([draft('v'), { ...post, review: 'hold' }], NOW)
    t.same(held, { kind: 'held' })
    const id = heldIdOf(post)
    const waiting = { id, videoId: 'v', authorId: 'ann', authorName: 'Ann Zoë', content: 'perhaps', heldAt: NOW }
    t.same(await other.page('v', ALL), [{ comment: created(before).comment, prev: 0 }])
    t.same(await other.heldIn('v', 10), [waiting])
    t.same(await other.held('v', id), { ...waiting, key: post.key, said: saidOf(post) })
    t.same([await other.heldIn('w', 10), await other.held('w', id), await other.madeBy(post)], [[], undefined, undefined])
    const reviews = ['publish', 'hold'] as const
    for (const review of reviews) t.same(await other.append([{ ...post, review }], NOW + 1), [{ kind: 'held' }], 'a repetition does not pass it by')
    t.same(await other.append([{ ...post, content: 'other', review: 'hold' }], NOW + 1), [{ kind: 'reused' }])

    const approval = { ...post, review: 'approve' as const }
    const [first, again] = await other.append([approval, approval], NOW + 2)
    const { comment, prev } = created(first)
    t.match(comment, { authorId: 'ann', authorName: 'Ann Zoë', content: 'perhaps', createdAt: NOW + 2 })
    t.equal(prev, created(before).comment.id)
    t.same(again, { kind: 'repeated', comment })
    for (const review of reviews) t.same(await store.append([{ ...post, review }], NOW + 3), [{ kind: 'repeated', comment }])
    t.same(await store.append([{ ...post, content: 'other', review: 'publish' }], NOW + 3), [{ kind: 'reused' }])
    t.same([await store.heldIn('v', 10), (await store.held('v', id))?.decided, (await store.held('v', id))?.content], [[], { approved: comment.id }, ''])
    t.same((await store.refuseHeld('v', id, undefined, NOW + 3))?.decided, { approved: comment.id }, 'too late to refuse it')
    t.equal((await store.page('v', ALL)).length, 2)
  })

  t.test('a held comment that is refused is told to those who repeat it, and leaves no text', async t => {
    const store = await opened(t)
    const [post, other] = [draft('v', 'rude'), draft('v', 'ruder')]
    await store.append([post, other].map(each => ({ ...each, review: 'hold' as const })), NOW)
    t.match(await store.refuseHeld('v', heldIdOf(post), 'be kind', NOW + 1), { content: '', decided: { refused: true, reason: 'be kind' } })
    t.match(await store.refuseHeld('v', heldIdOf(post), 'too late', NOW + 2), { decided: { reason: 'be kind' } }, 'once')
    t.equal(JSON.stringify((await store.refuseHeld('v', heldIdOf(other), undefined, NOW + 1))?.decided), '{"refused":true}')
    for (const review of ['publish', 'hold', 'approve'] as const) t.same(await store.append([{ ...post, review }], NOW + 3), [{ kind: 'refused', reason: 'be kind' }])
    t.same([await store.heldIn('v', 10), await store.page('v', ALL)], [[], []])
    t.same(await store.append([draft('v')].map(each => ({ ...each, review: 'approve' as const })), NOW), [{ kind: 'missing' }], 'nothing of the kind is held')
    t.equal(await store.refuseHeld('v', heldIdOf(draft('v')), undefined, NOW), undefined)
  })

  t.test('held comments come oldest first, and an author\'s are forgotten in all videos', async t => {
    const store = await opened(t)
    const drafts = [draft('v', 'one'), draft('v', 'two', { authorId: 'bob' }), draft('v', 'three'), draft('w', 'four')]
    for (const [i, each] of drafts.entries()) await store.append([{ ...each, review: 'hold' }], NOW + i)
    t.same((await store.heldIn('v', 2)).map(({ content }) => content), ['one', 'two'])
    await store.refuseHeld('v', heldIdOf(drafts[0]!), undefined, NOW + 9)
    t.same((await store.heldIn('v', 2)).map(({ content }) => content), ['two', 'three'])
    t.equal(await store.eraseHeld('ann'), 2, 'what waited')
    t.same([await store.heldIn('v', 9), await store.heldIn('w', 9)].flat().map(({ content }) => content), ['two'])
    t.equal(await store.held('v', heldIdOf(drafts[0]!)), undefined)
  })

  t.test('a draft of which nothing is held is published though it was reviewed; one whose time is up is not held', async t => {
    const store = await opened(t)
    const post = draft('late') // another case may have left something in another video
    const [first] = await store.append([{ ...post, review: 'publish' }], NOW)
    const { comment } = created(first)
    t.same(await store.append([{ ...post, review: 'hold' }], NOW), [{ kind: 'repeated', comment }], 'too late to hold it')
    t.same(await store.append([{ ...draft('late'), review: 'hold', deadline: performance.now() - 1 }], NOW), [{ kind: 'expired' }])
    t.same(await store.heldIn('late', 9), [])
  })

  t.test('a web hook is to be sent what is stored for one, until it has taken it, and nothing that was there before', async t => {
    const under = await fixture(t)
    const before = await under.open()
    t.teardown(() => before.close())
    await before.append([draft('hook a'), draft('hook b')], NOW)
    t.same(await before.unsent('hook a', 10), { after: undefined, held: [] })
    const store = await under.open(true)
    t.teardown(() => store.close())
    t.same(await videosFor(store), [])

    const one = created((await store.append([draft('hook a')], NOW + 1))[0])
    t.same(await store.unsent('hook a', 10), { after: one.prev, held: [] })
    const two = created((await store.append([act('hook a', { type: 'pinned', target: one.comment.id })], NOW + 2))[0])
    const taken = async (id: number) => {
      await store.noteTaken({ entries: new Map([['hook a', id]]), held: [] })
      return { after: (await before.unsent('hook a', 10)).after, videos: await videosFor(store) }
    }
    t.same(await taken(one.comment.id), { after: one.comment.id, videos: ['hook a'] })
    t.same(await taken(one.prev), { after: one.comment.id, videos: ['hook a'] }, 'it never goes back')
    t.same(await taken(two.comment.id + 5), { after: one.comment.id, videos: ['hook a'] }, 'an id that the video has not')
    t.same(await taken(two.comment.id), { after: two.comment.id, videos: [] })

    await store.append(['hook b', 'hook c', 'hook d', 'hook e', 'hook f', 'hook g'].map(videoId => draft(videoId)), NOW + 3)
    t.same(await videosFor(store), ['hook b', 'hook c', 'hook d', 'hook e', 'hook f', 'hook g'])
    t.equal((await store.unsent('hook c', 10)).after, 0)
  })

  t.test('a web hook is to be sent what is held, and what is decided about it, each once', async t => {
    const store = await (await fixture(t)).open(true)
    t.teardown(() => store.close())
    const [first, second, third] = [draft('hook h', 'one'), draft('hook h', 'two'), draft('hook h', 'three', { authorId: 'eve' })]
    const hold = (post: Timed) => store.append([{ ...post, review: 'hold' }], NOW)
    const held = async () => (await store.unsent('hook h', 10)).held
    const take = async () => store.noteTaken({ entries: new Map(), held: await held() })
    await hold(first)
    t.match(await held(), [{ id: heldIdOf(first), content: 'one', decided: undefined }])
    t.same(await videosFor(store), ['hook h'])
    const waiting = await held()
    await take()
    await hold(first)
    t.same([await held(), await videosFor(store)], [[], []], 'one that is repeated is no news')

    await store.refuseHeld('hook h', heldIdOf(first), 'be kind', NOW + 1)
    await store.noteTaken({ entries: new Map(), held: waiting })
    t.match(await held(), [{ id: heldIdOf(first), content: '', decided: { refused: true, reason: 'be kind' } }], 'it was sent as one that waits')
    await take()
    t.same(await held(), [])

    await hold(second)
    await hold(third)
    const { comment } = created((await store.append([{ ...second, review: 'approve' }], NOW + 2))[0])
    t.match((await held()).find(({ id }) => id === heldIdOf(second)), { decided: { approved: comment.id } }, 'that it was held is no news any more')
    t.match(await store.unsent('hook h', 10), { after: comment.id > 0 ? 0 : undefined })
    await store.eraseHeld('eve')
    t.same((await held()).map(({ id }) => id), [heldIdOf(second)], 'of an author who is forgotten nothing is sent')
    await take()
    t.same(await held(), [])
  })
}

/** Those of this case that have something for the hook: a keyspace may have others. */
async function videosFor(store: Store): Promise<string[]> {
  const found: string[] = []
  let after: string | undefined
  do {
    const part = await store.unsentVideos(after, videoId => videoId.startsWith('hook '))
    found.push(...part.videoIds)
    after = part.after
  } while (after !== undefined)
  return found.filter(videoId => videoId.startsWith('hook ')).sort()
}
