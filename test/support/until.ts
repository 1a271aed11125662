import { setTimeout as sleep } from 'node:timers/promises'

export interface UntilOptions {
  /** 10 s by default. */
  readonly timeoutMs?: number
  /** What is waited for, in the words of the error. */
  readonly what?: string
}

/** Asks until `condition` gives something truthy, and gives that.
 * @throws Error naming `what` when it takes longer than `timeoutMs`. */
export async function until<T>(
  condition: () => T | Promise<T>,
  { timeoutMs = 30_000, what = condition.toString() }: UntilOptions = {},
): Promise<NonNullable<T>> {
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const value = await condition()
    if (value) return value
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await sleep(10)
  }
}
