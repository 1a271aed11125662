import type { Ledger, Post } from './ledger.js'
import type { ViewerNotes } from './notes.js'

/** A comment as history has it. */
export interface Stored {
  readonly id: number
  readonly content: string
}

/** A promise that was not kept. */
export interface Violation {
  readonly videoId: string
  /** Of the comment, where there is one. */
  readonly id: number | undefined
  /** Who saw it; undefined: it is in the history. */
  readonly viewer: string | undefined
  readonly text: string
}

export interface Verdict {
  readonly violations: readonly Violation[]
  /** Pairs of a viewer and a comment it was owed. */
  readonly deliveries: number
  readonly gaps: number
  /** Of those deliveries, what a gap named instead. */
  readonly inGaps: number
  readonly stored: number
}

/** Holds what every viewer saw and what history has against what was posted and acknowledged.
 * @param histories by video, oldest first, read when all was over */
export function check(ledger: Ledger, histories: ReadonlyMap<string, readonly Stored[]>, viewers: Iterable<ViewerNotes>): Verdict {
  const violations: Violation[] = []
  const videos = new Map<string, Video>()
  let stored = 0
  for (const [videoId, history] of histories) {
    videos.set(videoId, checkHistory(ledger, videoId, history, violations))
    stored += history.length
  }
  for (const post of ledger.posts()) {
    if (post.acknowledgedAt === undefined || post.id === undefined) continue
    const kept = videos.get(post.videoId)?.byId.get(post.id)
    if (kept?.post !== post) violations.push({ videoId: post.videoId, id: post.id, viewer: undefined, text: `${post.key} was acknowledged and is not in history` })
  }
  let deliveries = 0
  let gaps = 0
  let inGaps = 0
  for (const notes of viewers) {
    const seen = checkViewer(notes, videos.get(notes.videoId) ?? { order: [], byId: new Map() }, violations)
    deliveries += seen.owed
    inGaps += seen.inGaps
    gaps += notes.gaps.length
  }
  return { violations, deliveries, gaps, inGaps, stored }
}

interface Kept extends Stored {
  readonly post: Post | undefined
}

interface Video {
  readonly order: readonly Kept[]
  readonly byId: ReadonlyMap<number, Kept>
}

function checkHistory(ledger: Ledger, videoId: string, history: readonly Stored[], violations: Violation[]): Video {
  const byId = new Map<number, Kept>()
  const posts = new Set<Post>()
  const order: Kept[] = []
  let last = 0
  for (const { id, content } of history) {
    const bad = (text: string) => violations.push({ videoId, id, viewer: undefined, text })
    const post = ledger.ofContent(videoId, content)
    if (id <= last) bad(`history has it after ${last}`)
    last = id
    if (!post) bad('history has it and nobody posted it')
    else if (posts.has(post)) bad(`history has ${post.key} twice`)
    else if (post.id !== undefined && post.id !== id) bad(`${post.key} was acknowledged as ${post.id} and stored as this`)
    else if (post.id === undefined && refusedForGood(post)) bad(`${post.key} was refused and is stored`)
    if (post) posts.add(post)
    const kept = { id, content, post }
    order.push(kept)
    byId.set(id, kept)
  }
  return { order, byId }
}

/** Every try was answered, and none with an answer that leaves the outcome open. */
function refusedForGood({ tries }: Post): boolean {
  return tries.every(({ outcome }) => outcome !== undefined && /^4\d\d /.test(outcome))
}

function checkViewer(notes: ViewerNotes, video: Video, violations: Violation[]): { owed: number; inGaps: number } {
  const { viewer, videoId, ids, contents, gaps, start, left } = notes
  const bad = (id: number | undefined, text: string) => violations.push({ videoId, id, viewer, text })
  for (const offence of notes.offences) bad(undefined, offence)
  if (start === undefined) {
    if (!left) bad(undefined, 'it was never ready')
    return { owed: 0, inGaps: 0 }
  }
  const seen = new Set<number>()
  let last = start
  for (const [i, id] of ids.entries()) {
    if (seen.has(id)) bad(id, 'it came twice')
    else if (id <= last) bad(id, `it came after ${last}`)
    seen.add(id)
    last = Math.max(last, id)
    const kept = video.byId.get(id)
    if (!kept) bad(id, 'it came and is not in history')
    else if (kept.content !== contents[i]) bad(id, 'it came with another content than it has in history')
  }
  for (const { from, to } of gaps) {
    const sent = ids.find(id => id > from && id <= to)
    if (sent !== undefined) bad(sent, `the gap from ${from} to ${to} names it and it came`)
    last = Math.max(last, to)
  }
  let owed = 0
  let inGaps = 0
  for (const { id, post } of video.order) {
    if (id <= start) continue
    if (id > last && (left || post?.acknowledgedAt === undefined)) continue
    owed++
    if (seen.has(id)) continue
    if (gaps.some(({ from, to }) => id > from && id <= to)) inGaps++
    else bad(id, id > last ? `it never came; the last that came is ${last}` : 'it never came, and later ones did')
  }
  return { owed, inGaps }
}
