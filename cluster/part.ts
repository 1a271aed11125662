import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Member } from './folder.js'
import type { WatchdogNews } from './watchdog.js'

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
  /** Its watchdog kills it after it has answered no health check for this long, ms; 0: it has no watchdog. */
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

const WATCHED = fileURLToPath(new URL('./watched.js', import.meta.url))
/** Every part's exit status for a bad configuration. */
const BAD_CONFIGURATION = 2
const RESTART_MS = 1_000
const WATCHDOG_ENDS_MS = 500
const PROBE_TIMEOUT_MS = 1_000
const PROBE_EVERY_MS = 50
const WAITING_LINE_EVERY_MS = 5_000

/** One part: started under a watchdog, restarted with the same id and ports when it has ended, and stopped. */
export class Part implements Member {
  readonly id: string
  readonly url: string | null
  readonly internalUrl: string
  /** Of the part itself, not of its watchdog. */
  pid: number | null = null
  readonly #options: PartOptions
  #setReady!: () => void
  #failed!: (error: StartError) => void
  readonly #ready = new Promise<void>((resolve, reject) => {
    this.#setReady = resolve
    this.#failed = reject
  })
  /** The watchdog's, or without one the part's. */
  #process: ChildProcess | undefined
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
    this.#process?.kill('SIGTERM')
    const force = setTimeout(() => {
      if (this.groups.length > 0) this.#options.say(`${this.id} did not stop in time and is killed`)
      this.kill()
    }, deadlineMs)
    await this.#exited
    clearTimeout(force)
  }

  kill(): void {
    this.#stopping = true
    const [watchdog, part = watchdog] = this.groups
    if (part === undefined) return
    killGroup(part)
    // It ends as the part has ended, and would leave the part's remains to nobody if it went first.
    if (part !== watchdog) setTimeout(() => this.groups.forEach(killGroup), WATCHDOG_ENDS_MS).unref()
  }

  /** Its processes, each the leader of a group. */
  get groups(): readonly number[] {
    return [...new Set([this.#process?.pid, this.pid])].filter(pid => typeof pid === 'number')
  }

  #spawn(): void {
    const { args, env, logFile, watchdogMs, internalUrl, changed } = this.#options
    const { hostname, port } = new URL(internalUrl)
    const watched = watchdogMs > 0
    const log = openSync(`${logFile}.log`, 'a')
    const err = openSync(`${logFile}.err`, 'w')
    const child = spawn(process.execPath, watched ? [WATCHED, hostname, port, String(watchdogMs), ...args] : args, {
      env,
      stdio: ['ignore', log, err, ...(watched ? (['ipc'] as const) : [])],
      detached: true,
    })
    closeSync(log)
    closeSync(err)
    this.#process = child
    this.#exited = new Promise(resolve => {
      const ended = (code: number | null, signal: NodeJS.Signals | null) => {
        this.#process = undefined
        this.pid = null
        resolve()
        this.#ended(code, signal, lastWords(`${logFile}.err`))
        changed()
      }
      child.once('close', ended) // after all that the watchdog told
      child.once('error', () => child.pid ?? ended(null, null)) // it could not be started
    })
    if (!watched && child.pid !== undefined) this.#runs(child.pid)
    child.on('message', (news: WatchdogNews) => ('pid' in news ? this.#runs(news.pid) : this.#endedByWatchdog(news.silentMs)))
    changed()
  }

  #runs(pid: number): void {
    this.pid = pid
    this.#options.changed()
    void this.#awaitReady(pid)
  }

  #endedByWatchdog(silentMs: number): void {
    if (!this.#stopping) this.#options.say(`${this.id} answered no health check for ${(silentMs / 1000).toFixed(1)} s and is killed by the watchdog`)
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

  /** Reports what this run of the process waits for, and when it is ready. */
  async #awaitReady(pid: number): Promise<void> {
    const { id, say } = this.#options
    let spoken = performance.now()
    for (;;) {
      const waitsFor = await this.#notReady()
      if (this.pid !== pid || this.#stopping) return
      if (waitsFor === undefined) break
      const now = performance.now()
      if (waitsFor !== '' && now - spoken > WAITING_LINE_EVERY_MS) {
        spoken = now
        say(`${id.padEnd(12)} waits: ${waitsFor}`)
      }
      await sleep(PROBE_EVERY_MS)
    }
    say(`${id.padEnd(12)} ready${this.#wasReady ? ' again' : ''}: pid ${pid}, ${this.url ?? this.internalUrl}`)
    this.#wasReady = true
    this.#setReady()
  }

  /** What it waits for, empty if it does not answer; undefined when it is ready. */
  async #notReady(): Promise<string | undefined> {
    try {
      const response = await fetch(`${this.internalUrl}/readyz`, { signal: AbortSignal.timeout(PROBE_TIMEOUT_MS) })
      const body = (await response.json()) as { error?: { message?: string } }
      return response.ok ? undefined : (body.error?.message ?? `it answers ${response.status}`)
    } catch {
      return ''
    }
  }
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, 'SIGKILL')
  } catch {
    // Gone already; 'close' follows.
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
