import type { Cursor } from '../../protocol/id.js'
import type { Message } from '../../protocol/message.js'
import { json, type Reply } from './reply.js'

export const POLL_HEADERS: Readonly<Record<string, string>> = { 'cache-control': 'no-store' }

/** What a long-poll is answered with, as it gathers. */
export class PollAnswer {
  readonly #events: Message[] = []
  /** As it was told last. */
  #viewers: number | undefined
  readonly #thin: (events: readonly Message[]) => readonly Message[]

  /** @param thin what is left of the events where the client asked for fewer */
  constructor(thin: (events: readonly Message[]) => readonly Message[] = events => events) {
    this.#thin = thin
  }

  /** Whether there is something to answer with: an event that moves the cursor. */
  get isDue(): boolean {
    return this.#events.length > 0
  }

  /** @param messages a JSON array */
  take(messages: Buffer): void {
    for (const message of JSON.parse(messages.toString()) as Message[]) {
      const { event, id, data } = message
      if (event === 'ready' || event === 'viewers') this.#viewers = (data as { readonly viewers: number }).viewers
      else if (id !== undefined) this.#events.push(message)
    }
  }

  /** @param cursor for the next poll */
  reply(cursor: Cursor, close = false): Reply {
    return { ...json({ events: this.#thin(this.#events), cursor: String(cursor), viewers: this.#viewers }, 200, POLL_HEADERS), close }
  }
}
