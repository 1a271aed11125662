import t from 'tap'
import { TARGETS } from './targets.js'
import { tryTarget } from './try-target.js'

t.setTimeout(200_000)

for (const target of TARGETS) tryTarget(t, target, 1)
