import { Buffer } from 'node:buffer'
import t from 'tap'
import { Poster } from '../../gateway/post-comment.js'
import { PostPipe } from '../../gateway/post-pipe.js'
import type { LiveError } from '../../protocol/errors.js'
import { parsePosts, printResults, READS_HEADER, READS_OUTCOME_UNKNOWN, type PostBatch, type PostResult } from '../../protocol/posts.js'
import type { Reply } from '../../runtime/http/reply.js'
import type { Call } from '../../runtime/peers/client.js'
import { Failover } from '../../runtime/peers/failover.js'
import { PeerError, type PeerFailure } from '../../runtime/peers/peer-error.js'
import { FakeClock } from '../support/fake-clock.js'
import { dispatcherNode } from '../support/nodes.js'

interface Batch extends PostBatch {
  readonly to: string
  readonly at: number
  readonly headers: Call['headers']
  answer(...results: PostResult[]): void
  fail(failure: PeerFailure | PeerError): void
}

const stored = (id: number): PostResult => ({ comment: { id, videoId: 'v', authorId: 'ann', content: 'hello', createdAt: 1 }, created: true })
const error = (code: 'STORE_UNAVAILABLE' | 'UNAVAILABLE' | 'OUTCOME_UNKNOWN' | 'DUPLICATE_COMMENT' | 'WORD_NOT_ALLOWED' | 'OVERLOADED' | 'REVIEW_REFUSED' | 'REVIEW_UNAVAILABLE' | 'COMMENTS_CLOSED'): PostResult => ({ error: { code, message: code } })

/** A poster before dispatchers d1, d2, … that answer what the test says; those in `frozen` answer no ping either. */
function stage(count = 2, frozen: ReadonlySet<string> = new Set(), reply: (batch: Batch) => void = () => {}) {
  const clock = new FakeClock()
  const nodes = Array.from({ length: count }, (_, i) => dispatcherNode(`d${i + 1}`, { internalUrl: `http://d${i + 1}` }))
  const batches: Batch[] = []
  const failover = new Failover({
    clock,
    random: () => 0.5,
    ping: ({ id }, timeoutMs) => new Promise(resolve => clock.after(frozen.has(id) ? timeoutMs : 1, () => resolve(frozen.has(id) ? 'timeout' : undefined))),
    known: () => true,
    onRefused: () => {},
  })
  const client = {
    call: (url: string, { body, timeoutMs, headers }: Call) =>
      new Promise<Buffer>((resolve, reject) => {
        const cancel = clock.after(timeoutMs, () => reject(new PeerError('timeout', 'timeout')))
        const batch: Batch = {
          ...parsePosts(Buffer.from(body!)),
          to: url.slice(7),
          at: clock.now(),
          headers,
          answer(...results) {
            cancel()
            resolve(Buffer.from(printResults(results)))
          },
          fail(failure) {
            cancel()
            reject(typeof failure === 'string' ? new PeerError(failure, failure) : failure)
          },
        }
        batches.push(batch)
        reply(batch)
      }),
  }
  const homes = { elsewhere: (videoId: string) => (videoId.startsWith('away') ? { name: 'east', urls: [] } : undefined) }
  const poster = new Poster({ client, clock, failover, owners: () => nodes, homes })
  const post = (key?: string, content = 'hello', lostMs = 0, videoId = 'v') => {
    const outcome: { reply?: Reply; error?: LiveError; at?: number } = {}
    poster.post(videoId, key, Promise.resolve(Buffer.from(JSON.stringify({ content, authorId: 'ann' }))), { lostMs }).then(
      reply => Object.assign(outcome, { reply, at: clock.now() }),
      (error: unknown) => Object.assign(outcome, { error, at: clock.now() }),
    )
    return outcome
  }
  return { clock, batches, failover, poster, post, tried: () => batches.map(({ to }) => to) }
}

