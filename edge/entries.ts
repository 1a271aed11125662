import { toEventJson, type Comment, type VideoId } from '../protocol/comment.js'
import { DEFAULT_STATE, readEntry, stateAfter, type ReadEntry, type VideoState } from '../protocol/entry.js'
import { streamEvent, type StreamEvent } from '../protocol/frame.js'
import type { CommentId } from '../protocol/id.js'
import { MAX_REPLAY } from '../protocol/limits.js'
import { commentEvent, deletedEvent, HEARTBEAT, pinnedEvent, settingsEvent } from '../protocol/sse.js'
import type { WireComment } from '../protocol/wire.js'

/** Deleted comments that a room remembers: as many as a replay has. */
const MAX_DELETED = MAX_REPLAY
/** Sent in place of an entry that is not for viewers: a line without a meaning, since every write must have some bytes. */
const NOTHING = HEARTBEAT

/** Replaces an event that shows a deleted comment; undefined for any other event. */
export type Without = (event: StreamEvent) => StreamEvent | undefined

/** A room's entries as its viewers are sent them: comments, and acts upon them as named events. It also keeps what the acts say of the
 * video. */
export class Entries {
  /** By the newest sync and the acts since; undefined before the first of them. */
  state: VideoState | undefined
  readonly #videoId: VideoId
  /** The newest deleted comments, the oldest of them first; undefined where there are none, as in most rooms. */
  #deleted: Set<CommentId> | undefined
  readonly #erase: (target: CommentId, without: Without) => void

  /** @param erase replaces a deleted comment wherever the room still has it */
  constructor(videoId: VideoId, erase: (target: CommentId, without: Without) => void) {
    this.#videoId = videoId
    this.#erase = erase
  }

  /** The next entry of the chain, as an event. */
  take(entry: WireComment): StreamEvent {
    const read = readEntry(this.#videoId, entry.json)
    if (read.kind === 'act') {
      const { act, pinned } = read
      this.state = stateAfter(this.state ?? DEFAULT_STATE, act, pinned)
      if (act.type === 'deleted') {
        this.#note(act.target)
        this.#erase(act.target, event => withoutComment(event, act.target))
      }
    }
    return this.#event(entry, read)
  }

  /** Entries from history, as events: none shows a comment that was deleted since it was read. */
  replay(entries: readonly WireComment[]): StreamEvent[] {
    const all = entries.map(({ json }) => readEntry(this.#videoId, json))
    for (const read of all) if (read.kind === 'act' && read.act.type === 'deleted') this.#note(read.act.target)
    return entries.map((entry, i) => this.#event(entry, all[i]!))
  }

  /** Takes over the state that a dispatcher reports. */
  told(state: VideoState): void {
    const { settings, pinned } = state
    this.state = this.#shows(pinned) ? state : { settings, pinned: undefined }
  }

  #event({ id, json }: WireComment, read: ReadEntry): StreamEvent {
    switch (read.kind) {
      case 'comment':
        return streamEvent(id, this.#deleted?.has(id) ? deletedEvent(id, id) : commentEvent(id, json))
      case 'tombstone':
        return streamEvent(id, deletedEvent(id, id))
      case 'unknown':
        return streamEvent(id, NOTHING)
      case 'act':
        return streamEvent(id, this.#act(id, read))
    }
  }

  #act(id: CommentId, { act, pinned }: Extract<ReadEntry, { kind: 'act' }>): string {
    switch (act.type) {
      case 'deleted':
        return deletedEvent(id, act.target)
      case 'pinned':
        return pinnedEvent(id, this.#shows(pinned) ? toEventJson(pinned) : undefined)
      case 'settings':
        return settingsEvent(id, act.settings)
      case 'author-banned':
        return NOTHING
    }
  }

  #shows(comment: Comment | undefined): comment is Comment {
    return comment !== undefined && !this.#deleted?.has(comment.id)
  }

  #note(target: CommentId): void {
    const deleted = (this.#deleted ??= new Set())
    if (deleted.add(target).size > MAX_DELETED) deleted.delete(deleted.values().next().value!)
  }
}

/** Whether it is a comment: those alone are events without a name. */
export function isComment({ text }: StreamEvent): boolean {
  return text.startsWith('id:')
}

function withoutComment({ id, text }: StreamEvent, target: CommentId): StreamEvent | undefined {
  if (id === target) return streamEvent(id, deletedEvent(id, id))
  return text.startsWith('event: pinned') && text.includes(`{"comment":{"id":"${target}",`) ? streamEvent(id, pinnedEvent(id, undefined)) : undefined
}
