import type { ActNote, Ledger, Post } from './ledger.js'
import { deletedText, pinnedText, TOMBSTONE, type ViewerNotes } from './notes.js'

/** A comment as history has it. */
export interface Stored {
  readonly id: number
  /** Empty in a deleted comment. */
  readonly content: string
  readonly deleted?: boolean | undefined
}

/** So long after a deletion was answered an edge may still not know of it: one that was frozen, or knows no dispatcher that lives, since
 * all of them were started anew while ZooKeeper was away for 30 s. */
const UNKNOWN_MS = 40_000

/** Where there are several clusters. */
export interface Across {
  /** The name of the cluster that is the video's home. */
  readonly homeOf: (videoId: string) => string
  /** For how long another cluster may not have heard of an act, ms. */
  readonly cutMs: number
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
 * @param histories by video, oldest first, read at its home when all was over */
export function check(ledger: Ledger, histories: ReadonlyMap<string, readonly Stored[]>, viewers: Iterable<ViewerNotes>, across?: Across): Verdict {
  const violations: Violation[] = []
  const videos = new Map<string, Video>()
  let stored = 0
  for (const [videoId, history] of histories) {
    videos.set(videoId, checkHistory(ledger, videoId, history, violations))
    stored += history.length
  }
  for (const post of ledger.posts()) {
    checkAnswers(post, across, violations)
    if (post.acknowledgedAt === undefined || post.id === undefined) continue
    const kept = videos.get(post.videoId)?.byId.get(post.id)
    if (kept?.post !== post) violations.push({ videoId: post.videoId, id: post.id, viewer: undefined, text: `${post.key} was acknowledged and is not in history` })
  }
  let deliveries = 0
  let gaps = 0
  let inGaps = 0
  for (const notes of viewers) {
    const seen = checkViewer(notes, videos.get(notes.videoId) ?? { order: [], byId: new Map(), unanswered: new Set() }, across && isAway(notes, across) ? UNKNOWN_MS + across.cutMs : UNKNOWN_MS, violations)
    deliveries += seen.owed
    inGaps += seen.inGaps
    gaps += notes.gaps.length
  }
  return { violations, deliveries, gaps, inGaps, stored }
}

/** An entry of a video: a comment, or an act that viewers see. */
interface Kept {
  readonly id: number
  /** What a viewer may be sent of it. */
  readonly contents: readonly string[]
  readonly post: Post | undefined
  /** Of a deleted comment. */
  readonly deletion?: ActNote | undefined
  /** An answer said that it is stored. */
  readonly isAcknowledged: boolean
}

interface Video {
  readonly order: readonly Kept[]
  readonly byId: ReadonlyMap<number, Kept>
  /** What viewers may be sent of acts of which nobody knows what became. */
  readonly unanswered: ReadonlySet<string>
}

function checkHistory(ledger: Ledger, videoId: string, history: readonly Stored[], violations: Violation[]): Video {
  const byId = new Map<number, Kept>()
  const posts = new Set<Post>()
  const answered = new Map<number, Post>()
  for (const post of ledger.posts()) if (post.videoId === videoId && post.id !== undefined) answered.set(post.id, post)
  let last = 0
  for (const { id, content, deleted } of history) {
    const bad = (text: string) => violations.push({ videoId, id, viewer: undefined, text })
    const post = deleted ? answered.get(id) : ledger.ofContent(videoId, content)
    const deletion = ledger.deletionOf(videoId, id)
    if (id <= last) bad(`history has it after ${last}`)
    last = id
    if (!post) bad(deleted ? 'history has it as deleted and its post was not acknowledged' : 'history has it and nobody posted it')
    else if (posts.has(post)) bad(`history has ${post.key} twice`)
    else if (post.id !== undefined && post.id !== id) bad(`${post.key} was acknowledged as ${post.id} and stored as this`)
    else if (post.id === undefined && refusedForGood(post)) bad(`${post.key} was refused and is stored`)
    if (deleted && !deletion) bad('history has it as deleted and nobody deleted it')
    if (!deleted && deletion?.doneAt !== undefined) bad(`${deletion.key} deleted it and history has its text`)
    if (post) posts.add(post)
    byId.set(id, { id, contents: [...(post ? [post.content] : [content]), ...(deletion ? [TOMBSTONE] : [])], post, deletion, isAcknowledged: post?.acknowledgedAt !== undefined })
  }
  const unanswered = new Set<string>()
  for (const note of ledger.acts()) {
    if (note.videoId !== videoId) continue
    const { id } = note
    const contents = contentsOf(note, ledger)
    // History has no acts: what was answered is taken at its word.
    if (id === undefined) for (const content of contents) unanswered.add(content)
    else if (contents.length > 0) byId.set(id, { id, contents, post: undefined, isAcknowledged: true })
  }
  return { order: [...byId.values()].sort((a, b) => a.id - b.id), byId, unanswered }
}

/** What viewers may be sent of an act; nothing of a ban. */
function contentsOf({ videoId, act }: ActNote, ledger: Ledger): string[] {
  if (act.type === 'deleted') return [deletedText(act.target)]
  if (act.type !== 'pinned') return []
  const isLeftOut = act.target !== undefined && ledger.deletionOf(videoId, act.target) !== undefined
  return [pinnedText(act.target), ...(isLeftOut ? [pinnedText(undefined)] : [])]
}

/** Every try was answered, and none with an answer that leaves the outcome open. */
function refusedForGood({ tries }: Post): boolean {
  return tries.every(({ outcome }) => outcome !== undefined && /^(4\d\d|503) /.test(outcome))
}

/** A post is stored, refused, not stored now, or nobody knows; only another cluster than its video's home may say that it does not
 * reach the home. */
function checkAnswers({ key, videoId, tries }: Post, across: Across | undefined, violations: Violation[]): void {
  for (const { gateway, outcome = '' } of tries) {
    const bad = (text: string) => violations.push({ videoId, id: undefined, viewer: undefined, text: `${key} was answered ${outcome} by ${gateway}, ${text}` })
    if (/^\d/.test(outcome) && !/^(201$|4\d\d |503 |504 )/.test(outcome)) bad('which says nothing of what became of it')
    if (outcome === '503 HOME_UNAVAILABLE' && (!across || clusterOf(gateway) === across.homeOf(videoId))) bad('which is at home')
  }
}

/** Whether somebody watches in another cluster than the video's home. */
export function isAway({ videoId, connections }: ViewerNotes, { homeOf }: Across): boolean {
  return connections.length > 0 && clusterOf(connections[0]!.gateway) !== homeOf(videoId)
}

/** By its name among several: CLUSTER/ID. */
function clusterOf(gateway: string): string {
  return gateway.split('/', 1)[0]!
}

function checkViewer(notes: ViewerNotes, video: Video, unknownMs: number, violations: Violation[]): { owed: number; inGaps: number } {
  const { viewer, videoId, ids, contents, times, gaps, start, left } = notes
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
    const content = contents[i]!
    if (!kept && video.unanswered.has(content)) continue
    if (!kept) bad(id, 'it came and is not in history')
    else if (!kept.contents.includes(content)) bad(id, 'it came with another content than it has in history')
    else if (kept.deletion?.doneAt !== undefined && content !== TOMBSTONE && connectedBefore(notes, times[i]!) > kept.deletion.doneAt + unknownMs) bad(id, `its text came by a connection of long after ${kept.deletion.key} deleted it`)
  }
  for (const { from, to } of gaps) {
    const sent = ids.find(id => id > from && id <= to)
    if (sent !== undefined) bad(sent, `the gap from ${from} to ${to} names it and it came`)
    last = Math.max(last, to)
  }
  let owed = 0
  let inGaps = 0
  for (const { id, isAcknowledged } of video.order) {
    if (id <= start) continue
    if (id > last && (left || !isAcknowledged)) continue
    owed++
    if (seen.has(id)) continue
    if (gaps.some(({ from, to }) => id > from && id <= to)) inGaps++
    else bad(id, id > last ? `it never came; the last that came is ${last}` : 'it never came, and later ones did')
  }
  return { owed, inGaps }
}

/** When the connection began by which something came at `time`. */
function connectedBefore({ connections }: ViewerNotes, time: number): number {
  return connections.findLast(({ at }) => at <= time)?.at ?? 0
}
