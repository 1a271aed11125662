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

/** The watched videos, most watched first. @param edgeId lists only this edge's videos
 * @throws Problem if there is no such edge */
export function videoRows(view: View, { top, edgeId }: { top?: number; edgeId?: string }): VideoRow[] {
  if (edgeId !== undefined && !view.edge(edgeId)) throw unknownEdge(edgeId)
  const videoIds = edgeId === undefined ? view.videos() : view.holdingsOf(edgeId).keys()
  const rows = Array.from(videoIds, videoId => videoRow(view, videoId))
  return rows.sort((a, b) => b.viewers - a.viewers || (a.videoId < b.videoId ? -1 : 1)).slice(0, top)
}

/** @throws Problem if no edge holds it */
export function oneVideo(view: View, videoId: VideoId): VideoRow {
  const row = videoRow(view, videoId)
  if (row.edges.length === 0) throw new Problem('NOT_FOUND', `no edge holds the video ${videoId}: nobody watches it now, or the id is wrong`)
  return row
}

export function unknownEdge(edgeId: string): Problem {
  return new Problem('NOT_FOUND', `there is no edge ${edgeId}; the command edges lists all of them`)
}

export function videosTable(rows: readonly VideoRow[], colour: boolean): string {
  if (rows.length === 0) return 'No video is watched.\n'
  const columns = [{ head: 'VIDEO' }, { head: 'VIEWERS', align: 'right' as const }, { head: 'EDGES' }]
  const viewers = rows.reduce((sum, row) => sum + row.viewers, 0)
  return `${table(columns, rows.map(row => [row.videoId, number(row.viewers), edgesOf(row)]), colour)}\n${counted(rows.length, 'video')}, ${counted(viewers, 'viewer')}\n`
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
