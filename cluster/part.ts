import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Member } from './folder.js'

export interface PartOptions {
  readonly id: string
  /** Node's arguments: the script and its own. */
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly url: string | null
  readonly internalUrl: string
  /** Path without the suffix: JSON lines are appended to `.log`; `.err` holds the last run's stderr. */
  readonly logFile: string
  readonly restart: boolean
  /** It is killed after answering no health check for this long, ms; 0: never. */
  readonly watchdogMs: number
  /** Prints a line for people. */
  readonly say: (line: string) => void
  /** Called when its pid changes. */
  readonly changed: () => void
}

/** A part ended before it was ready, and a restart would not help. */
export class StartError extends Error {
  readonly exitStatus: 1 | 2

  constructor(message: string, exitStatus: 1 | 2) {
    super(message)
    this.exitStatus = exitStatus
  }
}

/** Every part's exit status for a bad configuration. */
const BAD_CONFIGURATION = 2
const RESTART_MS = 1_000
const PROBE_TIMEOUT_MS = 1_000
const PROBE_EVERY_MS = 1_000
const PROBE_EVERY_STARTING_MS = 50
/** The watchdog waits this many times longer for a first answer: starting takes long on a busy machine. */
const START_PATIENCE = 4
const WAITING_LINE_EVERY_MS = 5_000

/** A supervised process: started, watched, restarted with the same id and ports, and stopped. */
export class Part implements Member {
  readonly id: string
  readonly url: string | null
  readonly internalUrl: string
  pid: number | null = null
  readonly #options: PartOptions
  #setReady!: () => void
  #failed!: (error: StartError) => void
  readonly #ready = new Promise<void>((resolve, reject) => {
    this.#setReady = resolve
    this.#failed = reject
  })
  #wasReady = false
  #stopping = false
  #lastWords = ''
  #exited = Promise.resolve()
  #restarting: NodeJS.Timeout | undefined

  constructor(options: PartOptions) {
    this.#options = options
    this.id = options.id
    this.url = options.url
    this.internalUrl = options.internalUrl
  }

  /** Starts it and waits, without limit, until it is ready for the first time.
   * @throws StartError */
  start(): Promise<void> {
    this.#spawn()
    return this.#ready
  }

  /** Asks it to drain and waits until it has ended; kills it after `deadlineMs`. */
  async stop(deadlineMs: number): Promise<void> {
    this.#stopping = true
    clearTimeout(this.#restarting)
    this.#signal('SIGTERM')
    const force = setTimeout(() => {
      if (this.pid !== null) this.#options.say(`${this.id} did not stop in time and is killed`)
      this.kill()
    }, deadlineMs)
    await this.#exited
    clearTimeout(force)
  }

  kill(): void {
    this.#stopping = true
    this.#signal('SIGKILL')
  }

  #spawn(): void {
    const { args, env, logFile, changed } = this.#options
    const log = openSync(`${logFile}.log`, 'a')
    const err = openSync(`${logFile}.err`, 'w')
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', log, err], detached: true })
    closeSync(log)
    closeSync(err)
    this.#exited = new Promise(resolve => {
      const ended = (code: number | null, signal: NodeJS.Signals | null) => {
        this.pid = null
        resolve()
        this.#ended(code, signal, lastWords(`${logFile}.err`))
        changed()
      }
      child.once('exit', ended)
      child.once('error', () => child.pid ?? ended(null, null)) // it could not be started: no 'exit' follows
    })
    this.pid = child.pid ?? null
    changed()
    void this.#watch(child.pid)
  }

  #ended(code: number | null, signal: NodeJS.Signals | null, words: string): void {
    if (this.#stopping) return
    const { restart, say } = this.#options
    const how = signal ? `was killed by ${signal}` : `ended with status ${code}`
    if (!this.#wasReady && code === BAD_CONFIGURATION) return this.#failed(new StartError(words || `${this.id} ${how}`, 2))
    if (!restart && !this.#wasReady) return this.#failed(new StartError(`${this.id} ${how}\n${words}`.trimEnd(), 1))
    if (!restart) return say(`${this.id} ${how}`)
    say(`${this.id} ${how}; restarting it in ${RESTART_MS / 1000} s`)
    if (words && words !== this.#lastWords) say(words)
    this.#lastWords = words
    this.#restarting = setTimeout(() => this.#spawn(), RESTART_MS)
  }

  /** Watches one run of the process: reports what it waits for and when it is ready, and kills it when it falls silent. */
  async #watch(pid: number | undefined): Promise<void> {
    const { id, say, watchdogMs } = this.#options
    let ready = false
    let everAlive = false
    let silentMs = 0
    let probed = performance.now()
    let spoken = probed
    while (pid !== undefined && this.pid === pid && !this.#stopping) {
      const { alive, notReady } = await this.#probe(ready ? '/healthz' : '/readyz')
      if (this.pid !== pid || this.#stopping) return
      const now = performance.now()
      // Only time in which we asked counts: this process may have been suspended itself.
      silentMs = alive ? 0 : silentMs + Math.min(now - probed, PROBE_TIMEOUT_MS + PROBE_EVERY_MS)
      probed = now
      everAlive ||= alive
      if (watchdogMs > 0 && silentMs > watchdogMs * (everAlive ? 1 : START_PATIENCE)) {
        say(`${id} answered no health check for ${(silentMs / 1000).toFixed(1)} s and is killed by the watchdog`)
        return this.#signal('SIGKILL')
      }
      if (!ready && alive && notReady === undefined) {
        ready = true
        say(`${id.padEnd(12)} ready${this.#wasReady ? ' again' : ''}: pid ${pid}, ${this.url ?? this.internalUrl}`)
        this.#wasReady = true
        this.#setReady()
      } else if (!ready && notReady !== undefined && now - spoken > WAITING_LINE_EVERY_MS) {
        spoken = now
        say(`${id.padEnd(12)} waits: ${notReady}`)
      }
      await sleep(ready && alive ? PROBE_EVERY_MS : PROBE_EVERY_STARTING_MS)
    }
  }

  /** Any answer is a sign of life, even "not ready". */
  async #probe(path: '/healthz' | '/readyz'): Promise<{ alive: boolean; notReady?: string }> {
    try {
      const response = await fetch(this.internalUrl + path, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
      const body = (await response.json()) as { error?: { message?: string } }
      return response.ok ? { alive: true } : { alive: true, notReady: body.error?.message ?? `it answers ${response.status}` }
    } catch {
      return { alive: false }
    }
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.pid === null) return
    try {
      process.kill(-this.pid, signal)
    } catch {
      // Gone already; 'exit' follows.
    }
  }
}

/** The end of the process's stderr. */
function lastWords(file: string): string {
  try {
    return readFileSync(file, 'utf8').trim().slice(-2_000)
  } catch {
    return ''
  }
}
