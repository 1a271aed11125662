import t from 'tap'
import { startZooKeeper } from '../support/zookeeper.js'
import { cannotRecord } from './recorder.js'
import { tryUnderPosts } from './try-cuts.js'

t.setTimeout(600_000)

for (const seed of [2, 3]) {
  t.test(`seed ${seed}: whatever a disk kept of what was not synced, all that was acknowledged is there, and nothing is damaged`, { skip: cannotRecord }, async t => tryUnderPosts(t, (await startZooKeeper(t)).connect, seed, 20, 3))
}
