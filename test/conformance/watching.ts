/** One event as a client sees it, whatever brought it. */
export interface Seen {
  readonly event: string
  readonly id: string | undefined
  readonly data: unknown
}

/** How a client's watching ended, if the server ended it or refused it. */
export interface Ended {
  /** Of the answer that refused it. */
  readonly status?: number | undefined
  /** The error's code, or the reason of a close. */
  readonly code?: string | undefined
  /** How long the client is to wait. */
  readonly retryMs?: number | undefined
}

export interface Asked {
  /** To resume from. */
  readonly after?: string | undefined
  readonly recent?: number
  /** Others, as they are. */
  readonly parameters?: Readonly<Record<string, string>>
  readonly token?: string
}

/** A client that watches a video by one of the transports, and does not come back by itself once the server has ended it. */
export interface Watching {
  /** In the order they came. */
  readonly events: readonly Seen[]
  readonly ended: Ended | undefined
  /** The last id that it saw. */
  readonly cursor: string | undefined
  /** Resolves when what follows is live: all that is posted from then on will come. */
  ready(): Promise<unknown>
  /** Reads nothing until `resume`. */
  pause(): void
  resume(): void
  close(): void
}

export interface Transport {
  readonly name: string
  /** Only gateways have it. */
  readonly isOfGateways?: boolean
  /** @param url of a gateway's or an edge's public port */
  watch(url: string, videoId: string, asked: Asked): Watching
}

/** The comments among the events. */
export function commentsOf({ events }: Watching): { readonly id: string; readonly content: string }[] {
  return events.filter(({ event }) => event === 'message').map(({ data }) => data as { id: string; content: string })
}

export function idsOf(watching: Watching): string[] {
  return commentsOf(watching).map(({ id }) => id)
}
