import { pino, type Logger } from 'pino'

export type Log = Logger

/** Lines kept while they cannot be written; further ones are dropped. */
const MAX_UNWRITTEN_BYTES = 1_000_000

/** Logs JSON lines on stdout. Event names are constant; no line may hold a comment's text, a token or an address. */
export function createLog(role: string, node: string, level: string): Log {
  const out = pino.destination({ fd: 1, sync: true, maxLength: MAX_UNWRITTEN_BYTES })
  out.on('error', () => {}) // a full disk costs lines, never the node
  return pino({ level, base: { role, node, pid: process.pid }, messageKey: 'event', timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: label => ({ level: label }) } }, out)
}

/** Logs an error that is a bug, with its stack, and ends the process; its supervisor restarts it. */
export function endOnBug(log: Log): (error: unknown) => void {
  return error => {
    log.fatal({ err: error }, 'bug')
    log.flush()
    setImmediate(() => process.exit(70))
  }
}
