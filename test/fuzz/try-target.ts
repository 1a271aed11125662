import type { Test } from 'tap'
import { corpusOf } from './corpus.js'
import { errorOf, run } from './run.js'
import type { Target } from './target.js'

const SEED = 1

/** What was found once, and some hundred or thousand cases that are the same every time.
 * @param share of the target's cases, 0 < share ≤ 1 */
export function tryTarget(t: Test, target: Target, share: number): void {
  const most = Math.ceil(target.cases * share)

  t.test(`what was found in ${target.name} once stays mended`, async t => {
    const probe = await target.open()
    t.after(() => probe.close?.())
    for (const { file, input } of corpusOf(target.name)) t.equal(await errorOf(probe, input), undefined, file)
  })

  t.test(`${target.name} takes or refuses whatever is sent: ${target.what}`, async t => {
    const { cases, failures } = await run(target, { seed: SEED, goOn: cases => cases < most })
    for (const { input, error } of failures) t.fail(String(error), { base64: input.toString('base64'), error })
    if (failures.length === 0) t.ok(cases >= most, `${cases} cases`)
  })
}
