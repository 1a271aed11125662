import type { VideoId } from '../protocol/comment.js'
import { PLACEMENT, printNode, REBALANCE, spreadName } from '../protocol/nodes.js'
import type { View } from '../registry/view.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { isZkError } from '../registry/zookeeper/zk-error.js'
import { number, table } from './table.js'

/** A video in the output of `spread --json`. */
export interface SpreadRow {
  readonly videoId: VideoId
  /** On how many edges its viewers are to be. */
  readonly wanted: number
  /** On how many they are. */
  readonly edges: number
  readonly viewers: number
  /** Of the edge that has most of them. */
  readonly most: number
}

/** The output of `rebalance --json`. */
export interface Rebalancing {
  /** Unix ms. */
  readonly until: number
}

/** Longer than all rounds of levelling that a large cluster needs. */
const REBALANCING_MS = 300_000

/** Asks the gateways to have the video's viewers on so many edges; undefined: on as few as carry it, as without a wish. */
export async function spread(zk: Zk, videoId: VideoId, edges: number | undefined): Promise<void> {
  const path = `${PLACEMENT}/${spreadName(videoId)}`
  if (edges !== undefined) return zk.put(path, printNode({ edges }))
  await zk.remove(path).catch((error: unknown) => {
    if (!isZkError(error, 'NO_NODE')) throw error
  })
}

/** Asks the gateways to give every edge its share of the viewers, however little it is off by. */
export async function rebalance(zk: Zk): Promise<Rebalancing> {
  const until = Date.now() + REBALANCING_MS
  await zk.put(`${PLACEMENT}/${REBALANCE}`, printNode({ until }))
  return { until }
}

/** Every video that is spread by a wish, by its id. */
export function spreadRows(view: View): SpreadRow[] {
  return [...view.spreads].sort(([a], [b]) => (a < b ? -1 : 1)).map(([videoId, wanted]) => {
    const held = view.subscriptionsOf(videoId).map(({ viewers }) => viewers)
    return { videoId, wanted, edges: held.length, viewers: view.viewersOf(videoId), most: Math.max(0, ...held) }
  })
}

export function spreadTable(rows: readonly SpreadRow[], colour: boolean): string {
  if (rows.length === 0) return 'No video is spread by a wish: each is on as few edges as carry it.\n'
  const columns = [{ head: 'VIDEO' }, { head: 'WANTED', align: 'right' }, { head: 'EDGES', align: 'right' }, { head: 'VIEWERS', align: 'right' }, { head: 'MOST ON ONE', align: 'right' }] as const
  return table(columns, rows.map(({ videoId, wanted, edges, viewers, most }) => [videoId, ...[wanted, edges, viewers, most].map(number)]), colour)
}

export function rebalanceText({ until }: Rebalancing): string {
  return `The gateways level the edges every half minute until ${new Date(until).toISOString().slice(11, 19)} UTC, whole videos at a time; the command edges shows their progress.\n`
}
