import t from 'tap'
import { PARSERS } from './targets.js'
import { tryTarget } from './try-target.js'

for (const target of PARSERS) tryTarget(t, target, 0.2)
