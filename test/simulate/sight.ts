import type { VideoId } from '../../protocol/comment.js'
import { DEFAULT_SETTINGS, type Settings } from '../../protocol/entry.js'
import type { CommentId, Cursor } from '../../protocol/id.js'
import { SseParser, type SseEvent } from '../../protocol/sse.js'
import type { Checker } from './checker.js'

/** A comment as an event has it. */
interface ShownComment {
  readonly id: string
  readonly content: string
}

export interface SightOptions {
  readonly checker: Checker
  readonly videoId: VideoId
  readonly viewer: string
  /** Whether a dispatcher may have been unable to say how the video is set. */
  readonly stateMayBeUnknown: () => boolean
}

/** What one viewer is shown, event by event: that it is what was said and done, and nothing that was deleted. */
export class Sight {
  readonly #o: SightOptions
  #written = new SseParser()

  constructor(options: SightOptions) {
    this.#o = options
  }

  /** A new connection. */
  begin(): void {
    this.#written = new SseParser()
  }

  /** What is written to the viewer's connection now, as text: no socket has it yet. Who writes a deletion knows of it, and does not
   * write what it deletes before it. */
  written(bytes: Uint8Array | string): void {
    const shown = new Set<CommentId>()
    for (const event of this.#written.push(Buffer.from(bytes))) {
      for (const comment of commentsIn(event)) {
        this.#shows(comment)
        shown.add(Number(comment.id))
      }
      const target = event.event === 'deleted' ? targetOf(event) : 0
      if (shown.has(target)) this.#o.checker.violate('erased', `${this.#o.viewer} is written ${target} together with its deletion`, { viewer: this.#o.viewer, videoId: this.#o.videoId, id: target })
    }
  }

  /** An entry of the stream. @param at since when whoever wrote it could have known of what was deleted, virtual ms */
  entry({ event, id: text, data }: SseEvent, at: number): void {
    const { checker, videoId } = this.#o
    const id = Number(text)
    const chronicle = checker.chronicle(videoId)
    const act = chronicle.actAt(id)
    for (const comment of commentsIn({ event, id: text, data })) this.#shows(comment, at)
    const wrong = (why: string) => this.#violate(`${event} ${id} ${why}: ${data}`, id)
    switch (event) {
      case 'message':
        return
      case 'deleted': {
        const target = targetOf({ data })
        if (!chronicle.isDeleted(target)) wrong('is of what is not deleted')
        else if (act ? act.type !== 'deleted' || act.target !== target : target !== id) wrong('is not what was done')
        return
      }
      case 'pinned': {
        const { comment } = JSON.parse(data) as { comment: ShownComment | null }
        const target = act?.type === 'pinned' ? act.target : undefined
        const isLeftOut = comment === null && target !== undefined && chronicle.isDeleted(target)
        if (act?.type !== 'pinned' || ((comment === null ? undefined : Number(comment.id)) !== target && !isLeftOut)) wrong('is not what was done')
        return
      }
      case 'settings':
        if (act?.type !== 'settings' || JSON.stringify(act.settings) !== data) wrong('is not what was done')
        return
      default:
        wrong('is unknown')
    }
  }

  /** `ready` at L shows what the acts had come to there, or after an act since. */
  ready({ id, data }: SseEvent, at: number): void {
    const { checker, videoId, stateMayBeUnknown } = this.#o
    const { settings = DEFAULT_SETTINGS, pinned = null } = JSON.parse(data) as { settings?: Settings; pinned?: ShownComment | null }
    if (pinned) this.#shows(pinned, at)
    const said = JSON.stringify({ settings, pinned: pinned?.id })
    const L: Cursor = Number(id)
    for (const { settings, pinned } of checker.chronicle(videoId).statesFrom(L)) {
      if (JSON.stringify({ settings, pinned: pinned === undefined ? undefined : String(pinned) }) === said) return
    }
    if (!data.includes('"settings"') && stateMayBeUnknown()) return
    this.#violate(`ready at ${L} shows ${said}`, L)
  }

  #shows({ id, content }: ShownComment, at?: number): void {
    this.#o.checker.shows(this.#o.viewer, this.#o.videoId, Number(id), content, at)
  }

  #violate(text: string, id: CommentId): void {
    const { checker, viewer, videoId } = this.#o
    checker.violate('acts', `${viewer} of ${videoId}: ${text}`, { viewer, videoId, id })
  }
}

function targetOf({ data }: Pick<SseEvent, 'data'>): CommentId {
  return Number((JSON.parse(data) as { target: string }).target)
}

/** Comments whose text an event shows. */
function commentsIn({ event, data }: SseEvent): ShownComment[] {
  if (event === 'message') return [JSON.parse(data) as ShownComment]
  const field = event === 'pinned' ? 'comment' : event === 'ready' ? 'pinned' : undefined
  const comment = field && (JSON.parse(data) as Record<string, ShownComment | null | undefined>)[field]
  return comment ? [comment] : []
}
