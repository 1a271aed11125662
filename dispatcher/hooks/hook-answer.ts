/** What a receiver's answer comes to. `gone`: it says that it wants nothing any more. */
export type HookAnswer = 'taken' | 'refused' | 'gone'

const GONE = 410
const FIRST_PAUSE_MS = 1_000
const MAX_PAUSE_MS = 60_000

/** @param status of HTTP: a redirect is a refusal */
export function answerOf(status: number): HookAnswer {
  if (status >= 200 && status < 300) return 'taken'
  return status === GONE ? 'gone' : 'refused'
}

/** How long the receiver is left alone, ms: twice as long after each failure in a row, from half a second up to a minute, and for long
 * at once where it is gone.
 * @param failures in a row @param random 0 ≤ random < 1: not all dispatchers come back at the same moment */
export function pauseMs(failures: number, answer: HookAnswer | undefined, random: number): number {
  const longest = answer === 'gone' ? MAX_PAUSE_MS : Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (failures - 1))
  return longest * (0.5 + random / 2)
}
