const AT_A_TIME = 64

/** The results of `task` in the items' order, AT_A_TIME tasks at once. */
export async function inParallel<T, R>(items: readonly T[], task: (item: T) => Promise<R>): Promise<R[]> {
  const results = new Array<R>(items.length)
  const queue = items.entries()
  const worker = async () => {
    for (const [i, item] of queue) results[i] = await task(item)
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
  return results
}
