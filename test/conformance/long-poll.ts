import { until } from '../support/until.js'
import type { Asked, Ended, Seen, Transport, Watching } from './watching.js'

export const longPoll: Transport = { name: 'long-poll', watch: (url, videoId, asked) => new LongPoll(url, videoId, asked) }

/** A client without a cursor learns where it stands by its first answer. */
const FIRST_WAIT_S = '1'
const WAIT_S = '25'
const NOT_PLACED = 'no edge can be reached'

interface Answer {
  readonly events: readonly Seen[]
  readonly cursor: string
  readonly viewers?: number
}

class LongPoll implements Watching {
  readonly events: Seen[] = []
  ended: Ended | undefined
  cursor: string | undefined
  #answers = 0
  /** Resolves when it may poll again. */
  #resumed = Promise.resolve()
  #resume = () => {}
  readonly #left = new AbortController()

  constructor(url: string, videoId: string, asked: Asked) {
    this.cursor = asked.after
    void this.#poll(`${url}/comments/${videoId}`, asked)
  }

  /** A cursor is as good as `ready`; without one it comes with the first answer. */
  ready(): Promise<unknown> {
    return until(() => this.cursor !== undefined || this.#answers > 0, { what: 'an answer' })
  }

  pause(): void {
    this.#resumed = new Promise(resolve => (this.#resume = resolve))
  }

  resume(): void {
    this.#resume()
  }

  close(): void {
    this.#left.abort()
  }

  async #poll(path: string, { recent, parameters, token }: Asked): Promise<void> {
    const { signal } = this.#left
    const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` }
    while (!signal.aborted && !this.ended) {
      const query = new URLSearchParams({ ...(this.cursor !== undefined ? { wait: WAIT_S, cursor: this.cursor } : { wait: FIRST_WAIT_S, ...(recent === undefined ? {} : { recent: String(recent) }) }), ...parameters })
      try {
        const response = await fetch(`${path}?${query.toString()}`, { headers, signal })
        const body: unknown = await response.json()
        if (response.status === 200) this.#take(body as Answer)
        // Not placed within the second that the first poll has, on a busy machine: it asks again, as every client does.
        else if (this.#answers === 0 && (body as { error: { message: string } }).error.message === NOT_PLACED) continue
        else {
          const retryAfter = response.headers.get('retry-after')
          this.ended = { status: response.status, code: (body as { error: { code: string } }).error.code, retryMs: retryAfter === null ? undefined : Number(retryAfter) * 1000 }
        }
      } catch {
        this.ended ??= {}
      }
      await this.#resumed
    }
  }

  #take({ events, cursor }: Answer): void {
    this.#answers++
    this.cursor = cursor
    this.events.push(...events)
  }
}
