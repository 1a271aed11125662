import t from 'tap'
import { MUTANTS } from './mutants.js'
import { mutated } from './mutate.js'

t.test('what every mutant takes out stands in its source, exactly once', async t => {
  for (const mutant of MUTANTS) await t.resolves(mutated(mutant), `rule ${mutant.rule}: ${mutant.without}`)
})
