/** Between two looks at what is watched anyway, ms. A watch that was lost, here or at a server, heals within this and a quarter. */
export const LOOK_AGAIN_MS = 240_000

/** Runs `task` about each `ms`: at random up to a quarter sooner or later, so that parts which started together do not all look at
 * the same moment. @returns stops it */
export function nowAndThen(ms: number, task: () => void): () => void {
  const wait = () => setTimeout(run, ms * (0.75 + Math.random() / 2)).unref()
  const run = () => {
    timer = wait()
    task()
  }
  let timer = wait()
  return () => clearTimeout(timer)
}
