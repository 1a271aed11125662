import { styleText } from 'node:util'

export type Paint = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string) => string

/** The process's stdout. */
export class Output {
  readonly colour: boolean
  readonly paint: Paint
  readonly #left = new AbortController()

  constructor(env: NodeJS.ProcessEnv) {
    this.colour = wantsColour(process.stdout.isTTY, env)
    this.paint = paint(this.colour)
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      this.#left.abort()
    })
  }

  /** Resolves when it has been taken. A pipe whose reader has seen enough, such as `head`, takes nothing: no error. */
  write(text: string): Promise<void> {
    return new Promise(resolve => process.stdout.write(text, () => resolve()))
  }

  /** Runs `task` until it ends by itself, the reader has left, or Ctrl-C: that is how a command without an end is
   * meant to end, so it is a success. */
  async untilInterrupted(task: (signal: AbortSignal) => Promise<void>): Promise<void> {
    const interrupted = new AbortController()
    const stop = () => interrupted.abort()
    process.once('SIGINT', stop).once('SIGTERM', stop)
    const signal = AbortSignal.any([interrupted.signal, this.#left.signal])
    try {
      await task(signal)
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      process.off('SIGINT', stop).off('SIGTERM', stop)
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
