import type { VideoId } from '../../../protocol/comment.js'
import type { HeldComment, HeldId } from '../../../protocol/held.js'
import { inParallel } from '../../../runtime/in-parallel.js'
import { heldIdOf, outcomeOfHeld, saidOf } from '../held-draft.js'
import type { Held, Outcome, Timed } from '../store.js'
import { CallError } from './call-error.js'
import type { Cql, Row } from './cql.js'
import type { HookTable } from './hook-table.js'
import type { Limits } from './limits.js'
import { HOOKED_DECISION_TTL_S } from './schema.js'
import { APPROVING, type Statements } from './statements.js'

export interface HeldTableDeps {
  readonly cql: Cql
  readonly statements: Statements
  readonly limits: Limits
  /** Where a web hook is to be sent what happens to held comments. */
  readonly hooks: HookTable | undefined
}

/** Of one video, in one answer: the oldest among so many are shown. */
const MAX_READ = 5_000

/** Comments that wait for a moderator. They are in another table than the comments, so that an approval takes three steps: nobody may
 * refuse it any more, then the comment is made under its key, then its content goes from here. Whoever stops between them leaves
 * one that waits still, and the next approval goes on: the key makes one comment. */
export class HeldTable {
  readonly #deps: HeldTableDeps

  constructor(deps: HeldTableDeps) {
    this.#deps = deps
  }

  /** The outcome of a draft that is to make no comment now; undefined: it is.
   * @param madeOf what its key has made */
  async before(draft: Timed, nowMs: number, madeOf: () => Promise<Outcome | undefined>): Promise<Outcome | undefined> {
    if (draft.review === undefined) return undefined
    try {
      const outcome = await this.#outcomeOf(draft)
      // Whoever approved it may not have come to the end.
      if (outcome?.kind === 'held') return (await madeOf()) ?? outcome
      return outcome ?? (await this.#begin(draft, nowMs, madeOf))
    } catch (error) {
      if (!(error instanceof CallError)) throw error
      return { kind: draft.review === 'hold' && error.unknown ? 'unknown' : 'failed', reason: error.message }
    }
  }

  /** To be called when the draft has its outcome: what is approved leaves no content here. Where that fails, it waits still. */
  async after(draft: Timed, outcome: Outcome): Promise<void> {
    if (draft.review !== 'approve' || (outcome.kind !== 'created' && outcome.kind !== 'repeated')) return
    try {
      const held = await this.find(draft.videoId, heldIdOf(draft))
      if (held && !held.decided) await this.#decide(held, { approved: String(outcome.comment.id) }, APPROVING)
    } catch (error) {
      if (!(error instanceof CallError)) throw error
    }
  }

  /** @throws CallError */
  async waiting(videoId: VideoId, limit: number): Promise<HeldComment[]> {
    const { cql, statements, limits } = this.#deps
    const rows = await cql.read(statements.allHeld(videoId, MAX_READ), limits.pageMs)
    const waiting = rows.map(row => heldOf(videoId, row)).filter(({ decided }) => !decided)
    return waiting
      .sort((a, b) => a.heldAt - b.heldAt)
      .slice(0, limit)
      .map(({ id, authorId, authorName, content, heldAt }) => ({ id, videoId, authorId, ...(authorName === undefined ? {} : { authorName }), content, heldAt }))
  }

  /** @throws CallError */
  async find(videoId: VideoId, id: HeldId): Promise<Held | undefined> {
    const { cql, statements, limits } = this.#deps
    const [row] = await cql.read(statements.held(videoId, id), limits.statementMs, true)
    return row && heldOf(videoId, row)
  }

  /** @throws CallError */
  async refuse(videoId: VideoId, id: HeldId, reason: string | undefined): Promise<Held | undefined> {
    const held = await this.find(videoId, id)
    if (!held || held.decided) return held
    await this.#decide(held, { refused: true, reason }, null)
    return this.find(videoId, id)
  }

  /** @throws CallError */
  async erase(authorId: string): Promise<number> {
    const { cql, statements, limits } = this.#deps
    const rows = (await cql.read(statements.heldBy(authorId), limits.pageMs)) as readonly { video_id: string; id: string; decided: string | null }[]
    await inParallel(rows, async ({ video_id, id }) => void (await this.#writeIf(statements.deleteHeld(video_id, id))))
    return rows.filter(({ decided }) => decided === null || decided === APPROVING).length
  }

  /** @throws CallError */
  async #outcomeOf(draft: Timed): Promise<Outcome | undefined> {
    return outcomeOfHeld(draft, await this.find(draft.videoId, heldIdOf(draft)))
  }

  /** Holds it, or begins its approval. @throws CallError */
  async #begin(draft: Timed, nowMs: number, madeOf: () => Promise<Outcome | undefined>): Promise<Outcome | undefined> {
    if (draft.review === 'publish') return undefined
    const { statements } = this.#deps
    const { videoId, authorId, authorName, content, key } = draft
    const id = heldIdOf(draft)
    if (draft.review === 'approve') {
      const refused = await this.#writeIf(statements.beginApproval(videoId, id))
      return refused && this.#outcomeOf(draft)
    }
    const made = await madeOf()
    if (made) return made
    if ((draft.deadline ?? Infinity) <= performance.now()) return { kind: 'expired' }
    await this.#deps.hooks?.markHeld(videoId, id, 'held')
    const refused = await this.#writeIf(statements.hold({ id, videoId, authorId, authorName, content, key, said: saidOf(draft), heldAt: nowMs }))
    return refused ? ((await this.#outcomeOf(draft)) ?? { kind: 'held' }) : { kind: 'held' }
  }

  /** @param from what was said of it before; null: nothing @throws CallError */
  async #decide(held: Held, decided: object, from: string | null): Promise<void> {
    const { statements, hooks } = this.#deps
    await hooks?.markHeld(held.videoId, held.id, 'decided')
    await this.#writeIf(statements.decide(held, JSON.stringify(decided), from, hooks && HOOKED_DECISION_TTL_S))
  }

  #writeIf(statement: ReturnType<Statements['held']>): Promise<Row | undefined> {
    return this.#deps.cql.writeIf([statement], this.#deps.limits.statementMs)
  }
}

export function heldOf(videoId: VideoId, row: Row): Held {
  const { id, author_id, author_name, content, key, said, held_at, decided } = row as { id: HeldId; author_id: string; author_name: string | null; content: string; key: string; said: string; held_at: number; decided: string | null }
  return { id, videoId, authorId: author_id, ...(author_name === null ? {} : { authorName: author_name }), content, key, said, heldAt: held_at, ...decidedOf(decided) }
}

/** One whose approval has begun waits still: whoever began it may have stopped. */
function decidedOf(decided: string | null): Pick<Held, 'decided'> {
  if (decided === null || decided === APPROVING) return {}
  const { approved, reason } = JSON.parse(decided) as { approved?: string; reason?: string }
  return { decided: approved === undefined ? { refused: true, reason } : { approved: Number(approved) } }
}
