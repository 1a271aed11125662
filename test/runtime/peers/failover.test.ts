import t from 'tap'
import type { MemberNode } from '../../../protocol/nodes.js'
import { Failover, PATIENCE_MS, PING_MS, type Attempt } from '../../../runtime/peers/failover.js'
import { PeerError, type PeerFailure } from '../../../runtime/peers/peer-error.js'
import { FakeClock } from '../../support/fake-clock.js'
import { dispatcherNode } from '../../support/nodes.js'

const a: MemberNode = dispatcherNode('a')
const b: MemberNode = dispatcherNode('b')
const c: MemberNode = dispatcherNode('c')

interface Call {
  readonly peer: MemberNode
  readonly timeoutMs: number
  readonly first: boolean
  readonly at: number
  answer(value: string): void
  fail(failure: PeerFailure | Error): void
}

/** A policy whose pings and calls do what the test says. */
function stage(silent: ReadonlySet<string> = new Set()) {
  const clock = new FakeClock()
  const pings: { id: string; at: number }[] = []
  const refused: string[] = []
  const gone = new Set<string>()
  const calls: Call[] = []
  let usable = 0
  const failover = new Failover({
    clock,
    random: () => 0.5,
    ping: ({ id }, timeoutMs) => {
      pings.push({ id, at: clock.now() })
      return new Promise(resolve => clock.after(silent.has(id) ? timeoutMs : 1, () => resolve(silent.has(id) ? 'timeout' : undefined)))
    },
    known: ({ id }) => !gone.has(id),
    onRefused: ({ id }) => refused.push(id),
    onUsable: () => usable++,
  })
  const attempt: Attempt<string> = (peer, timeoutMs, first) =>
    new Promise((resolve, reject) => {
      const cancel = clock.after(timeoutMs, () => reject(new PeerError('timeout', 'timeout')))
      calls.push({
        peer,
        timeoutMs,
        first,
        at: clock.now(),
        answer(value) {
          cancel()
          resolve(value)
        },
        fail(failure) {
          cancel()
          reject(failure instanceof Error ? failure : new PeerError(failure, failure))
        },
      })
    })
  const ask = (given: { peers?: MemberNode[]; deadlineMs?: number; tryMs?: number; hedged?: boolean } = {}) => {
    const outcome: { answer?: string; error?: unknown } = {}
    failover.ask(given.peers ?? [a, b, c], attempt, { deadline: clock.now() + (given.deadlineMs ?? 5_000), tryMs: given.tryMs ?? 2_000, hedged: given.hedged ?? false }).then(
      answer => (outcome.answer = answer),
      (error: unknown) => (outcome.error = error),
    )
    return outcome
  }
  return { clock, failover, pings, refused, gone, calls, ask, tried: () => calls.map(({ peer }) => peer.id), get usable() { return usable } }
}

t.test('candidates are asked in their order until one answers', async t => {
  const { clock, ask, calls, tried, refused } = stage()
  const outcome = ask()
  calls[0]!.fail('refused')
  await clock.advance(0)
  calls[1]!.fail(new Error('cannot do it'))
  await clock.advance(0)
  calls[2]!.answer('yes')
  await clock.advance(0)
  t.same(outcome, { answer: 'yes' })
  t.same(tried(), ['a', 'b', 'c'])
  t.same(calls.map(({ first }) => first), [true, false, false])
  t.same(refused, ['a'])
})

t.test('where nobody answers, the last error is the call\'s', async t => {
  const { clock, ask, calls } = stage()
  const outcome = ask({ peers: [a, b] })
  calls[0]!.fail('lost')
  await clock.advance(0)
  calls[1]!.fail(new Error('cannot do it'))
  await clock.advance(0)
  t.match(outcome.error, { message: 'cannot do it' })
  t.match((await settled(ask({ peers: [] }), clock)).error, { failure: 'local' })
})

t.test('a peer that failed is asked after the others, and not left out', async t => {
  for (const failure of ['refused', 'timeout', 'lost', 'wire'] as const) {
    const { clock, failover, ask, calls } = stage()
    ask()
    calls[0]!.fail(failure)
    await clock.advance(0)
    t.same(failover.order([a, b, c]).map(({ id }) => id), ['b', 'c', 'a'], failure)
    t.equal(failover.backedOffCount, 1)
  }
})

