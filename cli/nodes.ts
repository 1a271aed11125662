import type { View } from '../registry/view.js'
import { counted, named, number, table, uptime } from './table.js'

/** More edges than these are summed up. */
const MOST_LISTED = 20
const FULLEST = 10
/** Share of its capacity. */
const NEARLY_FULL = 0.9

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
  /** Only there if it is so: no dispatcher answers the edge. */
  readonly stale?: true
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
  return Array.from(view.edges(), ({ id, state, viewers, capacity, version, startedAt, stale }) => ({ id, state, viewers, capacity, videos: view.holdingsOf(id).size, version, startedAt, ...(stale ? { stale } : {}) })).sort(byId)
}

export function dispatcherRows(view: View): DispatcherRow[] {
  return Array.from(view.allDispatchers(), ({ id, state, internalUrl, version, startedAt }) => ({ id, state, url: internalUrl, version, startedAt })).sort(byId)
}

export function gatewayRows(view: View): GatewayRow[] {
  return Array.from(view.gateways(), ({ id, state, viewers, publicUrl, version, startedAt }) => ({ id, state, viewers, url: publicUrl, version, startedAt })).sort(byId)
}

/** Of many edges what sums them up, the fullest and the odd ones; all of them with `all`. */
export function edgesText(rows: readonly EdgeRow[], now: number, { all, colour }: { all: boolean; colour: boolean }): string {
  if (all || rows.length <= MOST_LISTED) return edgesTable(rows, now, colour)
  const fullest = [...rows].sort((a, b) => fullness(b) - fullness(a)).slice(0, FULLEST)
  const sum = (of: (row: EdgeRow) => number) => rows.reduce((total, row) => total + of(row), 0)
  const [viewers, capacity] = [sum(row => row.viewers), sum(row => row.capacity)]
  const wrong = oddEdges(rows).map(({ what, ids }) => `  ${what}: ${named(ids)}\n`)
  return (
    `${counted(rows.length, 'edge')} with ${counted(viewers, 'viewer')}, ${percent(viewers / capacity)} of what they take (${number(capacity)}), and ${counted(sum(row => row.videos), 'subscription')} to videos.\n` +
    `\nThe fullest:\n${edgeColumns(fullest, now, colour)}` +
    (wrong.length > 0 ? `\nTo look at:\n${wrong.join('')}` : '\nNone drains, is stale or nearly full, and all run one version.\n') +
    '\nedges --all lists every edge.\n'
  )
}

/** What an operator may want to look at. */
export function oddEdges(rows: readonly EdgeRow[]): { readonly what: string; readonly ids: readonly string[] }[] {
  const versions = new Map<string, number>()
  for (const { version } of rows) versions.set(version, (versions.get(version) ?? 0) + 1)
  const [usual] = [...versions].sort(([, a], [, b]) => b - a)[0] ?? ['']
  const kinds: [string, (row: EdgeRow) => boolean][] = [
    ['reached by no dispatcher', ({ stale }) => stale === true],
    [`over ${percent(NEARLY_FULL)} full`, row => fullness(row) > NEARLY_FULL],
    ['draining', ({ state }) => state === 'draining'],
    ['without a viewer', ({ viewers, state }) => viewers === 0 && state === 'up'],
    [`of another version than ${usual}`, ({ version }) => version !== usual],
  ]
  return kinds.map(([what, is]) => ({ what, ids: rows.filter(is).map(({ id }) => id) })).filter(({ ids }) => ids.length > 0)
}

const fullness = ({ viewers, capacity }: EdgeRow): number => (capacity === 0 ? 0 : viewers / capacity)
const percent = (share: number): string => `${Math.round(100 * (Number.isFinite(share) ? share : 0))}%`

function edgesTable(rows: readonly EdgeRow[], now: number, colour: boolean): string {
  if (rows.length === 0) return 'No edge is announced.\n'
  const viewers = rows.reduce((sum, row) => sum + row.viewers, 0)
  return `${edgeColumns(rows, now, colour)}\n${counted(rows.length, 'edge')}, ${counted(viewers, 'viewer')}\n`
}

function edgeColumns(rows: readonly EdgeRow[], now: number, colour: boolean): string {
  const columns = [{ head: 'EDGE' }, { head: 'STATE' }, right('VIEWERS'), right('CAPACITY'), right('VIDEOS'), right('UP FOR'), { head: 'VERSION' }]
  const cells = rows.map(row => [row.id, row.state, number(row.viewers), number(row.capacity), number(row.videos), uptime(row.startedAt, now), row.version])
  return table(columns, cells, colour)
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
