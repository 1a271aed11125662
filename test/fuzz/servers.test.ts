import t from 'tap'
import { SERVERS } from './targets.js'
import { tryTarget } from './try-target.js'

for (const target of SERVERS) tryTarget(t, target, 0.2)
