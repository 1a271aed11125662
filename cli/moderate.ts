import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { parseActResult, printActRequest } from '../protocol/acts.js'
import { toPublic, type VideoId } from '../protocol/comment.js'
import { checkOrder, parseState, type Act, type ActOrder, type Settings, type VideoState } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import { checkDecision, parseDecisionResult, parseHeld, printDecision, type Decision, type HeldComment, type HeldId } from '../protocol/held.js'
import type { DispatcherNode } from '../protocol/nodes.js'
import { candidates, ownersOf } from '../registry/ownership.js'
import type { View } from '../registry/view.js'
import type { Caller } from '../runtime/peers/client.js'
import { PeerError } from '../runtime/peers/peer-error.js'
import { Problem } from './output.js'
import { counted, table } from './table.js'

const TIMEOUT_MS = 5_000
/** For a step of an erasure, which deletes many comments one after the other. */
const ERASE_MS = 60_000
/** The name of whoever moderates by commands, in the audit log. */
const OPERATOR = 'operator'

const failure = z.object({ error: z.object({ code: z.string(), message: z.string() }) })
const erasure = z.object({ erased: z.int().min(0), after: z.string().nullable() })

/** The output of `delete`, `pin`, `ban` and `unban` with --json. */
export interface Done {
  /** Of the act, in the video's order. */
  readonly id: string
  readonly videoId: VideoId
}

/** The output of `settings --json`. */
export interface SettingsAnswer {
  readonly videoId: VideoId
  readonly settings: Settings
  /** In the public API's form; null where no comment is pinned. */
  readonly pinned: Readonly<Record<string, unknown>> | null
}

/** The output of `held --json`. */
export interface HeldList {
  readonly videoId: VideoId
  /** The oldest first, at most 200. */
  readonly held: readonly HeldComment[]
}

/** The output of `approve` and `refuse` with --json. */
export interface Decided {
  readonly videoId: VideoId
  readonly heldId: HeldId
  /** Of the comment, where it was approved. */
  readonly id?: string
}

/** The output of `erase --json`. */
export interface Erased {
  readonly authorId: string
  /** How many comments were deleted. */
  readonly erased: number
}

/** An operator's hand on the comments: a video's owner does it, or the next dispatcher that can be reached.
 * Every method throws a Problem where none can, or where it is refused. */
export class Moderator {
  readonly #view: View
  readonly #client: Caller

  constructor(view: View, client: Caller) {
    this.#view = view
    this.#client = client
  }