t.test('an answer that says no, and a call that was never made, are no reason to back off', async t => {
  for (const error of [new Error('it cannot'), new PeerError('local', 'no descriptors'), new PeerError('status', 'not found', { status: 404 })]) {
    const { failover, clock, ask, calls } = stage()
    ask()
    calls[0]!.fail(error)
    await clock.advance(0)
    t.equal(failover.backedOffCount, 0, error.message)
  }
})

t.test('an error status of 5xx backs off', async t => {
  for (const status of [500, 503]) {
    const { failover, clock, ask, calls } = stage()
    ask()
    calls[0]!.fail(new PeerError('status', 'away', { status }))
    await clock.advance(0)
    t.ok(failover.isBackedOff(a))
  }
})

t.test('whether a peer in back-off is well again is tried by a ping, and never by a call that another can answer', async t => {
  const silent = new Set(['a'])
  const { clock, failover, ask, calls, pings, tried } = stage(silent)
  ask()
  calls[0]!.fail('timeout')
  await clock.advance(0)
  calls[1]!.answer('yes')
  for (let ms = 0; ms < 10_000; ms += 100) {
    await clock.advance(100)
    const outcome = ask()
    calls.at(-1)!.answer('yes')
    await settled(outcome, clock)
  }
  t.same(tried().filter(id => id === 'a').length, 1, 'no user waited for it again')
  t.ok(pings.length >= 3, `${pings.length} pings`)
  const gaps = pings.slice(1).map(({ at }, i) => at - pings[i]!.at - 1_000)
  t.ok(gaps.every((gap, i) => i === 0 || gap >= gaps[i - 1]!), `further and further apart: ${gaps.join(' ')}`)
  silent.clear()
  await clock.advance(9_000)
  t.notOk(failover.isBackedOff(a))
})

t.test('a back-off doubles to 8 s until a call is answered: pings alone do not forgive', async t => {
  const { clock, failover } = stage()
  const waits: number[] = []
  for (let i = 0; i < 7; i++) {
    failover.failed(a, new PeerError('timeout', 'timeout'))
    const since = clock.now()
    while (failover.isBackedOff(a)) await clock.advance(1)
    waits.push(clock.now() - since)
  }
  t.same(waits, [501, 1001, 2001, 4001, 8001, 8001, 8001])
  failover.answered(a)
  failover.failed(a, new PeerError('timeout', 'timeout'))
  const since = clock.now()
  while (failover.isBackedOff(a)) await clock.advance(1)
  t.equal(clock.now() - since, 501)
})

t.test('many calls that fail for one reason are one failure', async t => {
  const { clock, failover } = stage()
  for (let i = 0; i < 100; i++) failover.failed(a, new PeerError('lost', 'lost'))
  await clock.advance(502)
  t.notOk(failover.isBackedOff(a))
  t.equal(failover.backedOffCount, 0)
})

t.test('a call that is answered, even by a no, ends a back-off', async t => {
  for (const end of [(call: Call) => call.answer('yes'), (call: Call) => call.fail(new Error('it cannot'))]) {
    const staged = stage()
    const { clock, failover, ask, calls } = staged
    failover.failed(a, new PeerError('lost', 'lost'))
    ask({ peers: [a] })
    end(calls[0]!)
    await clock.advance(0)
    t.notOk(failover.isBackedOff(a))
    t.equal(failover.backedOffCount, 0)
    t.equal(staged.usable, 1, 'who waits is told')
  }
})

t.test('what is known of peers that are well again is bounded: the oldest is forgotten', async t => {
  const { clock, failover } = stage()
  failover.failed(a, new PeerError('lost', 'lost'))
  await clock.advance(501)
  for (let i = 0; i < 1_000; i++) failover.failed(dispatcherNode(`d${i}`), new PeerError('lost', 'lost'))
  failover.failed(a, new PeerError('lost', 'lost'))
  await clock.advance(501)
  t.notOk(failover.isBackedOff(a), 'as at its first failure')
})

