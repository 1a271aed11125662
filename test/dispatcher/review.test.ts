import { Registry } from 'prom-client'
import t from 'tap'
import { DispatcherMetrics } from '../../dispatcher/metrics.js'
import { parseVerdicts, Review, type OnFailure, type Reviewed } from '../../dispatcher/review.js'
import { FakeClock } from '../support/fake-clock.js'
import { draft } from './cast.js'

const TIMEOUT_MS = 500

interface Asked {
  readonly contents: string[]
  readonly answer: (...verdicts: unknown[]) => void
  readonly fail: (message: string) => void
}

function setUp(onFailure: OnFailure = 'hold') {
  const clock = new FakeClock()
  const metrics = new DispatcherMetrics(new Registry())
  const asked: Asked[] = []
  const troubles: (string | undefined)[] = []
  const review = new Review({
    clock,
    metrics,
    timeoutMs: TIMEOUT_MS,
    onFailure,
    onTrouble: reason => troubles.push(reason),
    ask: body =>
      new Promise((resolve, reject) => {
        const { comments } = JSON.parse(body) as { comments: { content: string }[] }
        asked.push({ contents: comments.map(({ content }) => content), answer: (...verdicts) => resolve(JSON.stringify({ verdicts })), fail: message => reject(new Error(message)) })
      }),
  })
  const post = (content: string, leftMs = 3_000): Reviewed => ({ ...draft('v', content), deadline: clock.now() + leftMs })
  const counted = async () => (await metrics.reviews.get()).values.flatMap(({ labels, value }) => (value > 0 ? [`${labels.verdict} ${value}`] : []))
  return { clock, asked, troubles, post, counted, verdict: (content: string, leftMs?: number) => review.verdict(post(content, leftMs)) }
}

const publish = { verdict: 'publish' }

t.test('posts that come together go together; of what comes while four calls are under way, a hundred go in the next', async t => {
  const { clock, asked, verdict } = setUp()
  const first = [verdict('a'), verdict('b')]
  await clock.advance(0)
  t.same(asked.map(({ contents }) => contents), [['a', 'b']])
  asked[0]!.answer(publish, { verdict: 'refuse', reason: ' be kind ' })
  t.same(await Promise.all(first), [{ kind: 'publish' }, { kind: 'refuse', reason: 'be kind' }])
  for (let i = 0; i < 4; i++) {
    void verdict(`${i}`)
    await clock.advance(0)
  }
  const many = Array.from({ length: 150 }, (_, i) => verdict(`m${i}`))
  await clock.advance(0)
  t.equal(asked.length, 5)
  asked[1]!.answer(publish)
  await clock.advance(0)
  t.same(asked[5]!.contents, Array.from({ length: 100 }, (_, i) => `m${i}`))
  asked[5]!.answer(...Array.from({ length: 100 }, (_, i) => (i === 7 ? { verdict: 'hold' } : publish)))
  await clock.advance(0)
  t.equal(asked[6]!.contents.length, 50)
  t.same(await Promise.all(many.slice(6, 9)), [{ kind: 'publish' }, { kind: 'hold' }, { kind: 'publish' }])
})

t.test('without an answer in time a post is published, held or refused, as it was configured; a late answer changes nothing', async t => {
  for (const [onFailure, kind] of [['publish', 'publish'], ['hold', 'hold'], ['refuse', 'unavailable']] as const) {
    const { clock, asked, verdict, counted } = setUp(onFailure)
    let said: unknown
    void verdict('a').then(verdict => (said = verdict))
    await clock.advance(TIMEOUT_MS - 1)
    t.equal(said, undefined)
    await clock.advance(1)
    t.same(said, { kind })
    asked[0]!.answer({ verdict: onFailure === 'publish' ? 'refuse' : 'publish' })
    await clock.advance(0)
    t.same(said, { kind })
    t.same(await counted(), ['none 1'])
    t.equal(clock.pending, 0)
  }
})

t.test('a post waits for its verdict no longer than for its answer, in line too', async t => {
  const { clock, asked, verdict } = setUp()
  for (let i = 0; i < 4; i++) {
    void verdict(`${i}`)
    await clock.advance(0)
  }
  const said: string[] = []
  void verdict('hurried', 100).then(({ kind }) => said.push(`hurried ${kind}`))
  void verdict('patient').then(({ kind }) => said.push(`patient ${kind}`))
  await clock.advance(100)
  t.same(said, ['hurried hold'])
  asked[0]!.answer(publish)
  await clock.advance(0)
  t.same(asked[4]!.contents, ['patient'], 'what has its verdict is not asked of')
  await clock.advance(TIMEOUT_MS)
  t.same(said, ['hurried hold', 'patient hold'])
})

t.test('nonsense is no answer; trouble is told once, and its end', async t => {
  const { clock, asked, troubles, verdict } = setUp()
  const ask = async (settle: (asked: Asked) => void) => {
    const said = verdict('a')
    await clock.advance(0)
    settle(asked.at(-1)!)
    return (await said).kind
  }
  t.equal(await ask(({ fail }) => fail('it answered 500')), 'hold')
  for (const verdicts of [[], [publish, publish], [{ verdict: 'maybe' }], [null], ['publish']]) t.equal(await ask(({ answer }) => answer(...verdicts)), 'hold', JSON.stringify(verdicts))
  t.same(troubles, ['it answered 500'])
  t.equal(await ask(({ answer }) => answer(publish)), 'publish')
  t.equal(await ask(({ answer }) => answer({ verdict: 'maybe' })), 'hold')
  t.same(troubles, ['it answered 500', undefined, 'it gave an answer that is none'])
})

t.test('one answer that is none leaves those beside it; a reason that cannot be shown is left out', async t => {
  const refuse = (reason: unknown) => ({ verdict: 'refuse', reason })
  const text = JSON.stringify({ verdicts: [publish, 7, refuse('no\nlines'), refuse('x'.repeat(201)), refuse('x'.repeat(200)), refuse(1), refuse('\u202eevil')] })
  t.same(parseVerdicts(text, 7), [{ kind: 'publish' }, undefined, ...[undefined, undefined, 'x'.repeat(200), undefined, undefined].map(reason => ({ kind: 'refuse', reason }))])
  for (const [bad, message] of [['<html>', /not JSON/], ['{}', /no verdicts/], ['{"verdicts":[]}', /asked of 1 comments, and gave 0/]] as const) t.throws(() => parseVerdicts(bad, 1), { message })
})