t.test('a post says how long its poster waits, and that its sender reads OUTCOME_UNKNOWN', async t => {
  const { clock, batches, post } = stage()
  const outcome = post('k')
  await clock.advance(0)
  t.match(batches, [{ to: 'd1', passedOn: false, posts: [{ content: 'hello', key: 'k', leftMs: 3_000 }], headers: { [READS_HEADER]: READS_OUTCOME_UNKNOWN } }])
  batches[0]!.answer(stored(7))
  await clock.advance(0)
  t.equal(outcome.reply?.status, 201)
})

t.test('posts whose home is another cluster, and wait for it, hold up none whose home is here', async t => {
  const { clock, batches, post } = stage(1)
  for (const key of ['a', 'b', 'c']) {
    post(key, 'hello', 0, 'away-1')
    await clock.advance(100)
  }
  t.same(batches.map(({ posts }) => posts.map(({ key }) => key)), [['a'], ['b']], 'two batches are under way, and the third waits')
  const outcome = post('d')
  await clock.advance(0)
  t.match(batches[2], { to: 'd1', posts: [{ key: 'd', videoId: 'v' }] })
  batches[2]!.answer(stored(7))
  await clock.advance(0)
  t.equal(outcome.reply?.status, 201)
})

t.test('what a post waited while this process stood still comes off its time', async t => {
  const { clock, batches, post } = stage()
  const late = post('k', 'hello', 8_000)
  await clock.advance(0)
  t.match(late.error, { code: 'UNAVAILABLE', status: 503 })
  t.equal(batches.length, 0, 'it is asked of nobody')
  const outcome = post('l', 'hello', 6_500)
  await clock.advance(0)
  t.match(batches, [{ posts: [{ key: 'l', leftMs: 1_500 }] }])
  await clock.advance(1_500)
  t.match(outcome.error, { code: 'OUTCOME_UNKNOWN' })
})

t.test('503 where nobody was reached at all, or every dispatcher refused', async t => {
  const { clock, batches, post } = stage(2, new Set(), batch => batch.fail('refused'))
  const outcome = post()
  await clock.advance(8_000)
  t.match(outcome.error, { code: 'UNAVAILABLE', status: 503 })
  t.ok(batches.length > 20, 'it is tried again and again')
  t.ok(outcome.at! <= 8_000, `${outcome.at}`)

  const second = stage()
  const refused = second.post()
  await second.clock.advance(0)
  second.batches[0]!.answer(error('STORE_UNAVAILABLE'))
  await second.clock.advance(0)
  second.batches[1]!.answer(error('UNAVAILABLE'))
  await second.clock.advance(0)
  t.match(refused.error, { code: 'UNAVAILABLE', status: 503 })
})

t.test('504 with the key where any dispatcher may have stored it', async t => {
  for (const lost of ['lost', 'timeout', new PeerError('status', 'an error', { status: 500 })] as const) {
    const { clock, batches, post } = stage()
    const outcome = post('my-key')
    await clock.advance(0)
    batches[0]!.fail(lost)
    await clock.advance(0)
    batches[1]!.answer(error('STORE_UNAVAILABLE'))
    await clock.advance(0)
    t.match(outcome.error, { code: 'OUTCOME_UNKNOWN', status: 504, details: { idempotencyKey: 'my-key' } })
  }
  const { clock, batches, post } = stage(1)
  const outcome = post()
  await clock.advance(0)
  const { key } = batches[0]!.posts[0]!
  batches[0]!.answer(error('OUTCOME_UNKNOWN'))
  await clock.advance(0)
  t.match(outcome.error, { code: 'OUTCOME_UNKNOWN', details: { idempotencyKey: key } }, 'also the key that was made here')
  const doubt = stage()
  const doubted = doubt.post()
  for (const [i, code] of (['OUTCOME_UNKNOWN', 'STORE_UNAVAILABLE'] as const).entries()) {
    await doubt.clock.advance(0)
    doubt.batches[i]!.answer(error(code))
  }
  await doubt.clock.advance(0)
  t.match(doubted.error, { code: 'OUTCOME_UNKNOWN' }, 'whatever the next one says')
})

