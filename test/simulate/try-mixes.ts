import type { Test } from 'tap'
import type { Mix } from './mixes.js'
import { simulate } from './simulation.js'
import { storyOf } from './story.js'

/** Mixes with much to do or many troubles at once: tests of their own, as long as those of all others. */
export const PRESSED: readonly Mix[] = ['slow', 'cut', 'crowd', 'strays', 'all', 'hard']

/** Runs these seeds of each mix: nothing lost, nothing twice, in order, in time. */
export async function tryMixes(t: Test, mixes: readonly Mix[], { first, last }: { readonly first: number; readonly last: number }): Promise<void> {
  const seeds = last - first + 1
  for (const mix of mixes) {
    await t.test(mix, { timeout: 200_000 }, async t => {
      let faults = 0
      let deliveries = 0
      for (let seed = first; seed <= last; seed++) {
        const result = await simulate(seed, mix)
        faults += result.faults + result.acts
        deliveries += result.deliveries
        if (result.violations.length > 0) t.fail(`seed ${seed}`, { story: await storyOf(result) })
      }
      t.ok(deliveries > 64 * seeds, `${deliveries} deliveries looked at, ${faults} faults and acts`)
      if (mix !== 'none') t.ok(faults > 1.25 * seeds, `${faults} faults and acts`)
    })
  }
}
