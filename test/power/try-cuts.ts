import { closeSync, existsSync, openSync, readFileSync, readSync } from 'node:fs'
import type { Test } from 'tap'
import { SqliteDatabase } from '../../dispatcher/store/sqlite-database.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { tempFolder } from '../support/folder.js'
import { startDispatcher, storeAt } from '../support/dispatcher.js'
import { memoryFolder } from '../support/folder.js'
import { Random } from '../support/random.js'
import { until } from '../support/until.js'
import { fates, laidOut, moments, tryCuts } from './cuts.js'
import { EVERYTHING, some } from './disk.js'
import { Recording } from './recording.js'

const POSTERS = 8

/** Two dispatchers are under posts until a checkpoint is over and the log begins anew; then the power is cut, there and at moments before.
 * @param count moments of each kind @param between fates besides the worst and the best */
export async function tryUnderPosts(t: Test, zookeeper: string, seed: number, count: number, between: number): Promise<void> {
  const place = tempFolder(t)
  const random = new Random(seed)
  const recording = new Recording(t, place, `${zookeeper}/seed-${seed}`)
  const dispatchers = [await recording.start(), await recording.start()]
  for (let i = 0; i < POSTERS; i++) recording.post(dispatchers[i % 2]!, ['a', 'b', 'c', `own-${i}`], seed * POSTERS + i)
  const isStopped = () => recording.refused.length > 0
  await until(() => checkpoints(recording.path) >= 1 || isStopped(), { timeoutMs: 120_000, what: 'a checkpoint' })
  const before = recording.acknowledged.length
  await until(() => recording.acknowledged.length >= before + 50 || isStopped(), { what: '50 posts more' })
  const entries = await recording.cut()
  t.same(recording.refused, [])

  const disk = recording.disk()
  for (const entry of entries) disk.happened(entry)
  const all = disk.left(EVERYTHING)
  t.equal(all.size, 2, 'the database and its log')
  for (const [path, bytes] of all) t.ok(readFileSync(path).equals(bytes), `${path}: what was written down is all that was done`)

  const { disks, wrong } = tryCuts(t, recording, entries, moments(recording, entries, count, random), fates(random, between))
  t.same(wrong, [])
  t.comment(`${recording.acknowledged.length} comments, ${entries.length} entries, ${disks} disks`)

  // A dispatcher makes do with what is left as well: to it, too, the keys are known.
  const left = laidOut(disk, some(random), recording, memoryFolder(t))
  accept(left)
  const { url } = await startDispatcher(t, left)
  const client = new InternalClient(undefined)
  t.teardown(() => client.close())
  for (const { draft, comment } of recording.acknowledged.slice(-20)) t.same(await storeAt(client, url, draft), comment)
}

/** Says of a file that it is the store, where it is now. */
function accept(path: string): void {
  const database = new SqliteDatabase(path, 0)
  database.accept()
  database.close()
}

/** How often the log has begun anew, as it does once a checkpoint has brought all of it into the database. */
function checkpoints(path: string): number {
  if (!existsSync(`${path}-wal`)) return 0
  const file = openSync(`${path}-wal`, 'r')
  const head = Buffer.alloc(16)
  readSync(file, head)
  closeSync(file)
  return head.readUInt32BE(12)
}
