import t from 'tap'
import { MIXES } from './mixes.js'
import { PRESSED, tryMixes } from './try-mixes.js'

t.setTimeout(400_000)

t.test('clusters in one kind of trouble, and in none', { timeout: 400_000 }, t => tryMixes(t, MIXES.filter(mix => !PRESSED.includes(mix)), 16))
