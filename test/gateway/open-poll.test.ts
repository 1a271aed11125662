import { Buffer } from 'node:buffer'
import t from 'tap'
import { openPoll } from '../../gateway/open-poll.js'
import type { Session } from '../../gateway/session.js'
import type { Sessions } from '../../gateway/sessions.js'
import type { Sink, Viewing } from '../../gateway/sink.js'
import type { LiveError } from '../../protocol/errors.js'
import type { Exchange } from '../../runtime/http/exchange.js'
import type { Reply } from '../../runtime/http/reply.js'
import { FakeClock } from '../support/fake-clock.js'

const WAIT_MS = 25_000
const event = (id: number) => ({ event: 'message', id: String(id), data: {} })
const encoded = (...messages: object[]) => ({ bytes: Buffer.from(JSON.stringify(messages)) })

/** A long-poll before a session that the test is. @param begun is given the sink before the session is there */
function setUp({ begun = () => {} }: { begun?: (sink: Sink) => void } = {}) {
  const clock = new FakeClock()
  const lefts: (string | undefined)[] = []
  const session = {
    cursor: 7 as number | undefined,
    left(why?: string) {
      if (lefts.push(why) === 1) sink.over?.()
    },
  }
  let sink!: Sink
  let gone = (): void => {}
  let places = 1
  const viewing: Viewing = { counted: { ended: () => places-- } }
  const sessions: Pick<Sessions, 'open'> = {
    open(_, opened) {
      sink = opened
      begun(sink)
      return session as unknown as Session
    },
  }
  const outcome: { reply?: Reply | undefined; error?: LiveError; settled?: true } = {}
  const exchange = { whenGone: (leaves: () => void) => (gone = leaves) } as unknown as Exchange
  openPoll(sessions as Sessions, clock, exchange, { videoId: 'v', after: undefined, recent: undefined }, WAIT_MS, viewing).then(
    reply => Object.assign(outcome, { reply, settled: true }),
    (error: LiveError) => Object.assign(outcome, { error, settled: true }),
  )
  const body = () => JSON.parse(outcome.reply!.body!.toString()) as unknown
  return { clock, session, sink, outcome, lefts, body, leave: () => gone(), places: () => places }
}

t.test('it is answered in the next turn with what was written first, and takes no more', async t => {
  const { clock, session, sink, outcome, lefts, body, places } = setUp()
  t.equal(sink.write(encoded({ event: 'viewers', data: { viewers: 3 } })), true, 'that moves no cursor')
  t.equal(sink.heartbeat(), true)
  await clock.advance(1_000)
  t.notOk(outcome.settled)
  t.equal(sink.write(encoded(event(8), event(9))), false)
  session.cursor = 9
  t.same(lefts, [], 'whoever writes goes on with the session')
  await clock.advance(0)
  t.same(lefts, ['answered'])
  t.same(body(), { events: [event(8), event(9)], cursor: '9', viewers: 3 })
  t.equal(outcome.reply!.close, false)
  t.equal(places(), 0)
  t.equal(clock.pending, 0, 'no timer is left')
})

t.test('without an event it is answered after its wait, and not before', async t => {
  const { clock, outcome, lefts, body } = setUp()
  await clock.advance(WAIT_MS - 1)
  t.notOk(outcome.settled)
  await clock.advance(1)
  t.same(body(), { events: [], cursor: '7' })
  t.same(lefts, ['answered'])
})

t.test('where no edge has given it a place by then, it says so', async t => {
  const { clock, session, outcome } = setUp()
  session.cursor = undefined
  await clock.advance(WAIT_MS)
  t.match(outcome.error, { code: 'UNAVAILABLE', headers: { 'retry-after': '1' } })
})

t.test('whoever finds no room is refused, and whoever has to go elsewhere finds that out by the next poll', async t => {
  for (const [why, code] of [['no_capacity', 'NO_CAPACITY'], ['join_rate', 'OVERLOADED']] as const) {
    const { clock, sink, outcome } = setUp()
    sink.over!()
    sink.end(why, 1_000)
    await clock.advance(0)
    t.match(outcome.error, { code, headers: { 'retry-after': '1' } }, why)
  }
  for (const [why, close] of [['stopping', true], ['expired', false]] as const) {
    const { clock, sink, outcome, body } = setUp()
    sink.over!()
    sink.end(why, 1_000)
    await clock.advance(0)
    t.same(body(), { events: [], cursor: '7' }, why)
    t.equal(outcome.reply!.close, close, why)
    t.equal(clock.pending, 0, 'no timer is left')
  }
})

t.test('a client that leaves is a viewer no more, and is answered nothing', async t => {
  const { clock, outcome, lefts, leave, places } = setUp()
  leave()
  await clock.advance(0)
  t.same(lefts, [undefined])
  t.equal(places(), 0)
  t.same(outcome, { reply: undefined, settled: true })
  t.equal(clock.pending, 0, 'no timer is left')
})

t.test('one that is cut is answered nothing', async t => {
  const { clock, sink, outcome } = setUp()
  sink.over!()
  sink.close()
  await clock.advance(0)
  t.same(outcome, { reply: undefined, settled: true })
  t.equal(clock.pending, 0, 'no timer is left')
})

t.test('one that is over before it has begun waits for nothing', async t => {
  const { clock, outcome } = setUp({
    begun(sink) {
      sink.over!()
      sink.end('stopping', 1_000)
    },
  })
  await clock.advance(0)
  t.match(outcome.error, { code: 'UNAVAILABLE' })
  t.equal(clock.pending, 0, 'no timer is left')
})
