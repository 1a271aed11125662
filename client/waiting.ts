/** Runs `work` with a signal of its own. It is aborted with `signal`, when `limit(ms)` was called and those
 * milliseconds have passed without another call, and when the work is over. Leaves no timer and no listener. */
export async function limited<T>(signal: AbortSignal, work: (signal: AbortSignal, limit: (ms: number) => void) => Promise<T>): Promise<T> {
  const own = new AbortController()
  const stop = () => own.abort(signal.reason)
  let timer: ReturnType<typeof setTimeout> | undefined
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop)
  try {
    return await work(own.signal, ms => {
      clearTimeout(timer)
      timer = setTimeout(() => own.abort(new Error('silence')), ms)
    })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
    stop()
  }
}

/** The longest that a timer can wait, ms: 24 days. */
export const FOREVER_MS = 2 ** 31 - 1

/** Waits `ms`, or until the signal is aborted. Never throws. */
export const rest = (ms: number, signal: AbortSignal): Promise<unknown> =>
  limited(signal, (own, limit) => {
    limit(ms)
    return new Promise<unknown>(resolve => (own.aborted ? resolve(own) : own.addEventListener('abort', resolve)))
  })

/** How long to wait after so many failures in a row: 2 s, then twice as long each time up to 30 s, of which a
 * random half at most is left out.
 * @param failures from 0 */
export const backOff = (failures: number): number => Math.min(2_000 * 2 ** failures, 30_000) * (0.5 + Math.random() / 2)
