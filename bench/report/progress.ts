import { SingleBar } from 'cli-progress'

/** What a benchmark is doing and how far it is, on stderr: a bar on a terminal, else a line a step. */
export class Progress {
  readonly #bar = new SingleBar({ format: '  {bar} {percentage}%  {step}', barsize: 30, hideCursor: true, stream: process.stderr, clearOnComplete: true })
  readonly #isTerminal = process.stderr.isTTY
  #title = ''
  #step = ''

  /** The name of the run that the next steps belong to. */
  title(title: string): void {
    this.end()
    this.#title = title
    process.stderr.write(`${title}\n`)
  }

  /** @param share of the step that is done, 0 to 1 */
  step(step: string, share = 0): void {
    if (!this.#isTerminal) {
      if (step !== this.#step) process.stderr.write(`  ${step}\n`)
      this.#step = step
      return
    }
    if (!this.#bar.isActive) this.#bar.start(100, 0, { step })
    this.#step = step
    this.#bar.update(Math.floor(Math.min(1, share) * 100), { step })
  }

  end(): void {
    this.#step = ''
    if (this.#bar.isActive) this.#bar.stop()
  }

  get current(): string {
    return `${this.#title}: ${this.#step}`
  }
}
