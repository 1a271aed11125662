/** A process that starts on a busy machine answers nothing for a while: it may be silent for so many limits. */
const START_PATIENCE = 4

export interface SilenceOptions {
  /** How long a part that has answered before may be silent, ms. */
  readonly limitMs: number
  /** Longest time from one question to the end of the next, ms. What goes beyond it is a pause of whoever asks. */
  readonly questionMs: number
  /** Monotonic ms. */
  readonly now: number
}

/** How long a part has given no sign of life. Only time in which somebody asked it counts. */
export class Silence {
  /** Since its last answer. */
  ms = 0
  readonly #limitMs: number
  readonly #questionMs: number
  #askedAt: number
  #everAnswered = false

  constructor({ limitMs, questionMs, now }: SilenceOptions) {
    this.#limitMs = limitMs
    this.#questionMs = questionMs
    this.#askedAt = now
  }

  /** A question has been answered, or has waited long enough. @param now monotonic ms */
  asked(answered: boolean, now: number): void {
    this.ms = answered ? 0 : this.ms + Math.min(now - this.#askedAt, this.#questionMs)
    this.#askedAt = now
    this.#everAnswered ||= answered
  }

  get tooLong(): boolean {
    return this.ms > this.#limitMs * (this.#everAnswered ? 1 : START_PATIENCE)
  }
}