t.test('who is refused because too many posts wait is told when to come back', async t => {
  const { clock, batches, post } = stage(1)
  const outcome = post()
  await clock.advance(0)
  batches[0]!.answer(error('OVERLOADED'))
  await clock.advance(0)
  t.match(outcome.error, { code: 'OVERLOADED', headers: { 'retry-after': '1' } })
})

t.test('who comes when 8 MB of posts wait for the one dispatcher there is, is refused at once and told when to come back', async t => {
  const { clock, batches, failover, post } = stage(1)
  const content = 'é'.repeat(1_000)
  for (let i = 0; i < 2; i++) post(undefined, content)
  await clock.advance(8) // two are under way, and 3,718 of 2,256 bytes may wait
  for (let i = 0; i < 3_717; i++) post(undefined, content)
  const last = post(undefined, content)
  await clock.advance(0)
  t.equal(last.error, undefined)
  const refused = post(undefined, content)
  await clock.advance(0)
  t.match(refused.error, { code: 'OVERLOADED', message: 'too many posts are waiting', headers: { 'retry-after': '1' } })
  t.equal(batches.length, 2)
  t.equal(failover.backedOffCount, 0, 'it says nothing of the dispatcher')
})

t.test('a pipe to a dispatcher is bounded: two batches under way, each of 256 posts and 512 KB at most, and 8 MB that wait', async t => {
  const clock = new FakeClock()
  const calls: { readonly posts: number; readonly passedOn: boolean; readonly bytes: number; readonly answer: () => void }[] = []
  const client = {
    call: (_: string, { body }: Call) => new Promise<Buffer>(resolve => {
      const { posts, passedOn } = parsePosts(Buffer.from(body!))
      calls.push({ posts: posts.length, passedOn, bytes: body!.length, answer: () => resolve(Buffer.from(printResults(posts.map(() => stored(1))))) })
    }),
  }
  const pipe = new PostPipe(client, clock, 'http://d1')
  t.ok(pipe.idle)
  const send = (size: number, isTwin = false, deadline = 60_000) => {
    const refused: string[] = []
    const draft = { videoId: 'v', authorId: 'ann', content: 'x'.repeat(size), key: 'k' }
    pipe.send({ draft, stored: false }, deadline, isTwin).catch((failure: LiveError | PeerError) => refused.push(failure instanceof PeerError ? failure.failure : failure.code))
    return refused
  }
  const step = async (n: number) => {
    calls[n]!.answer()
    await clock.advance(8)
  }
  for (let i = 0; i < 2; i++) send(5)
  t.same(calls.map(({ posts }) => posts), [1], 'the first goes at once')
  await clock.advance(8)
  for (let i = 2; i < 300; i++) send(5)
  t.same(calls.map(({ posts }) => posts), [1, 1])
  t.notOk(pipe.idle)
  send(5, true)
  for (let i = 0; i < 3; i++) send(200_000)
  for (let i = 0; i < calls.length; i++) await step(i)
  t.same(calls.map(({ posts }) => posts), [1, 1, 256, 42, 1, 2, 1])
  t.same(calls.map(({ passedOn }) => passedOn), [false, false, false, false, true, false, false])
  t.ok(pipe.idle)
  send(5)
  t.notOk(pipe.idle)
  send(5)
  await clock.advance(8)
  const late = send(5, false, 100)
  await clock.advance(100)
  await step(calls.length - 2)
  t.same([late, calls.length], [['timeout'], 9], 'what is late is not sent')
  send(5)
  for (let i = 0; i < 2; i++) send((4 << 20) - 256)
  const refused = send(5)
  await clock.advance(0)
  t.same(refused, ['OVERLOADED'])
})