t.test('a restarted peer does not pay for its former self', async t => {
  const { failover } = stage()
  failover.failed(a, new PeerError('refused', 'refused'))
  t.notOk(failover.isBackedOff({ ...a, instance: 'i2' }))
})

t.test('a peer that is gone from the registry is pinged once more and forgotten', async t => {
  const { clock, failover, pings, gone } = stage(new Set(['a']))
  failover.failed(a, new PeerError('refused', 'refused'))
  gone.add('a')
  await clock.advance(60_000)
  t.equal(pings.length, 1)
  t.equal(failover.backedOffCount, 0)
  t.equal(clock.pending, 0)
})

t.test('who waits for a usable peer is told once there is one', async t => {
  const staged = stage()
  staged.failover.failed(a, new PeerError('refused', 'refused'))
  t.equal(staged.usable, 0)
  await staged.clock.advance(600)
  t.equal(staged.usable, 1)
})

t.test('a peer that is frozen is overtaken within half a second and a little, by every call that waits for it', async t => {
  const { clock, ask, calls, pings, failover } = stage(new Set(['a']))
  const outcomes = Array.from({ length: 50 }, () => ask())
  await clock.advance(PATIENCE_MS + PING_MS)
  t.equal(pings.length, 1, 'one ping for all of them')
  t.ok(failover.isBackedOff(a))
  const second = calls.filter(({ peer }) => peer === b)
  t.equal(second.length, 50)
  for (const call of second) call.answer('yes')
  await clock.advance(0)
  t.ok(outcomes.every(({ answer }) => answer === 'yes'))
})

t.test('a call is overtaken however many were slow, or quick, before it', async t => {
  const silent = new Set<string>()
  const { clock, ask, calls, pings, tried } = stage(silent)
  for (const tookMs of [0, PATIENCE_MS + 100, 0]) {
    ask()
    await clock.advance(tookMs)
    calls.at(-1)!.answer('yes')
    await clock.advance(0)
  }
  silent.add('a')
  ask()
  await clock.advance(PATIENCE_MS + PING_MS)
  t.same(tried(), ['a', 'a', 'a', 'a', 'b'])
  t.equal(pings.length, 2)
})

t.test('a peer that is slow and answers pings is waited for', async t => {
  const { clock, ask, calls, tried } = stage()
  const outcome = ask()
  await clock.advance(1_900)
  t.same(tried(), ['a'])
  calls[0]!.answer('late')
  await clock.advance(0)
  t.equal(outcome.answer, 'late')
})

t.test('a hedged call asks the next one too, and the first answer counts', async t => {
  const { clock, ask, calls, tried } = stage()
  const outcome = ask({ hedged: true })
  await clock.advance(PATIENCE_MS)
  t.same(tried(), ['a', 'b'])
  t.notOk(calls[1]!.first, 'it can tell that another is at it')
  calls[1]!.answer('from the second')
  await clock.advance(0)
  t.equal(outcome.answer, 'from the second')
  calls[0]!.answer('too late')
  await clock.advance(5_000)
  t.equal(outcome.answer, 'from the second')
})

t.test('a try that fails after another was begun in its place begins no third, and none after the answer', async t => {
  const { clock, ask, calls, tried } = stage()
  ask({ hedged: true })
  const answered = ask({ hedged: true })
  await clock.advance(PATIENCE_MS)
  t.same(tried(), ['a', 'a', 'b', 'b'])
  calls[0]!.fail(new Error('it cannot'))
  calls[3]!.answer('yes')
  await clock.advance(0)
  calls[1]!.fail(new Error('it cannot'))
  await clock.advance(0)
  t.same(tried(), ['a', 'a', 'b', 'b'])
  t.equal(answered.answer, 'yes')
  calls[2]!.fail(new Error('it cannot'))
  await clock.advance(0)
  t.same(tried(), ['a', 'a', 'b', 'b', 'c'], 'the third is asked once the second has failed too')
})

t.test('a call has failed as soon as the last of its tries has, whichever that is', async t => {
  const { clock, ask, calls } = stage()
  const outcome = ask({ peers: [a, b], hedged: true })
  await clock.advance(PATIENCE_MS)
  calls[1]!.fail(new Error('busy'))
  await clock.advance(0)
  t.same(outcome, {})
  calls[0]!.fail(new Error('cannot do it'))
  await clock.advance(0)
  t.match(outcome.error, { message: 'cannot do it' })
})

