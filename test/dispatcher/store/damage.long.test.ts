import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { SqliteDatabase } from '../../../dispatcher/store/sqlite-database.js'
import { memoryFolder } from '../../support/memory-folder.js'
import { killed, laidOut } from './damaged-file.js'
import { tryDamage, tryOneVideo } from './try-damage.js'

t.setTimeout(600_000)

t.test('1,500 damaged stores', async t => {
  const files = killed(t)
  const folder = join(memoryFolder(t), 'store')
  for (let seed = 2_000; seed < 3_500; seed++) t.same((await tryDamage(files, folder, seed, seed % 30 === 0)).wrong, [])
})

t.test("1,500 stores with a damaged page of one video's comments", async t => {
  const files = killed(t)
  const folder = join(memoryFolder(t), 'store')
  const path = laidOut(folder, files)
  new SqliteDatabase(path, 0).close()
  const database = readFileSync(path)
  for (let seed = 2_000; seed < 3_500; seed++) t.same(tryOneVideo(files, database, folder, seed).wrong, [])
})
