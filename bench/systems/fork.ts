import { fork, type ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Guard } from '../../cluster/guard.js'

const STOP_MS = 3_000

/** A process of our own that sends messages; it goes when the benchmark does, even by force. */
export class Fork<Message> {
  readonly pid: number
  /** The last message, if there was one. */
  last: Message | undefined
  readonly #process: ChildProcess
  readonly #guard = new Guard()
  readonly #exited: Promise<unknown>
  #told: (() => void) | undefined
  #isGone = false

  /** @param name of the file in bench that it runs @param argument what that file is given, in JSON */
  constructor(name: string, argument: object) {
    this.#process = fork(fileURLToPath(new URL(`../${name}.js`, import.meta.url)), [JSON.stringify(argument)], { execArgv: [], detached: true, stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.pid = this.#process.pid ?? 0
    this.#guard.protect([this.pid])
    this.#process.on('message', message => {
      this.last = message as Message
      this.#told?.()
    })
    this.#exited = new Promise<void>(resolve =>
      this.#process.once('exit', () => {
        this.#isGone = true
        this.#told?.()
        resolve()
      }),
    )
  }

  tell(message: string): void {
    this.#process.send(message)
  }

  /** The next message that comes. @throws Error if none comes in time, or the process ends */
  async next(limitMs: number): Promise<Message> {
    const before = this.last
    let timer: NodeJS.Timeout | undefined
    await new Promise<void>(resolve => {
      this.#told = resolve
      timer = setTimeout(resolve, limitMs)
    })
    clearTimeout(timer)
    this.#told = undefined
    if (this.last === before) throw new Error(this.#isGone ? 'a process of the benchmark has ended' : `a process of the benchmark has said nothing for ${limitMs / 1000} s`)
    return this.last!
  }

  async stop(): Promise<void> {
    if (!this.#isGone) this.#process.disconnect()
    const force = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS)
    await this.#exited
    clearTimeout(force)
    this.#guard.close()
  }
}
