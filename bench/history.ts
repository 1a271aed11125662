import { table } from '../cli/table.js'
import { count } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'
import { PostConnection } from './load/post-connection.js'
import { Poster } from './load/poster.js'
import { wallMs, type Schedule } from './load/schedule.js'
import { head, videoId } from './load/target.js'
import { Histogram, quantiles, type Quantiles } from './measure/histogram.js'
import { ms, whole } from './report/result-table.js'
import { waitUntil } from './run.js'
import { LiveSystem } from './systems/live.js'

const PAGE_SIZE = 50
const POST_RATE = 2_000
/** Limit for an answer; a gateway that needs longer has failed. */
const ANSWER_MS = 10_000

export const history: Benchmark = {
  name: 'history',
  question: 'how many pages of history can be read per second, the newest and older ones?',
  flags: command =>
    command
      .option('--videos <count>', 'videos, read in turn', count, 10)
      .option('--comments <count>', 'comments of each video', count, 500)
      .option('--connections <count>', 'connections, each with one page under way', count, 32),
  async run(flags, progress) {
    progress.title('history')
    progress.step('starting a cluster')
    await using system = await LiveSystem.start({ via: 'edge', profile: flags.profile })
    const videos = numberOf(flags, 'videos')
    const count = videos * numberOf(flags, 'comments')
    const schedule: Schedule = { startAt: wallMs() + 300, stepMs: 1000 / POST_RATE, warm: 0, pauseMs: 0, count, videos }
    const poster = new Poster({ targets: system.posts, schedule, connections: 128, eventBytes: flags.size })
    await waitUntil(schedule.startAt + count * schedule.stepMs, share => progress.step('writing history', share))
    const { refused } = await poster.done

    const { host, port } = system.posts[0]!
    const cursors = await Promise.all(Array.from({ length: videos }, (_, video) => middle(`http://${host}:${port}/comments/${videoId(video)}`, numberOf(flags, 'comments'))))
    const outcomes = []
    for (const [what, query] of [
      ['newest page', () => ''],
      ['older page', (video: number) => `&cursor=${cursors[video]}`],
    ] as const) {
      progress.step(`reading the ${what}`)
      const requests = Array.from({ length: videos }, (_, video) => head(`GET /comments/${videoId(video)}?pageSize=${PAGE_SIZE}${query(video)}`, {}))
      outcomes.push({ what, ...(await readPages(host, port, requests, numberOf(flags, 'connections'), flags.duration)) })
    }
    progress.end()
    return {
      text: table(
        [{ head: 'what' }, { head: 'pages/s', align: 'right' }, { head: 'p50 ms', align: 'right' }, { head: 'p99', align: 'right' }, { head: 'failed', align: 'right' }],
        outcomes.map(({ what, pagesPerSecond, latencyMs, failed }) => [what, whole(pagesPerSecond), ms(latencyMs?.p50), ms(latencyMs?.p99), String(failed)]),
        false,
      ),
      runs: outcomes,
      correct: Object.keys(refused).length === 0 && outcomes.every(({ failed }) => failed === 0),
    }
  },
}

/** A cursor in the middle of a video's comments. */
async function middle(url: string, comments: number): Promise<string> {
  const response = await fetch(`${url}?pageSize=${Math.min(200, Math.ceil(comments / 2))}`, { signal: AbortSignal.timeout(ANSWER_MS) })
  const { comments: page } = (await response.json()) as { comments: { id: string }[] }
  return page.at(-1)!.id
}

async function readPages(host: string, port: number, requests: readonly string[], connections: number, seconds: number): Promise<{ pagesPerSecond: number; latencyMs: Quantiles | undefined; failed: number }> {
  const histogram = new Histogram()
  const until = wallMs() + seconds * 1000
  let next = 0
  let failed = 0
  const page = (connection: PostConnection) => new Promise<number>(answered => connection.send(requests[next++ % requests.length]!, answered))
  const one = async () => {
    let open: PostConnection | undefined
    const force = setTimeout(() => open?.close(), seconds * 1000 + ANSWER_MS)
    for (let since = wallMs(); since < until; since = wallMs()) {
      open ??= new PostConnection({ host, port }, () => (open = undefined))
      const status = await page(open)
      if (status === 200) histogram.record(wallMs() - since)
      else failed++
      if (status === 0) break
    }
    clearTimeout(force)
    open?.close()
  }
  await Promise.all(Array.from({ length: connections }, one))
  return { pagesPerSecond: histogram.total / seconds, latencyMs: quantiles(histogram), failed }
}