t.test('posts within milliseconds of each other share a batch; one in a quiet moment goes at once', async t => {
  const { clock, batches, post } = stage(1, new Set(), batch => batch.answer(...batch.posts.map((_, i) => stored(i + 1))))
  const posts = () => batches.map(batch => batch.posts.length)
  post()
  await clock.advance(0)
  t.same(posts(), [1])
  await clock.advance(1)
  for (let i = 0; i < 3; i++) post()
  await clock.advance(6)
  t.same(posts(), [1])
  await clock.advance(1)
  t.same(posts(), [1, 3])
  await clock.advance(8)
  post()
  await clock.advance(0)
  t.same(posts(), [1, 3, 1])
})

t.test('a pipe that is busy stays the one to its dispatcher when one to another is made', async t => {
  const { clock, batches, post } = stage()
  post('a')
  post('b')
  await clock.advance(300) // both are hedged: a pipe to d2 is made
  t.same(batches.map(({ to }) => to), ['d1', 'd1', 'd2', 'd2'])
  post('c')
  await clock.advance(0)
  t.equal(batches.length, 4, 'it waits for its turn at d1')
})

t.test('a connect that never was is no doubt', async t => {
  const { clock, post } = stage(1, new Set(), batch => batch.fail(new PeerError('timeout', 'no connection', { sent: false })))
  const outcome = post()
  await clock.advance(8_000)
  t.match(outcome.error, { code: 'UNAVAILABLE' })
})

t.test('an owner that is frozen costs a post about half a second', async t => {
  const { clock, batches, post, failover } = stage(3, new Set(['d1']))
  for (let i = 0; i < 20; i++) post() // more than may be hedged
  const outcome = post()
  for (let ms = 0; ms < 1_000; ms += 10) {
    await clock.advance(10)
    for (const batch of batches) if (batch.to === 'd2') batch.answer(...batch.posts.map((_, i) => stored(i + 1)))
  }
  t.equal(outcome.reply?.status, 201)
  t.ok(outcome.at! < 700, `${outcome.at} ms`)
  t.ok(batches.filter(({ to }) => to === 'd2').every(({ passedOn }) => passedOn), 'the twin is not passed on to the owner')
  t.ok(failover.isBackedOff(dispatcherNode('d1')))
  const next = post()
  await clock.advance(0)
  batches.at(-1)!.answer(stored(99))
  await clock.advance(0)
  t.equal(next.reply?.status, 201, 'the next post does not wait at all')
})

t.test('a stored comment beats the refusal of a twin', async t => {
  const { clock, batches, post } = stage()
  const outcome = post()
  await clock.advance(260)
  t.same(batches.map(({ to }) => to), ['d1', 'd2'])
  batches[1]!.answer(error('DUPLICATE_COMMENT'))
  await clock.advance(0)
  t.same(outcome, {})
  batches[0]!.answer(stored(3))
  await clock.advance(0)
  t.equal(outcome.reply?.status, 201)
})

t.test('also a refusal by an act that the other dispatcher has not heard of', async t => {
  const { clock, batches, post } = stage()
  const outcome = post()
  await clock.advance(260)
  batches[1]!.answer(error('COMMENTS_CLOSED'))
  await clock.advance(0)
  t.same(outcome, {})
  batches[0]!.answer(stored(3))
  await clock.advance(0)
  t.equal(outcome.reply?.status, 201)
})

t.test('a refusal that rests on what is stored is none while another may have stored it', async t => {
  const { clock, batches, post } = stage()
  const outcome = post()
  await clock.advance(260)
  batches[1]!.answer(error('DUPLICATE_COMMENT'))
  await clock.advance(3_000) // the first never answers
  t.match(outcome.error, { code: 'OUTCOME_UNKNOWN' })
})

t.test('a refusal that every dispatcher would give is given at once', async t => {
  const { clock, batches, post } = stage()
  const outcome = post()
  await clock.advance(260)
  batches[1]!.answer(error('WORD_NOT_ALLOWED'))
  await clock.advance(0)
  t.match(outcome.error, { code: 'WORD_NOT_ALLOWED', status: 422 })
})

