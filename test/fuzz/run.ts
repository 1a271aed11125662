import { Buffer } from 'node:buffer'
import fc from 'fast-check'
import type { Probe, Target } from './target.js'

const BLOCK = 100
/** A case that keeps the process for so long hangs it. */
const SLOW_MS = 5_000
/** One that has not ended by then never will. */
const HANG_MS = 20_000
const MAX_FAILURES = 5
/** For making one input smaller. */
const SMALLER_MS = 2_000

export interface Failure {
  /** Made smaller as far as it went. */
  readonly input: Buffer
  readonly error: unknown
}

export interface Run {
  readonly cases: number
  readonly failures: readonly Failure[]
}

export interface RunOptions {
  readonly seed: number
  /** Asked between blocks of a hundred cases. */
  readonly goOn: (cases: number) => boolean | Promise<boolean>
  /** Told of what is tried before it is. */
  readonly before?: (block: readonly Buffer[]) => void
}

/** Throws inputs at a target until it is told to stop or has seen enough failures. */
export async function run(target: Target, { seed, goOn, before }: RunOptions): Promise<Run> {
  const probe = await target.open()
  const failures: Failure[] = []
  let cases = 0
  try {
    while (failures.length < MAX_FAILURES && (await goOn(cases))) {
      const block = fc.sample(target.inputs, { numRuns: BLOCK, seed: seed + cases })
      before?.(block)
      const failed: Failure[] = []
      const rest = block.values()
      await Promise.all(
        Array.from({ length: target.lanes ?? 1 }, async () => {
          for (const input of rest) {
            const error = await errorOf(probe, input)
            if (error !== undefined) failed.push({ input, error })
          }
        }),
      )
      cases += block.length
      for (const { input, error } of failed.slice(0, MAX_FAILURES - failures.length)) {
        // What hangs goes on doing so: nothing more can be tried here.
        if (error instanceof HangError) return { cases, failures: [...failures, { input, error }] }
        failures.push({ input: await smaller(probe, input), error })
      }
    }
  } finally {
    await probe.close?.()
  }
  return { cases, failures }
}

class HangError extends Error {
  override readonly name = 'HangError'
}

/** What an input shows to be wrong, or undefined. */
export async function errorOf(probe: Probe, input: Buffer): Promise<unknown> {
  const before = process.cpuUsage()
  let timer: NodeJS.Timeout | undefined
  try {
    const work = probe.check(input)
    const { user, system } = process.cpuUsage(before)
    const tookMs = (user + system) / 1000
    if (work) await Promise.race([work, new Promise((_, reject) => (timer = setTimeout(() => reject(new HangError('it never ends')), HANG_MS)))])
    return tookMs > SLOW_MS ? new Error(`took ${Math.round(tookMs)} ms`) : undefined
  } catch (error) {
    return error ?? new Error('threw nothing')
  } finally {
    clearTimeout(timer)
  }
}

/** Takes pieces out of the input as long as it still fails. */
async function smaller(probe: Probe, input: Buffer): Promise<Buffer> {
  const until = performance.now() + SMALLER_MS
  let best = input
  for (let size = Math.ceil(best.length / 2); size >= 1; size = size === 1 ? 0 : Math.ceil(size / 2)) {
    for (let at = 0; at < best.length && performance.now() < until; ) {
      const without = Buffer.concat([best.subarray(0, at), best.subarray(at + size)])
      if ((await errorOf(probe, without)) === undefined) at += size
      else best = without
    }
  }
  return best
}
