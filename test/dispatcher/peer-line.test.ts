import type { Test } from 'tap'
import t from 'tap'
import { actAtHome, decideAtHome, postAtHome } from '../../dispatcher/home-calls.js'
import { PeerLine } from '../../dispatcher/peer-line.js'
import type { Call } from '../../runtime/peers/client.js'
import { PeerError, type PeerFailure } from '../../runtime/peers/peer-error.js'
import { FakeClock } from '../support/fake-clock.js'

/** A line to a cluster of two gateways, each of which answers or fails as the test says, or keeps silent until the time is up, or
 * says that it is not ready.
 * @param answer to everything */
function stage(t: Test, outcomes: Record<'a' | 'b', PeerFailure | 'answer' | 'silent' | 'unready'>, answer = '{}') {
  const clock = new FakeClock()
  const called: string[] = []
  const calls: Call[] = []
  const changes: string[] = []
  const client = {
    call(url: string, call: Call): Promise<Buffer> {
      const { path, headers, timeoutMs } = call
      const name = new URL(url).hostname as 'a' | 'b'
      if (!path.endsWith('/ping')) calls.push(call)
      if (!path.endsWith('/ping')) called.push(`${name} ${path} ${headers?.['x-live-peer']}`)
      const outcome = outcomes[name]
      if (outcome === 'unready') return Promise.reject(new PeerError('status', 'not ready', { status: 503, body: Buffer.from('{"error":{"code":"NOT_READY","message":"this gateway waits for the registry"}}') }))
      if (outcome === 'silent') return new Promise((_, reject) => clock.after(timeoutMs, () => reject(new PeerError('timeout', 'timeout'))))
      return outcome === 'answer' ? Promise.resolve(Buffer.from(answer)) : Promise.reject(new PeerError(outcome, outcome))
    },
  }
  const rule = { clusters: ['east', 'west'], defaultHome: null }
  const line = new PeerLine({ self: 'west', cluster: { name: 'east', urls: ['http://a', 'http://b'] }, rule, client, clock, random: () => 0.5, onChange: (name, failure) => changes.push(`${name} ${failure ?? 'answers'}`) })
  t.teardown(() => line.close())
  /** @returns `answered`, or whether it may have been done */
  const call = () => line.call('posts', { body: '', timeoutMs: 2_000 }).then(() => 'answered', (error: unknown) => (error as PeerError).sent)
  return { clock, called, calls, changes, line, call }
}

t.test('a gateway that does not answer is passed over, and asked last until it answers a ping', async t => {
  const outcomes: Parameters<typeof stage>[1] = { a: 'refused', b: 'answer' }
  const { clock, called, changes, line, call } = stage(t, outcomes)
  t.equal(await call(), 'answered')
  t.same(called, ['a /internal/peer/posts west', 'b /internal/peer/posts west'])
  t.equal(await call(), 'answered')
  t.same(called.slice(2), ['b /internal/peer/posts west'])
  t.ok(line.isUsable)
  t.same(changes, ['east answers'])
  outcomes.a = 'answer'
  await clock.advance(10_000)
  t.equal(await call(), 'answered')
  t.equal(called.at(-1), 'a /internal/peer/posts west')
})

t.test('what no gateway can have done was not done; one that may have is enough for a doubt', async t => {
  t.equal(await stage(t, { a: 'refused', b: 'refused' }).call(), false)
  t.equal(await stage(t, { a: 'lost', b: 'refused' }).call(), true)
  t.equal(await stage(t, { a: 'refused', b: 'timeout' }).call(), true)
})

t.test('a home answers before we cease to wait: a post that it cannot settle leaves the others their outcome', async t => {
  const { line, calls } = stage(t, { a: 'answer', b: 'answer' }, JSON.stringify([{ error: { code: 'UNAVAILABLE', message: '' } }, { error: { code: 'UNAVAILABLE', message: '' } }]))
  const draft = { videoId: 'v', authorId: 'ann', content: 'hello', key: 'k' }
  await postAtHome(line, [{ ...draft, leftMs: 3_000 }, { ...draft, leftMs: 300 }], 0)
  t.equal(calls[0]!.timeoutMs, 2_700)
  t.match(JSON.parse(calls[0]!.body!.toString()), { posts: [{ leftMs: 2_300 }, { leftMs: 0 }] })
})

t.test('what a gateway refuses may be done by one that was asked before, and has not answered', async t => {
  const error = { error: { code: 'UNAVAILABLE', message: 'no dispatcher is available' } }
  const asked = async (a: 'refused' | 'silent' | 'unready', answer: object, ask: (line: PeerLine) => Promise<unknown>) => {
    const { clock, line } = stage(t, { a, b: 'answer' }, JSON.stringify(answer))
    const outcome = ask(line)
    await clock.advance(1_000)
    return outcome
  }
  const draft = { videoId: 'v', authorId: 'ann', content: 'hello', key: 'k' }
  const post = (line: PeerLine) => postAtHome(line, [draft], 0)
  t.match(await asked('silent', [error], post), [{ error: { code: 'OUTCOME_UNKNOWN' } }])
  t.match(await asked('refused', [error], post), [error], 'that one had nothing of it')
  const stored = { comment: { id: 7, videoId: 'v', authorId: 'ann', content: 'hello', createdAt: 1 }, created: true }
  t.match(await asked('silent', [stored], post), [stored], 'stored is stored')
  t.match(await asked('unready', [error], post), [error], 'nor had one that is not ready')
  t.match(await asked('unready', [stored], post), [stored])
  const order = { videoId: 'v', key: 'k', actorId: 'operator', asModerator: true, act: { type: 'pinned', target: 7 } } as const
  t.match(await asked('silent', error, line => actAtHome(line, { passedOn: false, order }, 0)), { error: { code: 'OUTCOME_UNKNOWN' } })
  t.match(await asked('silent', error, line => decideAtHome(line, 'v', 'h', { decision: { kind: 'approve' }, actorId: 'operator' }, 0)), { error: { code: 'OUTCOME_UNKNOWN' } })
})

t.test('a line on which all fail is not usable, until a gateway answers', async t => {
  const outcomes: Parameters<typeof stage>[1] = { a: 'timeout', b: 'lost' }
  const { clock, changes, line, call } = stage(t, outcomes)
  await call()
  t.notOk(line.isUsable)
  t.notOk(line.up)
  outcomes.b = 'answer'
  await clock.advance(10_000)
  t.ok(line.isUsable)
  t.ok(line.up)
  t.ok(line.silentMs < 5_000)
  t.same(changes, ['east lost', 'east answers'])
})
