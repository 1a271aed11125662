import t from 'tap'
import { Unsent } from '../../../runtime/http/unsent.js'

t.test('beyond the limit the longest under way is closed, the newest never', t => {
  const unsent = new Unsent(100)
  const closed: string[] = []
  const answers = Object.fromEntries(['a', 'b', 'c', 'd'].map(name => [name, {}]))
  const add = (name: string, bytes: number) => unsent.add(answers[name]!, bytes, () => closed.push(name))
  add('a', 40)
  add('b', 60)
  t.same(closed, [])
  unsent.delete(answers['a']!)
  unsent.delete(answers['a']!)
  t.equal(unsent.bytes, 60)
  add('c', 30)
  add('d', 80)
  t.same(closed, ['b', 'c'])
  t.equal(unsent.bytes, 80)
  add('a', 1_000)
  t.same(closed, ['b', 'c', 'd'])
  t.equal(unsent.bytes, 1_000)
  t.end()
})
