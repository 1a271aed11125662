import { spawn } from 'node:child_process'
import { get } from 'node:http'
import { constants } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { Guard } from './guard.js'
import { Ports, reachable } from './ports.js'
import { Silence } from './silence.js'

/** One small process between a part and whoever runs it. It starts the part, asks it for its health, ends it when it falls
 * silent, passes signals on and ends as the part has ended. It starts nothing again: that is for whoever runs it. A part
 * cannot do this for itself: SIGSTOP, or a call that does not return, stops all of a process. */

/** What a watchdog tells its own parent, where there is a channel to it. */
export type WatchdogNews =
  /** The part's process. */
  | { readonly pid: number }
  /** The part is ended: it has been silent for so long. */
  | { readonly silentMs: number }

export interface WatchOptions {
  /** Where the part's internal port is. Any answer to GET /healthz is a sign of life. */
  readonly host: string
  readonly port: number
  /** How long the part may be silent, ms. */
  readonly limitMs: number
  /** Script and arguments for node. */
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
}

const LIMIT_SECONDS = '5'
const LOOPBACK = '127.0.0.1'
/** The parts that can be watched, and their internal ports where INTERNAL_PORT does not say. */
export const INTERNAL_PORTS: Readonly<Record<string, number>> = { gateway: 9080, edge: 9081, dispatcher: 9082 }

const ASK_EVERY_MS = 1_000
/** While it does not answer. */
const ASK_AGAIN_MS = 100
const ANSWER_MS = 1_000
const PASSED_ON = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
/** A process that is the first of a container does not die of a signal it sends itself. */
const DEAF_MS = 200

/** Runs a part of this program under a watchdog, and ends the process with the part's status. Returns where there is to be
 * no watchdog: for what is no such part, where WATCHDOG_SECONDS is 0, and for a port that the part itself will refuse. */
export async function watchPart(part: string, env: NodeJS.ProcessEnv): Promise<void> {
  if (!Object.hasOwn(INTERNAL_PORTS, part)) return
  const seconds = env['WATCHDOG_SECONDS'] || LIMIT_SECONDS
  if (!/^\d{1,6}(\.\d{1,3})?$/.test(seconds)) {
    process.stderr.write('watchdog: bad configuration\nWATCHDOG_SECONDS: must be seconds, 0 or more\n')
    process.exit(2)
  }
  const host = reachable(env['INTERNAL_HOST'] || LOOPBACK)
  // The part could tell nobody but its log which port it found.
  const port = env['INTERNAL_PORT'] === '0' ? await new Ports().take(host) : Number(env['INTERNAL_PORT'] || INTERNAL_PORTS[part])
  if (Number(seconds) === 0 || !(port < 65_536)) return
  const args = [...process.execArgv, process.argv[1]!, part]
  await watch({ host, port, limitMs: Number(seconds) * 1_000, args, env: { ...env, INTERNAL_PORT: String(port) } })
}

/** Runs `node ARGS` until it ends, and then ends this process with the same status, or by the same signal. */
export async function watch({ host, port, limitMs, args, env }: WatchOptions): Promise<never> {
  const guard = new Guard()
  // In a group of its own: a signal to ours, such as Ctrl-C's, reaches it once, from here.
  const part = spawn(process.execPath, args, { env, stdio: ['ignore', 'inherit', 'inherit'], detached: true })
  let stopping = false
  part.once('error', error => {
    process.stderr.write(`watchdog: ${error.message}\n`)
    process.exit(1)
  })
  part.once('exit', (code, signal) => {
    guard.close()
    endAs(code, signal)
  })
  for (const signal of PASSED_ON) {
    process.on(signal, () => {
      stopping = true
      part.kill(signal)
    })
  }
  if (part.pid !== undefined) {
    guard.protect([part.pid])
    tell({ pid: part.pid })
  }

  const silence = new Silence({ limitMs, questionMs: ASK_EVERY_MS + ANSWER_MS, now: performance.now() })
  for (let alive = false; !silence.tooLong; silence.asked(alive, performance.now())) {
    await sleep(alive ? ASK_EVERY_MS : ASK_AGAIN_MS)
    const answer = await ask(host, port)
    // A part that stops closes its port before its process ends.
    alive = answer === 'answered' || (answer === 'refused' && stopping)
  }
  const silentMs = Math.round(silence.ms)
  tell({ silentMs })
  part.kill('SIGKILL')
  log({ node: env['NODE_ID'], pid: part.pid, silentMs }, 'silent_part_ended') // last: whoever reads it may be frozen too
  return new Promise(() => {}) // 'exit' follows
}

/** `refused`: nothing listens there. */
type Answer = 'answered' | 'refused' | 'silent'

function ask(host: string, port: number): Promise<Answer> {
  return new Promise(resolve => {
    const request = get({ host, port, path: '/healthz', agent: false, signal: AbortSignal.timeout(ANSWER_MS) }, response => {
      response.on('error', () => {}).resume()
      resolve('answered')
    })
    request.on('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'))
  })
}

function tell(news: WatchdogNews): void {
  if (process.connected) process.send?.(news, () => {}) // who does not listen any more is told nothing
}

/** A line like those of the part. It is written by hand: the logger would weigh more than the rest of this process. */
function log(fields: Readonly<Record<string, unknown>>, event: string): void {
  process.stdout.on('error', () => {}) // a full disk costs a line
  process.stdout.write(`${JSON.stringify({ level: 'error', time: new Date().toISOString(), role: 'watchdog', ...fields, event })}\n`)
}

function endAs(code: number | null, signal: NodeJS.Signals | null): void {
  if (signal === null) process.exit(code ?? 1)
  process.removeAllListeners(signal)
  process.kill(process.pid, signal)
  setTimeout(() => process.exit(128 + constants.signals[signal]), DEAF_MS)
}
