/** Makes every later `setTimeout` of this process come so many times sooner. What a test waits for by node:timers is as
 * before. Each turn of the event loop takes a millisecond at most: a process that stands still on a busy machine has
 * not missed what it waited for. */
export function hurry(times: number): void {
  const { setTimeout: real, clearTimeout: realClear } = globalThis
  const waiting = new Map<object, { readonly task: () => void; readonly at: number }>()
  let now = 0
  let turning = false
  const turn = () => {
    now += times
    const due = [...waiting].filter(([, { at }]) => at <= now).sort(([, a], [, b]) => a.at - b.at)
    for (const [timer, { task }] of due) if (waiting.delete(timer)) task()
    turning = waiting.size > 0
    if (turning) real(turn, 1)
  }
  globalThis.setTimeout = ((task: () => void, ms = 0) => {
    const timer = {}
    waiting.set(timer, { task, at: now + ms })
    if (!turning) real(turn, 1)
    turning = true
    return timer
  }) as unknown as typeof setTimeout
  globalThis.clearTimeout = ((timer: object | undefined) => {
    if (timer === undefined || !waiting.delete(timer)) realClear(timer as NodeJS.Timeout | undefined)
  }) as typeof clearTimeout
}
