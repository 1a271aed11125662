import type { EventEmitter } from 'node:events'
import type { Writable } from 'node:stream'
import { styleText } from 'node:util'

/** What an operator is told and cannot be helped with: exit status 1, without a stack. */
export class Problem extends Error {
  override readonly name = 'Problem'
}

/** A command that was not told all it must be: exit status 2, without a stack. */
export class Misuse extends Error {
  override readonly name = 'Misuse'
}

export type Paint = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string) => string

/** Where a command is run: in a process of its own, that process's. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv
  /** Where we are: ./data of a local cluster may be there. */
  readonly folder: string
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly stderr: Writable
  /** Emits SIGINT and SIGTERM. */
  readonly signals: Pick<EventEmitter, 'once' | 'off'>
}

/** What a command says, and how it ends. */
export class Output {
  /** Exit status of a command that ran to its end. */
  status: 0 | 1 = 0
  readonly colour: boolean
  readonly paint: Paint
  readonly #surroundings: Surroundings
  readonly #left = new AbortController()

  constructor(surroundings: Surroundings) {
    this.#surroundings = surroundings
    this.colour = wantsColour(surroundings.stdout.isTTY ?? false, surroundings.env)
    this.paint = paint(this.colour)
    surroundings.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      this.#left.abort()
    })
  }

  /** Resolves when it has been taken. A pipe whose reader has seen enough, such as `head`, takes nothing: no error. */
  write(text: string): Promise<void> {
    return new Promise(resolve => this.#surroundings.stdout.write(text, () => resolve()))
  }

  /** A line for the human, on stderr: stdout is for the answer. */
  note(line: string): void {
    this.#surroundings.stderr.write(`${line}\n`)
  }

  /** Runs `task` until it ends by itself, the reader has left, or Ctrl-C: that is how a command without an end is
   * meant to end, so it is a success. */
  async untilInterrupted(task: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const interrupted = new AbortController()
    const stop = () => interrupted.abort()
    const { signals } = this.#surroundings
    for (const name of ['SIGINT', 'SIGTERM']) signals.once(name, stop)
    const signal = AbortSignal.any([interrupted.signal, this.#left.signal])
    try {
      await task(signal)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      for (const name of ['SIGINT', 'SIGTERM']) signals.off(name, stop)
    }
  }
}

/** Colours are for terminals that have them and people who want them (https://no-color.org). */
export function wantsColour(isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  return isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}

export function paint(colour: boolean): Paint {
  return (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text)
}

/** What others wrote, made safe for a terminal: a control character could move its cursor or rename its window. */
export function harmless(text: string): string {
  return text.replace(/[^\P{Cc}\n\t]/gu, '\u{fffd}')
}

/** 14:05:09, in this machine's time zone. */
export function clockTime(unixMs: number): string {
  return new Date(unixMs).toTimeString().slice(0, 8)
}