  async act(videoId: VideoId, act: Act): Promise<Done> {
    // One key for all tries: it is done once, whoever does it.
    const order = orderOf(videoId, act)
    const result = parseActResult(await this.#ask(ownersOf(this.#view, videoId), { path: '/internal/acts', body: printActRequest({ passedOn: false, order, leftMs: TIMEOUT_MS }) }))
    if ('error' in result) throw new Problem(result.error.code, `${result.error.code}: ${result.error.message}`)
    return { id: String(result.entryId), videoId }
  }

  async state(videoId: VideoId): Promise<SettingsAnswer> {
    const state = parseState(videoId, (await this.#ask(ownersOf(this.#view, videoId), { path: `/internal/state/${videoId}` })).toString())
    if (!state) throw new Problem('DISPATCHER_REFUSES', 'the dispatcher\'s answer cannot be read')
    return answerOf(videoId, state)
  }

  /** Changes some of the settings. */
  async set(videoId: VideoId, change: Partial<Settings>): Promise<SettingsAnswer> {
    const { settings } = await this.state(videoId)
    await this.act(videoId, { type: 'settings', settings: { ...settings, ...change } })
    return this.state(videoId)
  }

  /** What waits for a moderator. */
  async held(videoId: VideoId): Promise<HeldList> {
    return { videoId, held: parseHeld(await this.#ask(ownersOf(this.#view, videoId), { path: `/internal/held/${videoId}` })) }
  }

  /** Publishes a held comment, or refuses it. */
  async decide(videoId: VideoId, heldId: HeldId, decision: Decision): Promise<Decided> {
    const body = printDecision({ actorId: OPERATOR, decision, leftMs: TIMEOUT_MS })
    const result = parseDecisionResult(await this.#ask(ownersOf(this.#view, videoId), { path: `/internal/held/${videoId}/${heldId}`, body }))
    if ('error' in result) throw new Problem(result.error.code, `${result.error.code}: ${result.error.message}`)
    return { videoId, heldId, ...('id' in result ? { id: String(result.id) } : {}) }
  }

  /** Deletes all comments of an author, in every video. Where it fails on the way it can be repeated. */
  async erase(authorId: string): Promise<Erased> {
    let erased = 0
    for (let after: string | null | undefined; after !== null; ) {
      const answer = await this.#ask(candidates(this.#view), { path: '/internal/erase-author', body: JSON.stringify({ authorId, actorId: OPERATOR, after }), timeoutMs: ERASE_MS })
      const page = erasure.parse(JSON.parse(answer.toString()))
      erased += page.erased
      after = page.after
    }
    return { authorId, erased }
  }

  /** The answer of the first that can be reached. */
  async #ask(dispatchers: readonly DispatcherNode[], { path, body, timeoutMs = TIMEOUT_MS }: { path: string; body?: string; timeoutMs?: number }): Promise<Buffer> {
    let failed: PeerError | undefined
    for (const { internalUrl, instance } of dispatchers) {
      try {
        return await this.#client.call(internalUrl, { method: body === undefined ? 'GET' : 'POST', to: instance, path, ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }), timeoutMs })
      } catch (error) {
        if (!(error instanceof PeerError)) throw error
        if (error.status === 400) throw problemOf(error) // the others would say the same
        failed = error
      }
    }
    if (!failed) throw new Problem('NO_DISPATCHER', 'no dispatcher is announced; the command doctor says more')
    throw problemOf(failed)
  }
}

/** @throws Problem that names the field and the rule */
function orderOf(videoId: VideoId, act: Act): ActOrder {
  try {
    return checkOrder({ videoId, key: randomUUID(), actorId: OPERATOR, asModerator: true, act })
  } catch (error) {
    throw error instanceof LiveError ? new Problem(error.code, error.message, { cause: error }) : error
  }
}

function answerOf(videoId: VideoId, { settings, pinned }: VideoState): SettingsAnswer {
  return { videoId, settings, pinned: pinned ? toPublic(pinned) : null }
}

function problemOf(error: PeerError): Problem {
  if (error.status === 404) return new Problem('UPGRADE_UNFINISHED', 'a dispatcher is of the former version, which knows no moderation', { cause: error })
  const said = failure.safeParse(parsed(error.body))
  return said.success ? new Problem(said.data.error.code, `${said.data.error.code}: ${said.data.error.message}`, { cause: error }) : new Problem('DISPATCHER_AWAY', error.message, { cause: error })
}

function parsed(body: Buffer | undefined): unknown {
  try {
    return JSON.parse(String(body))
  } catch {
    return undefined
  }
}

export function doneText(what: string): (done: Done) => string {
  return ({ videoId, id }) => `${what} in ${videoId}; the act's id is ${id}.\n`
}

export function settingsText({ videoId, settings: { slowModeSeconds, closed, signedInOnly }, pinned }: SettingsAnswer): string {
  const lines = [
    closed ? 'closed: nobody may post' : 'open',
    slowModeSeconds === 0 ? 'no slow mode' : `slow mode: ${counted(slowModeSeconds, 'second')} between two comments of an author`,
    signedInOnly ? 'only authors with a token may post' : 'anyone may post',
    pinned ? `pinned: ${String(pinned['id'])}` : 'nothing is pinned',
  ]
  return `${videoId}\n${lines.map(line => `  ${line}\n`).join('')}`
}

/** @throws Problem that names the rule */
export function refusalOf(reason: string | undefined): Decision {
  try {
    return checkDecision({ decision: 'refuse', ...(reason === undefined ? {} : { reason }) })
  } catch (error) {
    throw error instanceof LiveError ? new Problem(error.code, error.message, { cause: error }) : error
  }
}

export function heldText({ videoId, held }: HeldList, colour: boolean): string {
  if (held.length === 0) return `Nothing is held in ${videoId}.\n`
  const rows = held.map(({ id, authorId, content, heldAt }) => [id, new Date(heldAt).toISOString(), authorId, content.replace(/\s+/g, ' ')])
  return table([{ head: 'ID' }, { head: 'HELD' }, { head: 'AUTHOR' }, { head: 'COMMENT' }], rows, colour)
}

export function decidedText({ videoId, heldId, id }: Decided): string {
  return id === undefined ? `${heldId} in ${videoId} is refused.\n` : `${heldId} is published in ${videoId}; the comment's id is ${id}.\n`
}

export function erasedText({ authorId, erased }: Erased): string {
  return erased === 0 ? `There is no comment of ${authorId}.\n` : `${counted(erased, 'comment')} of ${authorId} deleted.\n`
}
