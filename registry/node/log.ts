import { pino, type Logger } from 'pino'

export type Log = Logger

/** JSON lines on stdout. Events have constant names; a comment's text, a token or an address stands in none. */
export function createLog(role: string, node: string, level: string): Log {
  return pino({ level, base: { role, node, pid: process.pid }, messageKey: 'event', timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: label => ({ level: label }) } })
}

/** Ends the process on an error that is a bug, with its stack in the log; the supervisor starts it again. */
export function endOnBug(log: Log): (error: unknown) => void {
  return error => {
    log.fatal({ err: error }, 'bug')
    log.flush()
    setImmediate(() => process.exit(70))
  }
}
