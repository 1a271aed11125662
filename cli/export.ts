import type { GatewayAddress } from './gateway-address.js'
import { pagesAfter } from './gateway-client.js'
import { harmlessJson, Problem } from './output.js'

export interface ExportOptions {
  readonly gateway: GatewayAddress
  readonly videoId: string
  /** Begins after this comment; 0: at the first. */
  readonly after: string
  /** Awaited, so that a slow reader slows the reading and not our memory. */
  readonly write: (lines: string) => Promise<void>
  /** Whether nobody takes the lines any more. */
  readonly isUnread: () => boolean
}

/** How far an export came. */
export interface Exported {
  readonly comments: number
  /** The last comment's id: the next export may begin after it. */
  readonly last: string
}

/** Writes a video's comments, oldest first, each as a line of JSON in the public API's form, to the newest there is.
 * @throws Problem that says after which comment to go on */
export async function exportVideo({ gateway, videoId, after, write, isUnread }: ExportOptions): Promise<Exported> {
  let comments = 0
  let last = after
  try {
    for await (const page of pagesAfter(gateway, videoId, after)) {
      if (isUnread()) break
      await write(page.comments.map(comment => `${harmlessJson(comment)}\n`).join(''))
      comments += page.comments.length
      last = page.last ?? last
    }
  } catch (error) {
    if (!(error instanceof Problem) || last === after) throw error
    throw new Problem(error.code, `${error.message}\nTo go on where it ended: --after ${last}`, { cause: error })
  }
  return { comments, last }
}
