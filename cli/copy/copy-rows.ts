import { isDeepStrictEqual } from 'node:util'
import type { VideoId } from '../../protocol/comment.js'
import { MAX_CURSOR, type Cursor } from '../../protocol/id.js'
import { inParallel } from '../../runtime/in-parallel.js'
import { OtherRowsError, UnknownColumnError, UnlikeError, type CopiedStore, type Row, type VideoState } from './copied-store.js'
import { copyHeld, copyHookPlace } from './copy-beside.js'
import { Digest } from './digest.js'

const NO_STATE: VideoState = { bans: {} }

/** How far a copy has come. */
export interface CopyState {
  /** Videos that are copied and checked. */
  readonly videosDone: number
  readonly videos: number
  /** Comments that have been copied, and those that were there before. */
  readonly copied: number
  readonly wereThere: number
  /** All comments of the source; undefined where it does not count them. */
  readonly comments: number | undefined
  /** Comments that wait for a moderator, of the videos that are done. */
  readonly held: number
  /** Whether that is all: it was not stopped before. */
  readonly isWhole: boolean
}

export interface CopyOptions {
  readonly from: CopiedStore
  readonly to: CopiedStore
  /** Ends the copy after the pages that are under way. */
  readonly signal: AbortSignal
  readonly onProgress: (state: CopyState) => void
}

/** Copies all videos' rows, keys, states and held comments as they are, and compares count and hash of each video afterwards; then how
 * far a web hook has been sent each. Videos that the target has must begin as they do at the source; they are gone on with, so that a copy that was stopped, or whose source has
 * grown, is made again by the same call. What has been erased at the source since is erased at the target, and what is
 * held of a video there is what is held here. Videos that only the target has are left alone.
 * @throws OtherRowsError, before anything is written if the newest comments show it; UnknownColumnError; UnlikeError; errors of the stores */
export async function copyRows({ from, to, signal, onProgress }: CopyOptions): Promise<CopyState> {
  const videos = await from.videos()
  const comments = await from.count()
  const hooked = new Set(await from.hookedVideos())
  const tally = { videosDone: 0, copied: 0, wereThere: 0, held: 0, isWhole: false }
  const state = (): CopyState => ({ ...tally, videos: videos.length, comments })
  onProgress(state())

  const heads = new Map<VideoId, Cursor>()
  await untilFailure(videos, signal, async videoId => {
    const head = await to.lastId(videoId)
    if (head > 0) changesSince(videoId, await pageOf(from, videoId, head), await pageOf(to, videoId, head))
    heads.set(videoId, head)
  })
  await untilFailure(videos, signal, async videoId => {
    const head = heads.get(videoId)!
    const held = await copyHeld(from, to, videoId, hooked.has(videoId)) // before the comments: of one that is just being approved both are there
    const wereThere = await catchUp(from, to, videoId, head)
    tally.wereThere += wereThere
    onProgress(state())

    const [read, written] = [new Digest(), new Digest()]
    const keys = await from.keys(videoId)
    let last = head
    for await (const page of from.rows(videoId, head, MAX_CURSOR)) {
      if (signal.aborted) return
      checkColumns(page, to)
      await to.append(videoId, last, page, keys)
      read.add(page)
      last = page.at(-1)!.id
      tally.copied += page.length
      onProgress(state())
    }
    for await (const page of to.rows(videoId, head, last)) written.add(page)
    if (!read.equals(written)) throw new UnlikeError(`video ${videoId}: ${written.count} comments with hash ${written.hash} are there, and ${read.count} with hash ${read.hash} were read`)
    await copyState(from, to, videoId)
    tally.videosDone++
    tally.held += held
    onProgress(state())
  })
  // Last of all: by then all that it has been sent is there.
  let places = 0
  const copied = new Set(videos)
  const withPlaces = [...new Set([...(await from.hookedVideos()), ...(await to.hookedVideos())])].filter(videoId => copied.has(videoId))
  await untilFailure(withPlaces, signal, async videoId => {
    await copyHookPlace(from, to, videoId)
    places++
  })
  tally.isWhole = tally.videosDone === videos.length && places === withPlaces.length
  return state()
}

/** What the acts upon a video have come to; it may be nothing any more, once a ban has ended. */
async function copyState(from: CopiedStore, to: CopiedStore, videoId: VideoId): Promise<void> {
  const [ours, theirs] = [(await from.state(videoId)) ?? NO_STATE, (await to.state(videoId)) ?? NO_STATE]
  if (!isDeepStrictEqual(ours, theirs)) await to.setState(videoId, ours)
}

/** Compares what the target has of a video, and brings it up to date. @returns how many rows that is */
async function catchUp(from: CopiedStore, to: CopiedStore, videoId: VideoId, head: Cursor): Promise<number> {
  const [read, written] = [new Digest(), new Digest()]
  const theirs = to.rows(videoId, 0, head)[Symbol.asyncIterator]()
  let rest: readonly Row[] = []
  for await (const page of from.rows(videoId, 0, head)) {
    while (rest.length < page.length) {
      const next = await theirs.next()
      if (next.done) throw new OtherRowsError(videoId)
      rest = [...rest, ...next.value]
    }
    const changed = changesSince(videoId, page, rest.slice(0, page.length))
    if (changed.length > 0) {
      checkColumns(changed, to)
      await to.amend(videoId, changed)
    }
    rest = rest.slice(page.length)
    read.add(page)
  }
  if (rest.length > 0 || !(await theirs.next()).done) throw new OtherRowsError(videoId)
  for await (const page of to.rows(videoId, 0, head)) written.add(page)
  if (!read.equals(written)) throw new UnlikeError(`video ${videoId}: what was there is not what is at the source`)
  return read.count
}

/** The rows that have been erased since they were copied. @throws OtherRowsError where anything else differs */
function changesSince(videoId: VideoId, ours: readonly Row[], theirs: readonly Row[]): Row[] {
  if (ours.length !== theirs.length) throw new OtherRowsError(videoId)
  return ours.filter((row, i) => {
    const other = theirs[i]!
    if (isDeepStrictEqual(row, other)) return false
    if (row.id === other.id && row.prev === other.prev && isErased(row)) return true
    throw new OtherRowsError(videoId)
  })
}

/** A deleted comment's content is gone, and its row names the act that deleted it. */
function isErased({ columns: { entry, content } }: Row): boolean {
  return content === '' && typeof entry === 'string' && /"deletedBy"/.test(entry)
}

async function pageOf(store: CopiedStore, videoId: VideoId, id: Cursor): Promise<Row[]> {
  const rows: Row[] = []
  for await (const page of store.rows(videoId, id - 1, id)) rows.push(...page)
  return rows
}

/** Runs the task for each video, many at once, until one fails or `signal` ends it. @throws the first failure */
async function untilFailure(videos: readonly VideoId[], signal: AbortSignal, task: (videoId: VideoId) => Promise<void>): Promise<void> {
  const failures: unknown[] = []
  await inParallel(videos, async videoId => {
    if (signal.aborted || failures.length > 0) return
    try {
      await task(videoId)
    } catch (error) {
      failures.push(error)
    }
  })
  if (failures.length > 0) throw failures[0]
}

/** @throws UnknownColumnError */
function checkColumns(rows: readonly Row[], { columns, name }: CopiedStore): void {
  for (const row of rows) {
    const unknown = Object.keys(row.columns).find(column => !columns.has(column))
    if (unknown !== undefined) throw new UnknownColumnError(name, `the column ${unknown} of comments`)
  }
}
