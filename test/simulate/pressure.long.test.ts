import t from 'tap'
import { PRESSED, tryMixes } from './try-mixes.js'

t.setTimeout(400_000)

t.test('clusters in trouble, with much to do or with many troubles at once', { timeout: 400_000 }, t => tryMixes(t, PRESSED, { first: 3, last: 6 }))
