import type { View } from '../registry/view.js'
import { counted, number, table, uptime } from './table.js'

/** An edge in the output of `edges --json`. */
export interface EdgeRow {
  readonly id: string
  readonly state: 'up' | 'draining'
  readonly viewers: number
  readonly capacity: number
  /** Number of videos it holds. */
  readonly videos: number
  readonly version: string
  /** Unix ms. */
  readonly startedAt: number
}

/** A dispatcher in the output of `dispatchers --json`. */
export interface DispatcherRow {
  readonly id: string
  readonly state: 'up' | 'draining'
  /** Its internal URL. */
  readonly url: string
  readonly version: string
  /** Unix ms. */
  readonly startedAt: number
}

/** A gateway as `gateways --json` has it. */
export interface GatewayRow {
  readonly id: string
  readonly state: 'up' | 'draining'
  readonly viewers: number
  /** How the public reaches it. */
  readonly url: string
  readonly version: string
  /** Unix ms. */
  readonly startedAt: number
}

export function edgeRows(view: View): EdgeRow[] {
  return Array.from(view.edges(), ({ id, state, viewers, capacity, version, startedAt }) => ({ id, state, viewers, capacity, videos: view.holdingsOf(id).size, version, startedAt })).sort(byId)
}

export function dispatcherRows(view: View): DispatcherRow[] {
  return Array.from(view.allDispatchers(), ({ id, state, internalUrl, version, startedAt }) => ({ id, state, url: internalUrl, version, startedAt })).sort(byId)
}

export function gatewayRows(view: View): GatewayRow[] {
  return Array.from(view.gateways(), ({ id, state, viewers, publicUrl, version, startedAt }) => ({ id, state, viewers, url: publicUrl, version, startedAt })).sort(byId)
}

export function edgesTable(rows: readonly EdgeRow[], now: number, colour: boolean): string {
  if (rows.length === 0) return 'No edge is announced.\n'
  const columns = [{ head: 'EDGE' }, { head: 'STATE' }, right('VIEWERS'), right('CAPACITY'), right('VIDEOS'), right('UP FOR'), { head: 'VERSION' }]
  const cells = rows.map(row => [row.id, row.state, number(row.viewers), number(row.capacity), number(row.videos), uptime(row.startedAt, now), row.version])
  const viewers = rows.reduce((sum, row) => sum + row.viewers, 0)
  return `${table(columns, cells, colour)}\n${counted(rows.length, 'edge')}, ${counted(viewers, 'viewer')}\n`
}

export function dispatchersTable(rows: readonly DispatcherRow[], now: number, colour: boolean): string {
  if (rows.length === 0) return 'No dispatcher is announced.\n'
  const columns = [{ head: 'DISPATCHER' }, { head: 'STATE' }, { head: 'INTERNAL URL' }, right('UP FOR'), { head: 'VERSION' }]
  return table(columns, rows.map(row => [row.id, row.state, row.url, uptime(row.startedAt, now), row.version]), colour)
}

export function gatewaysTable(rows: readonly GatewayRow[], now: number, colour: boolean): string {
  if (rows.length === 0) return 'No gateway is announced.\n'
  const columns = [{ head: 'GATEWAY' }, { head: 'STATE' }, right('VIEWERS'), { head: 'PUBLIC URL' }, right('UP FOR'), { head: 'VERSION' }]
  const viewers = rows.reduce((sum, row) => sum + row.viewers, 0)
  return `${table(columns, rows.map(row => [row.id, row.state, number(row.viewers), row.url, uptime(row.startedAt, now), row.version]), colour)}\n${counted(rows.length, 'gateway')}, ${counted(viewers, 'viewer')}\n`
}

const right = (head: string) => ({ head, align: 'right' as const })

function byId(a: { id: string }, b: { id: string }): number {
  return a.id < b.id ? -1 : 1
}
