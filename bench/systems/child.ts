import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Guard } from '../../cluster/guard.js'
import { isReachable } from '../../runtime/peers/reachable.js'

const START_MS = 20_000
const STOP_MS = 3_000

/** A server that a benchmark starts, in a process group of its own; it goes when the benchmark does, even by force. */
export class Child {
  readonly pid: number
  readonly #process: ChildProcess
  readonly #guard = new Guard()
  readonly #exited: Promise<unknown>
  #output = ''
  #isGone = false

  constructor(command: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.#process = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    this.#exited = once(this.#process, 'close').catch(() => undefined).then(() => (this.#isGone = true))
    for (const stream of [this.#process.stdout!, this.#process.stderr!]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output = (this.#output + text).slice(-4_000)))
    }
    this.pid = this.#process.pid ?? 0
    if (this.pid > 0) this.#guard.protect([this.pid])
  }

  /** Waits until a port of this machine takes connections.
   * @param undo removes what was made for it, should it not start. @throws Error with what the server printed */
  async listening(port: number, undo: () => void | Promise<unknown> = () => {}): Promise<void> {
    const deadline = performance.now() + START_MS
    while (!(await isReachable(`http://127.0.0.1:${port}`))) {
      if (this.#isGone || performance.now() > deadline) {
        await this.stop()
        await undo()
        throw new Error(`${this.#process.spawnfile} did not start:\n${this.#output}`)
      }
      await sleep(30)
    }
  }

  async stop(): Promise<void> {
    this.#signal('SIGTERM')
    const force = setTimeout(() => this.#signal('SIGKILL'), STOP_MS)
    await this.#exited
    clearTimeout(force)
    this.#guard.close()
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.pid === 0 || this.#isGone) return
    try {
      process.kill(-this.pid, signal)
    } catch {
      // Gone already; 'close' follows.
    }
  }
}

/** One of the servers in this folder, on that port. */
export function nodeServer(name: string, args: readonly (string | number)[]): Child {
  return new Child(process.execPath, [fileURLToPath(new URL(`./${name}.js`, import.meta.url)), ...args.map(String)])
}

/** A folder for a server's files, and how it goes again. */
export function temporaryFolder(): { path: string; remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), 'live-bench-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}
