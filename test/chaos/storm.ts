import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Table from 'cli-table3'
import { Command, InvalidArgumentError } from 'commander'
import { Cluster } from '../support/cluster.js'
import { storm, type Coming, type PostTimes, type Storm } from './storm-run.js'

/** One gateway of several dies under many viewers. Exit status 1 when a viewer missed or repeated anything, saw
 * another status than 200, or a post failed for good. JOIN_RATE and other variables are passed on to the cluster. */
async function main(): Promise<void> {
  const { viewers, gateways, edges, videos, rate } = new Command('storm')
    .description('A gateway is killed, and its viewers come back to the others.')
    .option('--viewers <count>', 'in all', whole, 10_000)
    .option('--gateways <count>', 'one of them dies', whole, 3)
    .option('--edges <count>', '', whole, 3)
    .option('--videos <count>', '', whole, 100)
    .option('--rate <count>', 'comments a second, in all', whole, 20)
    .parse()
    .opts<{ viewers: number; gateways: number; edges: number; videos: number; rate: number }>()
  const data = mkdtempSync(join(tmpdir(), 'live-storm-'))
  const cluster = new Cluster(data, ['--gateways', gateways, '--dispatchers', 2, '--edges', edges, '--watchdog', 0, '--no-restart'].map(String))
  const interrupted = () => void cluster.stop().then(() => process.exit(1))
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted)
  try {
    await cluster.ready()
    const outcome = await storm(cluster, { viewers, videos, rate, calmSeconds: 15 }, say)
    print(outcome)
    process.exitCode = outcome.verdict.violations.length + outcome.closed.length + outcome.failedPosts.length > 0 ? 1 : 0
  } finally {
    await cluster.stop()
    rmSync(data, { recursive: true, force: true })
  }
}

function print({ first, back, before, during, failedPosts, gatewayMb, verdict, closed }: Storm): void {
  const ms = (value: number) => `${Math.round(value)} ms`
  const mb = (values: readonly number[]) => `${values.map(Math.round).join(', ')} MB`
  const table = new Table({ head: ['', 'all come', 'a gateway\'s come back'], style: { head: [], border: [] } })
  const row = (name: string, read: (coming: Coming) => string | number) => table.push([name, read(first), read(back)])
  row('viewers', coming => coming.viewers)
  row('until all were ready', coming => ms(coming.tookMs))
  row('connection to ready, p50 and most', ({ waitedMs }) => `${ms(waitedMs.p50)}, ${ms(waitedMs.max)}`)
  row('placed in one second by one gateway, at most', coming => Math.round(coming.placedPerSecond))
  row('in line at one gateway, at most', coming => coming.inLine)
  row('told to come back later', coming => coming.turnedAway)
  row('processor time of the gateways for each', coming => `${coming.cpuMs.toFixed(2)} ms`)
  say(table.toString())
  const post = (name: string, { posts, p50, p99, max }: PostTimes) => say(`posts ${name}: ${posts}, p50 ${ms(p50)}, p99 ${ms(p99)}, most ${ms(max)}`)
  post('before', before)
  post('from the death until all were back', during)
  say(`RSS of the gateways that live: before ${mb(gatewayMb.before)}, at most ${mb(gatewayMb.most)}, at the end ${mb(gatewayMb.after)}`)
  say(`${verdict.deliveries} deliveries checked, ${verdict.gaps} gaps, ${verdict.violations.length} violations, ${closed.length} streams closed that should not be, ${failedPosts.length} posts failed`)
  for (const { videoId, viewer, id, text } of [...verdict.violations, ...closed].slice(0, 10)) say(`  ${videoId} ${id ?? ''} ${viewer ?? 'history'}: ${text}`)
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError('a whole number')
  return Number(text)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

await main()
