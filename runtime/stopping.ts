import type { Log } from './log.js'

/** A repetition within this time is the same order: sent to the whole group or unit, and passed on by the watchdog. */
const SAME_SIGNAL_MS = 500

/** Resolves at the first SIGTERM or SIGINT: time to drain. A second signal ends the process at once, and so does the
 * deadline, `deadlineMs` after the first. */
export function stopSignal(log: Log, deadlineMs: number): Promise<void> {
  return new Promise(resolve => {
    let first: { readonly signal: NodeJS.Signals; readonly at: number } | undefined
    const onSignal = (signal: NodeJS.Signals) => {
      const at = performance.now()
      if (first) {
        if (signal === first.signal && at - first.at < SAME_SIGNAL_MS) return
        log.warn({ signal }, 'stopped_at_once')
        process.exit(1)
      }
      first = { signal, at }
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
