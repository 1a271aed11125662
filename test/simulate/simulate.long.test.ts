import t from 'tap'
import { MIXES } from './mixes.js'
import { mutate } from './mutate.js'
import { PRESSED, tryMixes } from './try-mixes.js'

t.setTimeout(400_000)

t.test('clusters in one kind of trouble, and in none', { timeout: 400_000 }, t => tryMixes(t, MIXES.filter(mix => !PRESSED.includes(mix)), { first: 3, last: 6 }))

t.test('the removal of a rule is noticed', async t => {
  const said: string[] = []
  t.ok(await mutate(4, '1', line => said.push(line)), said.join('\n'))
  t.match(said[0], /^1 \| store before the acknowledgement \| 4 \| 4 \|/)
})
