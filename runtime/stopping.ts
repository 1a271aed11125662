import type { Log } from './log.js'

/** Resolves at the first SIGTERM or SIGINT: time to drain. A second signal ends the process at once, and so does the
 * deadline, `deadlineMs` after the first. */
export function stopSignal(log: Log, deadlineMs: number): Promise<void> {
  return new Promise(resolve => {
    let stopping = false
    const onSignal = (signal: NodeJS.Signals) => {
      if (stopping) {
        log.warn({ signal }, 'stopped_at_once')
        process.exit(1)
      }
      stopping = true
      log.info({ signal }, 'stopping')
      setTimeout(() => {
        log.warn({ deadlineMs }, 'stop_deadline_passed')
        process.exit(1)
      }, deadlineMs).unref()
      resolve()
    }
    process.on('SIGTERM', onSignal)
    process.on('SIGINT', onSignal)
  })
}
