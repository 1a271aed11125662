/** Runs `work` with a signal of its own. It is aborted with `signal`, and when `limit(ms)` was called and those
 * milliseconds have passed without another call. Leaves no timer and no listener. */
export async function limited<T>(signal: AbortSignal, work: (signal: AbortSignal, limit: (ms: number) => void) => Promise<T>): Promise<T> {
  const own = new AbortController()
  const stop = () => own.abort(signal.reason)
  let timer: ReturnType<typeof setTimeout> | undefined
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop)
  try {
    return await work(own.signal, ms => {
      clearTimeout(timer)
      timer = setTimeout(() => own.abort(new Error(`nothing heard for ${ms} ms`)), ms)
    })
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', stop)
  }
}

/** Waits `ms`, forever if that is Infinity, or until the signal is aborted. Never throws. */
export function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = ms < Infinity ? setTimeout(end, ms) : undefined
    if (signal.aborted) end()
    else signal.addEventListener('abort', end)
  })
}

const LONGEST_MS = 30_000

/** How long to wait after so many failures in a row: twice as long each time, random between a half and the whole.
 * @param failures from 0 */
export const backOff = (failures: number, firstMs = 2_000): number => Math.min(firstMs * 2 ** failures, LONGEST_MS) * (0.5 + Math.random() / 2)
