import type { VideoId } from '../protocol/comment.js'
import type { View } from '../registry/view.js'
import { Problem } from './output.js'
import { counted, number, table } from './table.js'

/** A video in the output of `videos --json` and `video --json`. */
export interface VideoRow {
  readonly videoId: VideoId
  readonly viewers: number
  /** The edges that hold it, fullest first. */
  readonly edges: readonly { readonly id: string; readonly viewers: number }[]
}

const EDGES_SHOWN = 4
/** Videos that are listed where nobody says how many. */
export const VIDEOS_SHOWN = 20

/** The watched videos, as far as they are asked for. */
export interface Videos {
  /** Most watched first. */
  readonly rows: readonly VideoRow[]
  /** Of all, those that are not asked for included. */
  readonly videos: number
  readonly viewers: number
}

/** @param top leaves out the less watched @param edgeId only this edge's videos @throws Problem if there is no such edge */
export function watchedVideos(view: View, { top = Infinity, edgeId }: { top?: number; edgeId?: string }): Videos {
  if (edgeId !== undefined && !view.edge(edgeId)) throw unknownEdge(edgeId)
  let most: Watched[] = []
  let [videos, viewers] = [0, 0]
  for (const videoId of edgeId === undefined ? view.videos() : view.holdingsOf(edgeId).keys()) {
    const watched = { videoId, viewers: view.viewersOf(videoId) }
    videos++
    viewers += watched.viewers
    most.push(watched)
    // A million videos are not sorted for the ten that are shown.
    if (most.length > 2 * top + SORTED_AT_LEAST) most = most.sort(mostFirst).slice(0, top)
  }
  return { rows: most.sort(mostFirst).slice(0, top).map(({ videoId }) => videoRow(view, videoId)), videos, viewers }
}

type Watched = Pick<VideoRow, 'videoId' | 'viewers'>

const SORTED_AT_LEAST = 1_000
const mostFirst = (a: Watched, b: Watched): number => b.viewers - a.viewers || (a.videoId < b.videoId ? -1 : 1)

/** @throws Problem if no edge holds it */
export function oneVideo(view: View, videoId: VideoId): VideoRow {
  const row = videoRow(view, videoId)
  if (row.edges.length === 0) throw new Problem('NOT_FOUND', `no edge holds the video ${videoId}: nobody watches it now, or the id is wrong`)
  return row
}

export function unknownEdge(edgeId: string): Problem {
  return new Problem('NOT_FOUND', `there is no edge ${edgeId}; the command edges lists all of them`)
}

export function videosTable({ rows, videos, viewers }: Videos, colour: boolean): string {
  if (rows.length === 0) return 'No video is watched.\n'
  const columns = [{ head: 'VIDEO' }, { head: 'VIEWERS', align: 'right' as const }, { head: 'EDGES' }]
  const all = `${counted(videos, 'video')}, ${counted(viewers, 'viewer')}`
  const left = rows.length < videos ? `; these are the most watched ${number(rows.length)}, videos --all lists all` : ''
  return `${table(columns, rows.map(row => [row.videoId, number(row.viewers), edgesOf(row)]), colour)}\n${all}${left}\n`
}

export function videoTable({ videoId, viewers, edges }: VideoRow, colour: boolean): string {
  const columns = [{ head: 'EDGE' }, { head: 'VIEWERS', align: 'right' as const }]
  return `${table(columns, edges.map(edge => [edge.id, number(edge.viewers)]), colour)}\n${videoId}: ${counted(viewers, 'viewer')} on ${counted(edges.length, 'edge')}\n`
}

function videoRow(view: View, videoId: VideoId): VideoRow {
  const edges = view.subscriptionsOf(videoId).map(({ edge, viewers }) => ({ id: edge.id, viewers }))
  edges.sort((a, b) => b.viewers - a.viewers || (a.id < b.id ? -1 : 1))
  return { videoId, viewers: view.viewersOf(videoId), edges }
}

function edgesOf({ edges }: VideoRow): string {
  const shown = edges.slice(0, EDGES_SHOWN).map(({ id, viewers }) => (edges.length === 1 ? id : `${id} (${number(viewers)})`))
  return edges.length > EDGES_SHOWN ? `${shown.join(', ')} and ${edges.length - EDGES_SHOWN} more` : shown.join(', ')
}
