import type { EventEmitter } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { styleText } from 'node:util'
import type { CommanderError } from 'commander'

/** A failure that the operator has to resolve: its message is printed without a stack, with exit status 1. */
export class Problem extends Error {
  override readonly name = 'Problem'

  /** @param code stable, for scripts: `--json` prints it */
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** A command whose arguments leave out what it needs: exit status 2, without a stack. */
export class Misuse extends Error {
  override readonly name = 'Misuse'
}

export type Paint = (style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan', text: string) => string

/** What a command needs of its process. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv
  /** The folder that may hold the ./data of a local cluster. */
  readonly folder: string
  readonly stdout: Writable & { readonly isTTY?: boolean; readonly columns?: number }
  readonly stderr: Writable & { readonly isTTY?: boolean }
  /** Optional: without a terminal there, nobody is asked anything. */
  readonly stdin?: Readable & { readonly isTTY?: boolean }
  /** Emits SIGINT and SIGTERM. */
  readonly signals: Pick<EventEmitter, 'once' | 'off'>
}

/** A command's output and exit status. */
export class Output {
  /** Exit status if the command runs to its end. */
  status: 0 | 1 = 0
  readonly colour: boolean
  readonly paint: Paint
  /** Errors are lines of JSON. */
  readonly json: boolean
  readonly #surroundings: Surroundings
  readonly #left = new AbortController()

  constructor(surroundings: Surroundings, { json = false }: { json?: boolean } = {}) {
    this.#surroundings = surroundings
    this.json = json
    this.colour = wantsColour(surroundings.stdout.isTTY ?? false, surroundings.env)
    this.paint = paint(this.colour)
    surroundings.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      this.#left.abort()
    })
  }

  /** Resolves when the text has been written. A pipe whose reader has left, such as `head`, is no error. */
  write(text: string): Promise<void> {
    return new Promise(resolve => this.#surroundings.stdout.write(text, () => resolve()))
  }

  /** A line for people, on stderr: stdout is for the answer. It may repeat what a peer said. */
  note(line: string): void {
    this.#surroundings.stderr.write(`${harmless(line)}\n`)
  }

  /** Asks on stderr. @returns whether the answer is `expected`; false where nobody can be asked */
  async confirms(question: string, expected: string): Promise<boolean> {
    const { stdin, stderr } = this.#surroundings
    if (!stdin?.isTTY) return false
    const { createInterface } = await import('node:readline/promises')
    const terminal = createInterface({ input: stdin, output: stderr })
    try {
      return (await terminal.question(harmless(question))).trim() === expected
    } finally {
      terminal.close()
    }
  }

  /** Writes on stderr as it is. */
  writeNote(text: string): void {
    this.#surroundings.stderr.write(text)
  }

  /** Whether what is written on stderr is seen on a terminal, which is there for more than errors. */
  get notesToTerminal(): boolean {
    return !this.json && (this.#surroundings.stderr.isTTY ?? false) && this.#surroundings.env['TERM'] !== 'dumb'
  }

  /** Says on stderr why the command failed: for people, or with `--json` as one line, `{"error":{"code","message"}}`. */
  failed(code: string, message: string): void {
    const withoutCode = message.startsWith(`${code}: `) ? message.slice(code.length + 2) : message // people are told it in the text
    this.note(this.json ? JSON.stringify({ error: { code, message: withoutCode } }) : `registry: ${message}`)
  }

  /** Says the same of arguments that commander refuses; commander itself has told people. */
  misused({ code, message }: CommanderError): void {
    if (this.json) this.failed('BAD_USAGE', code === 'commander.help' ? 'no command is given (--help lists them)' : message.replace(/^error: /, ''))
  }

  /** Whether nobody reads stdout any more. */
  get isUnread(): boolean {
    return this.#left.signal.aborted
  }

  /** Runs a task to its end, which Ctrl-C asks for sooner. */
  async untilStopped<T>(task: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const stopping = new AbortController()
    const stop = () => stopping.abort()
    const { signals } = this.#surroundings
    for (const name of ['SIGINT', 'SIGTERM']) signals.once(name, stop)
    try {
      return await task(stopping.signal)
    } finally {
      for (const name of ['SIGINT', 'SIGTERM']) signals.off(name, stop)
    }
  }

  /** Runs `task` until it ends, the reader leaves, or Ctrl-C. An endless command is meant to end so: it succeeds. */
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

/** Whether to print colours (https://no-color.org). */
export function wantsColour(isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  return isTerminal && !env['NO_COLOR'] && env['TERM'] !== 'dumb'
}

export function paint(colour: boolean): Paint {
  return (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text)
}

/** Other people's text, safe for a terminal. A control character could move its cursor or rename its window; what directs text
 * could turn the rest of the line round, and terminals that show right-to-left text do without it. */
export function harmless(text: string): string {
  return text.replace(/[\u2028\u2029]/g, '\n').replace(/[\u202a-\u202e\u2066-\u2069]/g, '').replace(/[^\P{Cc}\n\t]/gu, '\u{fffd}')
}

/** The same in one line: whoever could end it could write another that looks like ours. */
export function harmlessLine(text: string): string {
  return harmless(text).replace(/\s+/g, ' ')
}

/** Plain data with each of its texts harmless. */
export function harmlessIn<T>(value: T): T {
  if (typeof value === 'string') return harmless(value) as T
  if (Array.isArray(value)) return value.map(harmlessIn) as T
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [harmlessLine(name), harmlessIn(each as unknown)])) as T
}

/** JSON in one line, with what it may leave as it is and a terminal would obey escaped: C1 controls, and what directs text. */
export function harmlessJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\x7f-\x9f\u2028-\u202e\u2066-\u2069]/g, sign => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** 14:05:09, in this machine's time zone. */
export function clockTime(unixMs: number): string {
  return new Date(unixMs).toTimeString().slice(0, 8)
}
