import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../../runtime/root.js'
import { deliver } from './delivering.js'

/** What a benchmark measured on one machine, and what the same simulation makes of the same work there. */
export interface Comparison {
  readonly what: string
  readonly source: string
  readonly model: { readonly p50: number; readonly p99: number; readonly last?: number }
  readonly measured: { readonly p50: number; readonly p99: number; readonly last?: number }
}

const CORES = 2
/** Viewers that are simulated as one. */
const PARCEL = 16
const WARM_SECONDS = 2
const TIMED_SECONDS = 8

interface Run {
  readonly viewers: number
  readonly rate: number
  readonly acceptedLatencyMs: { readonly p50: number; readonly p99: number }
}

interface Million {
  readonly viewers: number
  readonly gateways: number
  readonly deliveries: readonly { readonly afterDeath: boolean; readonly lastMs: number; readonly ms: { readonly p50: number; readonly p99: number } }[]
}

export async function compareWithMeasured(): Promise<Comparison[]> {
  const comparisons: Comparison[] = []
  for (const file of ['public', 'gateway']) {
    const { viewers, rate, acceptedLatencyMs } = resultOf<Run>(file)
    const { ms } = await deliver({
      crowd: new Map([[0, Uint32Array.of(viewers)]]),
      targets: [0],
      posts: Array.from({ length: (WARM_SECONDS + TIMED_SECONDS) * rate }, (_, i) => ((i + 1) * 1000) / rate),
      warmUp: WARM_SECONDS * rate,
      parcel: PARCEL,
      postsAtGateways: true,
      sharedCores: CORES,
    })
    comparisons.push({
      what: `${viewers.toLocaleString('en-US')} viewers × ${rate} comments/s through a gateway, client and cluster on two cores`,
      source: `bench/results/${file}.json`,
      model: { p50: ms!.p50, p99: ms!.p99 },
      measured: { p50: acceptedLatencyMs.p50, p99: acceptedLatencyMs.p99 },
    })
  }
  const { viewers, gateways, deliveries } = resultOf<Million>('million')
  const { ms, lastMs } = await deliver({
    crowd: new Map([[0, new Uint32Array(gateways).fill(Math.ceil(viewers / gateways))]]),
    targets: [0],
    posts: [1],
    warmUp: 0,
    parcel: PARCEL,
    sharedCores: CORES,
  })
  const quiet = deliveries.filter(({ afterDeath }) => !afterDeath).sort((a, b) => a.lastMs - b.lastMs)[0]!
  comparisons.push({
    what: `one comment to ${viewers.toLocaleString('en-US')} viewers through ${gateways} gateways, all on two cores: the best of ${deliveries.length}`,
    source: 'bench/results/million.json',
    model: { p50: ms!.p50, p99: ms!.p99, last: lastMs },
    measured: { p50: quiet.ms.p50, p99: quiet.ms.p99, last: quiet.lastMs },
  })
  return comparisons
}

function resultOf<T>(name: string): T {
  const { runs } = JSON.parse(readFileSync(join(projectRoot, 'bench/results', `${name}.json`), 'utf8')) as { runs: [T] }
  return runs[0]
}
