import { Pending } from '../gateway/pending.js'
import { place } from '../gateway/placement.js'
import { WIRE_VERSION } from '../protocol/wire.js'
import { number, table } from '../cli/table.js'
import { View } from '../registry/view.js'
import { count } from './arguments.js'
import { numberOf, type Benchmark } from './benchmark.js'

const NONE_BACKED_OFF = () => false

export const placement: Benchmark = {
  name: 'placement',
  question: 'what does it cost a gateway to find a viewer\'s edge in a large cluster?',
  flags: command =>
    command
      .option('--edges <count>', 'edges in view', count, 1_000)
      .option('--videos <count>', 'videos that they hold', count, 1_000_000)
      .option('--joins <count>', 'timed joins of each kind', count, 20_000),
  run(flags, progress) {
    const [edges, videos, joins] = ['edges', 'videos', 'joins'].map(name => numberOf(flags, name)) as [number, number, number]
    progress.title(`${edges} edges, ${videos} videos`)
    const view = viewOf(edges, videos)
    const outcomes = (
      [
        ['a video that is held', (i: number) => `video-${(i * 7919) % videos}`],
        ['a video that nobody holds', (i: number) => `new-${i}`],
      ] as const
    ).map(([what, video]) => {
      const pending = new Pending()
      const time = (from: number, count: number) => {
        const began = performance.now()
        for (let i = from; i < from + count; i++) {
          const edge = place(view, video(i), pending, { videoShare: 10_000, backedOff: NONE_BACKED_OFF })
          if (typeof edge === 'string') throw new Error(`no edge: ${edge}`)
          pending.place(edge, video(i), i / 10).arrived(i / 10)
        }
        return ((performance.now() - began) * 1000) / count
      }
      time(joins, Math.ceil(joins / 10))
      return { what, microseconds: time(0, joins) }
    })
    progress.end()
    return Promise.resolve({
      text: table([{ head: 'join to' }, { head: 'µs each', align: 'right' }, { head: 'joins per CPU-s', align: 'right' }], outcomes.map(({ what, microseconds }) => [what, microseconds.toFixed(1), number(Math.round(1e6 / microseconds))]), false),
      runs: outcomes,
      correct: true,
    })
  },
}

/** A view in which the videos are spread evenly over the edges. */
function viewOf(edges: number, videos: number): View {
  const view = new View()
  for (let number = 0; number < edges; number++) {
    const id = `edge-${number}`
    const held = new Map<string, number>()
    for (let video = number; video < videos; video += edges) held.set(`video-${video}`, 1 + (video % 9))
    const viewers = [...held.values()].reduce((sum, count) => sum + count, 0)
    const url = `http://10.0.${number >> 8}.${number & 255}`
    view.apply({ kind: 'edge', id, node: { id, instance: 'a', internalUrl: `${url}:9081`, publicUrl: `${url}:8081`, capacity: 15_000, viewers, state: 'up', startedAt: 0, version: '0', wire: WIRE_VERSION } }, 0)
    view.apply({ kind: 'holdings', id, holdings: { instance: 'a', videos: held } }, 0)
  }
  return view
}
