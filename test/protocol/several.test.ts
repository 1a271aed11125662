import fc from 'fast-check'
import t from 'tap'
import { MAX_CURSOR } from '../../protocol/id.js'
import { messagesOf } from '../../protocol/message.js'
import { MAX_VIDEOS, parsePlaces, parseVideos, Places, sharedEvents, tagsOf, withIds } from '../../protocol/several.js'
import { commentEvent, deletedEvent, gapEvent, HEARTBEAT, readyEvent, SseParser, viewersEvent } from '../../protocol/sse.js'

const comment = (id: number, content = 'x') => commentEvent(id, JSON.stringify({ id: String(id), authorId: 'a', content }))
const [A = '', B = ''] = tagsOf(['a', 'b'])

t.test('videos are named once each, with a cursor where one is known', async t => {
  t.same(parseVideos('a,b:12,c:0', 3), [{ videoId: 'a', after: undefined }, { videoId: 'b', after: 12 }, { videoId: 'c', after: 0 }])
  const refused = [
    ['', 'BAD_VIDEOS', /1 to 50/],
    [Array.from({ length: 51 }, (_, i) => `v${i}`).join(), 'BAD_VIDEOS', /1 to 50/],
    ['a,b,a', 'BAD_VIDEOS', /a twice/],
    ['a,b:1,b:2', 'BAD_VIDEOS', /b twice/],
    ['a,,b', 'BAD_VIDEO_ID', /videos/],
    ['a,', 'BAD_VIDEO_ID', /videos/],
    ['a,b.c', 'BAD_VIDEO_ID', /videos/],
    ['a, b', 'BAD_VIDEO_ID', /videos/],
    ['a:', 'BAD_CURSOR', /cursor of a/],
    ['a:x', 'BAD_CURSOR', /cursor of a/],
    ['a:1:2', 'BAD_CURSOR', /cursor of a/],
    [`a:${MAX_CURSOR + 1}`, 'BAD_CURSOR', /cursor of a/],
  ] as const
  for (const [text, code, message] of refused) t.throws(() => parseVideos(text, MAX_VIDEOS), { code, message }, text)
})

t.test('an id says where a viewer stands in each video, whatever the order in which it names them', async t => {
  await fc.assert(fc.asyncProperty(fc.uniqueArray(fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/), { minLength: 1, maxLength: MAX_VIDEOS }), fc.array(fc.tuple(fc.nat(), fc.maxSafeNat()), { minLength: 1, maxLength: 20 }), async (videos, moves) => {
    const places = new Places(videos.map(videoId => ({ videoId, after: undefined })))
    const tags = tagsOf(videos)
    const known = new Map<string, number>()
    for (const [pick, cursor] of moves) {
      const video = pick % videos.length
      const [id] = places.passed(video, [cursor])
      known.set(tags[video]!, cursor)
      t.same([...parsePlaces(id!)!].sort(), [...known].sort())
    }
  }), { numRuns: 50 })
})

t.test('the longest id can be read, and what is none is refused', async t => {
  const videos = Array.from({ length: MAX_VIDEOS }, (_, i) => ({ videoId: `v${i}`, after: MAX_CURSOR }))
  const [id] = new Places(videos).passed(0, [MAX_CURSOR])
  t.equal(id!.length, 50 * 18)
  t.equal(parsePlaces(id!)!.size, MAX_VIDEOS)
  t.same([...parsePlaces(`~${A}5`)!], [[A, 5]])
  for (const text of ['', '~', 'undefined', '243901510635520', `${A}5`, `~${A}`, `~${A}5.`, `~.${A}5`, `~${A}5.${A}6`, `~${A}5,${B}6`, `~${A}-5`, `~${A}A`, `~${A}zzzzzzzzzzz`, `${id}.${A}5`]) t.equal(parsePlaces(text), undefined, text.slice(0, 40))
})

t.test('events say whose they are and where they stand, and each id is that of the viewer', async t => {
  const text = `${HEARTBEAT}${comment(10, 'a\n\ndata: {')}${deletedEvent(11, 10)}${gapEvent(11, 20)}${readyEvent(20, 'b', 3)}${viewersEvent(4)}${HEARTBEAT}`
  const shared = sharedEvents('events', 'b', text)
  t.same(shared.cursors, [10, 11, 20, 20])
  const places = new Places([{ videoId: 'a', after: 7 }, { videoId: 'b', after: undefined }, { videoId: 'c', after: undefined }])
  const bytes = withIds('events', shared, places.passed(1, shared.cursors))
  const events = new SseParser().push(bytes)
  const at = (cursor: number) => `~${A}7.${B}${cursor.toString(36)}`
  t.same(events.map(({ event, id, data }) => [event, id, JSON.parse(data) as unknown]), [
    ['message', at(10), { videoId: 'b', id: '10', authorId: 'a', content: 'a\n\ndata: {' }],
    ['deleted', at(11), { videoId: 'b', id: '11', target: '10' }],
    ['gap', at(20), { videoId: 'b', id: '20', from: '11', to: '20' }],
    ['ready', at(20), { videoId: 'b', id: '20', viewers: 3 }],
    ['viewers', at(20), { videoId: 'b', viewers: 4 }],
  ])
  for (const block of bytes.toString().split('\n\n').slice(0, -1)) t.match(block, /^data: /m, 'no block is without data')
})

t.test('a message has one id, of the last event that has one: it comes whole or not at all', async t => {
  const print = (text: string) => {
    const shared = sharedEvents('messages', 'b', text)
    const ids = shared.cursors.length === 0 ? [] : new Places([{ videoId: 'a', after: 7 }, { videoId: 'b', after: undefined }]).passed(1, shared.cursors)
    return JSON.parse(withIds('messages', shared, ids).toString()) as unknown
  }
  t.same(print(`${comment(10)}${comment(11)}${viewersEvent(4)}`), [
    { event: 'message', data: { videoId: 'b', id: '10', authorId: 'a', content: 'x' } },
    { event: 'message', id: `~${A}7.${B}b`, data: { videoId: 'b', id: '11', authorId: 'a', content: 'x' } },
    { event: 'viewers', data: { videoId: 'b', viewers: 4 } },
  ])
  t.same(print(viewersEvent(4)), [{ event: 'viewers', data: { videoId: 'b', viewers: 4 } }])
  t.same(print(HEARTBEAT), JSON.parse(messagesOf('')))
})

t.test('what viewers are not told of is a line that means nothing', async t => {
  t.same(sharedEvents('events', 'b', HEARTBEAT), { segments: [Buffer.from(HEARTBEAT)], cursors: [] })
})
