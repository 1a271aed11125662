import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { sideBySide } from '../../bench/compare.js'
import { Progress } from '../../bench/report/progress.js'
import type { Outcome, Work } from '../../bench/run.js'
import { publishTarget, sseTarget } from '../../bench/systems/publish.js'
import type { RunningSystem } from '../../bench/systems/system.js'

const VIEWERS = 4
/** 100 comments, of which 80 are timed. */
const work: Work = { viewers: VIEWERS, videos: 1, rate: 40, seconds: 2, warmSeconds: 0.5, eventBytes: 140, checked: 2, threads: 1, patienceMs: 3_000 }

/** What a server does with its 100 posts: it gives viewers what it gets, and answers with 202, unless told otherwise. */
interface Conduct {
  readonly name?: string
  /** The posts, from 0, that it does as told; else it does with them nothing, or breaks off their connection. */
  readonly delivers?: (post: number) => boolean
  readonly answers?: (post: number) => boolean
  readonly breaksOff?: (post: number) => boolean
  readonly promisesDelivery?: boolean
}

/** A server of this process, which stands for one that cannot keep up: no real one fails at will. */
async function fake(t: Test, { name = 'fake', delivers = () => true, answers = () => true, breaksOff = () => false, promisesDelivery = false }: Conduct): Promise<RunningSystem> {
  const viewers = new Set<ServerResponse>()
  let posts = 0
  const server = createServer((req, res) => {
    if (req.method === 'GET') {
      viewers.add(res.writeHead(200, { 'content-type': 'text/event-stream' }))
      res.write(':\n\n')
      return
    }
    const post = posts++
    let body = ''
    req.setEncoding('utf8').on('data', (text: string) => (body += text))
    req.once('end', () => {
      if (breaksOff(post)) return req.socket.destroy()
      if (delivers(post)) for (const viewer of viewers) viewer.write(`data: ${body}\n\n`)
      if (answers(post)) res.writeHead(202).end()
    })
  })
  t.teardown(() => server.close())
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  return {
    name,
    about: '',
    streams: [sseTarget(port, '/stream')],
    posts: [publishTarget(port)],
    stampsAccepted: false,
    promisesDelivery,
    processes: () => [{ name: 'test', pid: process.pid, delivers: true }],
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
    },
  }
}

async function compared(...candidates: (readonly [string, () => Promise<RunningSystem>])[]) {
  const { text, runs, correct } = await sideBySide(candidates.map(([name, start]) => ({ name, start })), work, new Progress())
  return { text, outcomes: runs, correct }
}

t.test('systems that do not keep up are shown with what they did, and the next ones have their turn', async t => {
  const { text, outcomes, correct } = await compared(
    ['deaf', () => fake(t, { name: 'deaf', delivers: post => post < 60, answers: post => post < 60 })],
    ['mute', () => fake(t, { name: 'mute', delivers: post => post < 60 })],
    ['absent', () => Promise.reject(new Error('it did not start'))],
    ['rude', () => fake(t, { name: 'rude', breaksOff: post => post >= 60 })],
    ['good', () => fake(t, { name: 'good' })],
  )
  t.ok(correct)
  const [deaf, mute, rude, good] = outcomes as [Outcome, Outcome, Outcome, Outcome]
  // Those that it delivered in the measured time; 20 or so came before that began.
  for (const { system, deliveries, deliveriesPerCpuSecond } of [deaf, mute, rude]) {
    t.ok(deliveries > 0 && deliveries <= 60 * VIEWERS, `${system}: ${deliveries}`)
    t.ok(deliveriesPerCpuSecond > 0, system)
  }
  t.match(deaf, { posted: 60, refused: { 0: 40 }, deliveredShare: 1, gaveUp: true, keptUp: false, failed: false })
  t.match(mute, { posted: 100, refused: {}, deliveredShare: 0.6, gaveUp: true, keptUp: false, failed: false })
  t.match(rude, { posted: 60, refused: { 0: 40 }, deliveredShare: 1, gaveUp: true, keptUp: false, failed: false })
  t.match(good, { posted: 100, deliveredShare: 1, gaveUp: false, keptUp: true, failed: false })
  t.ok(good.deliveries > deaf.deliveries, `${good.deliveries}`)
  for (const each of [deaf, mute]) t.ok(each.lagMs >= work.patienceMs, `${each.lagMs} ms`)
  t.match(text, /^deaf .* > [0-9,]+ .* did not keep up: took 60 of 100 posts, delivered 100% of those/m)
  t.match(text, /^mute .* did not keep up: took 100 of 100 posts, delivered 60% of those/m)
  t.match(text, /^rude .* did not keep up: took 60 of 100 posts/m)
  t.match(text, /^good .* kept up/m)
  t.match(text, /^absent FAILED: it did not start$/m)
})

t.test('what others may lose, ours may not', async t => {
  const { text, outcomes, correct } = await compared(['live', () => fake(t, { name: 'live', delivers: post => post !== 50, promisesDelivery: true })])
  t.notOk(correct)
  t.match(outcomes, [{ failed: true, faults: { missing: 2, wrongCount: 2 } }])
  t.match(text, /^live .* FAILED: 2 missing, 2 wrongCount/m)
  t.notOk((await compared(['live', () => Promise.reject(new Error('it did not start'))])).correct)
})
