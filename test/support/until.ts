import { setTimeout as sleep } from 'node:timers/promises'

export interface UntilOptions {
  /** 30 s by default. */
  readonly timeoutMs?: number
  /** What is waited for, in the words of the error. */
  readonly what?: string
}

/** Asking has its price, and what has not come soon is not about to: asked at first each 10 ms, after a second each 50. */
const ASK_MS = [10, 50] as const

/** Asks until `condition` gives something truthy, and gives that.
 * @throws Error naming `what` when it takes longer than `timeoutMs`. */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 30_000, what = condition.toString() }: UntilOptions = {},
): Promise<NonNullable<T>> {
  const began = performance.now()
  for (;;) {
    const value = await condition()
    if (value) return value
    const waitedMs = performance.now() - began
    if (waitedMs > timeoutMs) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await sleep(Math.min(Math.max(ASK_MS[0], waitedMs / 20), ASK_MS[1]))
  }
}