t.test('one call in twenty is hedged, however many are slow', async t => {
  const { clock, ask, tried } = stage()
  const slow = { hedged: true, tryMs: 60_000, deadlineMs: 60_000 }
  for (let i = 0; i < 1_000; i++) ask(slow)
  await clock.advance(PATIENCE_MS + 100)
  t.equal(tried().filter(id => id === 'b').length, 10, 'a few at once')
  for (let i = 0; i < 400; i++) {
    ask(slow)
    await clock.advance(5)
  }
  await clock.advance(PATIENCE_MS)
  const hedges = tried().filter(id => id === 'b').length - 10
  t.ok(hedges >= 17 && hedges <= 20, `${hedges} of 400`)
})

t.test('the deadline holds, whoever still works, and each try has what is left of it at most', async t => {
  const { clock, ask, calls, tried } = stage()
  const outcome = ask({ deadlineMs: 3_000 })
  await clock.advance(2_999)
  t.same(tried(), ['a', 'b'])
  t.same(calls.map(({ timeoutMs }) => timeoutMs), [2_000, 1_000])
  t.notOk(outcome.error)
  await clock.advance(1)
  t.match(outcome.error, { failure: 'timeout' })
  await clock.advance(5_000)
  t.equal(calls.length, 2, 'nobody is asked after it')
})

t.test('a deadline holds to the millisecond for a try that never ends, and a call that has failed leaves no timer', async t => {
  const { clock, failover, ask, calls } = stage()
  await clock.advance(10_000)
  for (const limitMs of [100, PATIENCE_MS, 3_000]) {
    const since = clock.now()
    let endedAt: number | undefined
    failover.ask([a, b], () => new Promise(() => {}), { deadline: since + limitMs, tryMs: 60_000 }).catch(() => (endedAt = clock.now()))
    await clock.advance(limitMs - 1)
    t.equal(endedAt, undefined)
    await clock.advance(1)
    t.equal(endedAt, since + limitMs)
  }
  await clock.advance(1_000)
  t.equal(clock.pending, 0)
  ask({ peers: [a, b] })
  for (let i = 0; i < 2; i++) {
    calls[i]!.fail(new Error('it cannot'))
    await clock.advance(0)
  }
  t.equal(clock.pending, 0)
})

t.test('whichever calls have ended, those that still wait for a peer are overtaken when it is backed off from', async t => {
  for (const ended of [[0], [1], [1, 2], [0, 1, 2]]) {
    const { clock, failover, ask, calls } = stage()
    for (let i = 0; i < 3; i++) ask()
    for (const i of ended) calls[i]!.answer('yes')
    await clock.advance(0)
    ask()
    failover.backOff(a, 'lost')
    t.same(calls.slice(4).map(({ peer }) => peer.id), Array.from({ length: 4 - ended.length }, () => 'b'))
  }
})

t.test('each call gets slow at its own time, whatever began or ended before it, and none leaves a timer', async t => {
  const { clock, ask, calls } = stage()
  const slow = { hedged: true, tryMs: 60_000, deadlineMs: 60_000 }
  for (let i = 0; i < 6; i++) {
    ask(slow)
    await clock.advance(40)
  }
  calls[0]!.answer('yes')
  calls[3]!.answer('yes')
  await clock.advance(1_000)
  t.same(calls.filter(({ peer }) => peer === b).map(({ at }) => at), [40, 80, 160, 200].map(at => at + PATIENCE_MS))
  for (const call of calls) call.answer('yes')
  await clock.advance(0)
  t.equal(clock.pending, 0)
})

t.test('closing leaves no timer', async t => {
  const { clock, failover } = stage(new Set(['a']))
  failover.failed(a, new PeerError('refused', 'refused'))
  failover.close()
  t.equal(failover.backedOffCount, 0)
  failover.failed(b, new PeerError('refused', 'refused'))
  t.equal(clock.pending, 0)
})

async function settled<T>(outcome: T, clock: FakeClock): Promise<T> {
  await clock.advance(0)
  return outcome
}
