import { join } from 'node:path'
import t from 'tap'
import { memoryFolder } from '../../support/folder.js'
import { killed } from './damaged-file.js'
import { oneVideoDamage, tryDamage } from './try-damage.js'

t.setTimeout(600_000)

t.test('100 damaged stores', async t => {
  const files = killed(t)
  const folder = join(memoryFolder(t), 'store')
  for (let seed = 2_000; seed < 2_100; seed++) t.same((await tryDamage(files, folder, seed, seed % 30 === 0)).wrong, [])
})

t.test("100 stores with a damaged page of one video's comments", async t => {
  const tryOne = oneVideoDamage(t)
  for (let seed = 2_000; seed < 2_100; seed++) t.same(tryOne(seed).wrong, [])
})
