import t from 'tap'
import { Acts } from '../../gateway/acts.js'
import { parseActRequest, printActResult, type ActResult } from '../../protocol/acts.js'
import { DEFAULT_SETTINGS, DEFAULT_STATE, printState, type ActOrder } from '../../protocol/entry.js'
import type { ErrorCode, LiveError } from '../../protocol/errors.js'
import type { Call } from '../../runtime/peers/client.js'
import { Failover } from '../../runtime/peers/failover.js'
import { PeerError } from '../../runtime/peers/peer-error.js'
import { FakeClock } from '../support/fake-clock.js'
import { dispatcherNode } from '../support/nodes.js'

const ORDER: ActOrder = { videoId: 'v', key: 'k', actorId: 'mo', asModerator: true, act: { type: 'deleted', target: 20 } }
const done: ActResult = { entryId: 7, created: true }
const refused = (code: ErrorCode): ActResult => ({ error: { code, message: 'why' } })
const status = (status: number) => new PeerError('status', String(status), { status })

/** What a dispatcher answers; undefined: nothing. */
type Answer = ActResult | PeerError | string | undefined

/** Acts before dispatchers that give these answers, each the next. */
function stage(...answers: Answer[]) {
  const clock = new FakeClock()
  const nodes = [1, 2].map(i => dispatcherNode(`d${i}`, { internalUrl: `http://d${i}` }))
  const asked: Call[] = []
  const client = {
    call: (_: string, call: Call) =>
      new Promise<Buffer>((resolve, reject) => {
        const answer = answers[asked.push(call) - 1]
        if (answer instanceof PeerError) reject(answer)
        else if (answer !== undefined) resolve(Buffer.from(typeof answer === 'string' ? answer : printActResult(answer)))
        else clock.after(call.timeoutMs, () => reject(new PeerError('timeout', 'timeout')))
      }),
  }
  const failover = new Failover({ clock, random: () => 0.5, ping: () => Promise.resolve(undefined), known: () => true, onRefused: () => {} })
  t.teardown(() => failover.close())
  const acts = new Acts({ client, clock, failover, owners: () => nodes })
  /** @returns the code of the error, or what it resolves with */
  const outcome = async (call: Promise<unknown>): Promise<unknown> => {
    const settled = call.catch((error: unknown) => (error as LiveError).code)
    await clock.advance(10_000)
    return settled
  }
  return { asked, acts, clock, outcome, perform: (lostMs = 0) => outcome(acts.perform(ORDER, lostMs)) }
}

t.test('each try says how long its caller waits, and every one after the first that it was passed on', async t => {
  const { asked, perform } = stage(undefined, done)
  t.equal(await perform(), 7)
  t.match(asked.map(({ body }) => parseActRequest(Buffer.from(body!))), [{ passedOn: false, order: ORDER, leftMs: 3_000 }, { passedOn: true, order: ORDER, leftMs: 3_000 }])
})

t.test('what an act waited while this process stood still comes off its time', async t => {
  const late = stage(done)
  t.equal(await late.perform(8_000), 'UNAVAILABLE')
  t.equal(late.asked.length, 0, 'nobody is asked')
  const { asked, clock, acts } = stage()
  let code: unknown
  acts.perform(ORDER, 6_500).catch((error: unknown) => (code = (error as LiveError).code))
  await clock.advance(1_499)
  t.equal(code, undefined)
  await clock.advance(1)
  t.equal(code, 'OUTCOME_UNKNOWN')
  t.equal(parseActRequest(Buffer.from(asked[0]!.body!)).leftMs, 1_500)
})

t.test('what a dispatcher may have done is unknown, unless another one has done it', async t => {
  for (const first of [new PeerError('lost', 'lost'), status(500), status(503), refused('OUTCOME_UNKNOWN')]) {
    t.equal(await stage(first, done).perform(), 7)
    for (const second of [refused('COMMENT_NOT_FOUND'), refused('STORE_UNAVAILABLE'), new PeerError('refused', 'refused')]) t.equal(await stage(first, second).perform(), 'OUTCOME_UNKNOWN')
  }
  t.equal(await stage(refused('STORE_UNAVAILABLE'), new PeerError('lost', 'lost')).perform(), 'OUTCOME_UNKNOWN', 'nor the second')
})

t.test('what none has done is said so, and why', async t => {
  t.equal(await stage(new PeerError('refused', 'refused'), refused('STORE_UNAVAILABLE')).perform(), 'STORE_UNAVAILABLE')
  t.equal(await stage(refused('COMMENT_NOT_FOUND'), done).perform(), 'COMMENT_NOT_FOUND', 'what one says of the comment holds')
  for (const [error, code] of [[status(404), 'UPGRADE_UNFINISHED'], [status(400), 'UNAVAILABLE'], [new PeerError('refused', 'refused'), 'UNAVAILABLE']] as const) t.equal(await stage(error, error).perform(), code)
})

t.test('an overloaded dispatcher says when to come back', async t => {
  const { acts, clock } = stage(refused('OVERLOADED'), refused('OVERLOADED'))
  const call = acts.perform(ORDER, 0).catch((error: unknown) => error)
  await clock.advance(10_000)
  t.match(await call, { code: 'OVERLOADED', headers: { 'retry-after': '1' } })
})

t.test('a state is any dispatcher\'s answer that can be read', async t => {
  const state = { settings: { ...DEFAULT_SETTINGS, closed: true }, pinned: undefined }
  const read = (...answers: Answer[]) => {
    const { acts, outcome } = stage(...answers)
    return outcome(acts.state('v'))
  }
  t.match(await read(printState(state)), state)
  for (const first of [undefined, 'rubbish', new PeerError('lost', 'lost'), status(503)]) t.match(await read(first, printState(DEFAULT_STATE)), DEFAULT_STATE)
  t.equal(await read(status(404), status(404)), 'UPGRADE_UNFINISHED')
  t.equal(await read('rubbish', 'rubbish'), 'UNAVAILABLE')
  t.equal(await read(), 'UNAVAILABLE')
})
