import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { storm } from './storm-run.js'

t.setTimeout(230_000)

const VIEWERS = 300
/** A quarter of what would come back in a second. */
const JOIN_RATE = 20

t.test('a gateway dies: its viewers are taken in at a bounded rate by the other, and nobody misses or sees anything wrong', async t => {
  const cluster = await startCluster(t, ['--gateways', '2', '--edges', '2', '--no-restart', '--watchdog', '0'], { env: { JOIN_RATE: String(JOIN_RATE) } })
  const { first, back, failedPosts, verdict, closed } = await storm(cluster, { viewers: VIEWERS, videos: 10, rate: 20, calmSeconds: 2 }, line => t.comment(line))
  t.same([...verdict.violations, ...closed], [], 'every viewer has everything that was acknowledged, once and in order; all answers were 200')
  t.same(failedPosts, [], 'every post was answered 201')
  t.ok(verdict.deliveries > VIEWERS, `${verdict.deliveries} deliveries were looked at`)
  for (const [coming, gateways] of [[first, 2], [back, 1]] as const) {
    t.ok(coming.viewers > VIEWERS / 4, `${coming.viewers} came`)
    const most = gateways * JOIN_RATE * (coming.tookMs / 1_000 + 0.25)
    t.ok(coming.viewers <= most, `within ${Math.round(coming.tookMs)} ms, in which the rate allows ${Math.round(most)}`)
    t.ok(coming.inLine > 0, `${coming.inLine} were in line`)
    t.ok(coming.inLine <= JOIN_RATE * 4, 'the line was bounded')
  }
  t.ok(first.turnedAway > 0, `${first.turnedAway} of those that came all at once were told to come back`)
})
