import { renameSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Registry } from 'prom-client'
import t from 'tap'
import { measureStore } from '../../dispatcher/store-size.js'

t.test('the store\'s size is that of its file and its log, and what cannot be read is no 0', async t => {
  const folder = t.testdir({ store: {} })
  const path = join(folder, 'store', 'comments.db')
  const registry = new Registry()
  measureStore(registry, path)
  const metric = async (name: string) => new RegExp(`^${name} (\\S+)$`, 'm').exec(await registry.metrics())?.[1]
  t.equal(await metric('live_store_bytes'), undefined, 'there is no file yet')
  writeFileSync(path, 'x'.repeat(1_000))
  t.equal(await metric('live_store_bytes'), '1000')
  writeFileSync(`${path}-wal`, 'x'.repeat(500))
  t.equal(await metric('live_store_bytes'), String(statSync(path).size + 500))
  const { bavail, bsize } = statfsSync(folder)
  const free = Number(await metric('live_disk_free_bytes'))
  t.ok(free > 0 && Math.abs(free - bavail * bsize) < 1e9, `${free}`)
  renameSync(join(folder, 'store'), join(folder, 'moved'))
  t.same([await metric('live_store_bytes'), await metric('live_disk_free_bytes')], [undefined, undefined])
})