t.test('a post that is held is answered 202 with its key, and beats the refusal of a twin', async t => {
  const { clock, batches, post } = stage()
  const outcome = post('k')
  await clock.advance(260)
  batches[1]!.answer(error('REVIEW_REFUSED'))
  await clock.advance(0)
  t.same(outcome, {}, 'the review may have answered the other otherwise')
  batches[0]!.answer({ held: true })
  await clock.advance(0)
  t.equal(outcome.reply?.status, 202)
  t.same(JSON.parse(outcome.reply?.body as string), { held: true, idempotencyKey: 'k' })
})

t.test('a review that cannot be asked by one dispatcher may be by the next; a refusal is none while another may store', async t => {
  const { clock, batches, post } = stage()
  const first = post()
  await clock.advance(0)
  batches[0]!.answer(error('REVIEW_UNAVAILABLE'))
  await clock.advance(0)
  batches[1]!.answer(stored(3))
  await clock.advance(0)
  t.equal(first.reply?.status, 201)
  const second = post()
  await clock.advance(260)
  batches[3]!.answer(error('REVIEW_REFUSED'))
  await clock.advance(3_000)
  t.match(second.error, { code: 'OUTCOME_UNKNOWN' })
})

t.test('every poster is answered within 8 s, however frozen all are, and what waits here is not sent late', async t => {
  const { clock, batches, post } = stage(2, new Set(['d1', 'd2']))
  const outcomes = [post(), post(), post(), post()]
  await clock.advance(8_000)
  for (const outcome of outcomes) t.match(outcome, { error: { code: 'OUTCOME_UNKNOWN' } })
  t.ok(outcomes.every(({ at }) => at! <= 8_000))
  for (const { at, posts } of batches) for (const { leftMs } of posts) t.ok(at + leftMs! <= 8_000, `sent at ${at} with ${leftMs} ms left`)
  const sent = batches.length
  await clock.advance(20_000)
  t.equal(batches.length, sent)
})

t.test('also one that a dispatcher refused while its twin waits with posts that have more time', async t => {
  const { clock, batches, post } = stage()
  post('first')
  await clock.advance(0)
  const outcome = post('k', 'hello', 6_500)
  post('l')
  await clock.advance(300)
  t.match(batches.filter(({ posts }) => posts.some(({ key }) => key === 'k')), [{ to: 'd1', posts: [{ key: 'k', leftMs: 1_492 }, { key: 'l', leftMs: 2_992 }] }, { to: 'd2' }])
  for (const batch of batches) if (batch.to === 'd2') batch.answer(...batch.posts.map(() => error('COMMENTS_CLOSED')))
  await clock.advance(1_199)
  t.same(outcome, {}, 'its twin may have been stored')
  await clock.advance(1)
  t.match(outcome, { error: { code: 'OUTCOME_UNKNOWN' }, at: 1_500 })
  batches[1]!.answer(stored(7), stored(8))
  await clock.advance(0)
})

t.test('a post that was answered meanwhile is not sent once its turn comes', async t => {
  const { clock, batches, post } = stage(2, new Set(['d1']))
  post('a')
  post('b')
  await clock.advance(8)
  const third = post('c') // waits: two batches are under way
  await clock.advance(300)
  t.equal(batches.filter(({ to }) => to === 'd1').length, 2)
  for (const batch of batches.filter(({ to }) => to === 'd2')) batch.answer(...batch.posts.map((_, i) => stored(i + 1)))
  await clock.advance(0)
  for (const batch of batches.filter(({ to }) => to === 'd2')) batch.answer(...batch.posts.map((_, i) => stored(i + 1)))
  await clock.advance(0)
  t.equal(third.reply?.status, 201)
  for (const batch of batches.filter(({ to }) => to === 'd1')) batch.answer(...batch.posts.map((_, i) => stored(i + 1)))
  await clock.advance(10_000)
  t.notOk(batches.some(({ to, posts }) => to === 'd1' && posts.some(({ key }) => key === 'c')))
})
