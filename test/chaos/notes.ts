/** What one viewer notes of its stay, over all its connections. Times are `performance.now()`. */
export interface ViewerNotes {
  readonly viewer: string
  readonly videoId: string
  /** Where its duty to have everything begins: it is owed every comment above. Undefined until its first `ready` or comment. */
  start: number | undefined
  /** Comments, and acts upon them, in the order they came: the content as it came, or what was done, in the words below. */
  readonly ids: number[]
  readonly contents: string[]
  readonly times: number[]
  readonly gaps: Gap[]
  readonly connections: Connection[]
  /** Waits for a comment that were longer than the usual flow. */
  readonly waits: Wait[]
  /** What no viewer should see, noted as it happened. */
  readonly offences: string[]
  /** It left before the end: it is owed only what lies below the last it saw. */
  left: boolean
}

/** The comments in (from, to] were not sent. */
export interface Gap {
  readonly from: number
  readonly to: number
  readonly at: number
}

export interface Connection {
  readonly at: number
  readonly gateway: string
  /** Of the gateway's process when it began. */
  readonly pid: number | null
  readonly cursor: string
  readyAt: number | undefined
  endedAt: number | undefined
  end: End | undefined
}

/** Who ended a connection: we, the server, or there never was one. */
export type End = 'left' | 'ended' | 'broken' | 'unreachable'

/** Nothing came from `from` to `to`; `first` is the index of the first comment that then came. */
export interface Wait {
  readonly from: number
  readonly to: number
  readonly first: number
}

export function newNotes(viewer: string, videoId: string): ViewerNotes {
  return { viewer, videoId, start: undefined, ids: [], contents: [], times: [], gaps: [], connections: [], waits: [], offences: [], left: false }
}

/** In the place of a deleted comment. */
export const TOMBSTONE = '(deleted)'

/** @param target the id of the comment */
export function deletedText(target: string | number | undefined): string {
  return `(${target} is deleted)`
}

/** @param target the id of the comment; undefined where none is shown */
export function pinnedText(target: string | number | undefined): string {
  return target === undefined ? '(nothing is pinned)' : `(${target} is pinned)`
}
