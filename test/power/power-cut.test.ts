import { cpSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { projectRoot } from '../../runtime/root.js'
import { tempFolder } from '../support/folder.js'
import { Random } from '../support/random.js'
import { fates, tryCuts } from './cuts.js'
import { EVERYTHING, NOTHING } from './disk.js'
import { startZooKeeper } from '../support/zookeeper.js'
import { cannotRecord } from './recorder.js'
import { Recording } from './recording.js'
import { tryUnderPosts } from './try-cuts.js'

t.setTimeout(120_000)
const skip = cannotRecord

/** One for all: each recording has a chroot of its own. */
const zookeeper = skip ? undefined : await startZooKeeper(t)

t.test('whatever a disk kept of what was not synced, all that was acknowledged is there, and nothing is damaged', { skip }, async t => tryUnderPosts(t, zookeeper!.connect, 1, 4, 1))

t.test('so it is from the first moment of a new store, folder and all, whoever stores first', { skip }, async t => {
  const place = tempFolder(t)
  const recording = new Recording(t, place, `${zookeeper!.connect}/new`)
  await recording.start()
  const second = await recording.start()
  await recording.say(second, 'a')
  await recording.say(second, 'b')
  const entries = await recording.cut()
  t.same(entries.map(({ kind }) => kind).filter(kind => ['mkdir', 'acknowledged'].includes(kind)), ['mkdir', 'acknowledged', 'acknowledged'])
  const { disks, wrong } = tryCuts(t, recording, entries, entries.keys(), fates(new Random(1), 2))
  t.same(wrong, [])
  t.ok(disks > 150, `${disks} disks`)
})

t.test('with synchronous=NORMAL acknowledged comments are gone: the check can fail', { skip }, async t => {
  const place = tempFolder(t)
  const recording = new Recording(t, place, `${zookeeper!.connect}/unsynced`)
  const dispatcher = await recording.start(recording.path, unsynced(place))
  for (const video of ['a', 'b', 'c']) await recording.say(dispatcher, video)
  const entries = await recording.cut()
  const lost = tryCuts(t, recording, entries, [entries.length], [NOTHING])
  t.match(lost.wrong, [/a: \d+ was acknowledged and is gone/])
  t.same(tryCuts(t, recording, entries, [entries.length], [EVERYTHING]).wrong, [])
})

/** Our program, but for the one setting. @returns its entry */
function unsynced(place: string): string {
  const copy = join(place, 'copy')
  cpSync(join(projectRoot, 'dist'), join(copy, 'dist'), { recursive: true, filter: path => !/\/dist\/(test|bench)$/.test(path) })
  cpSync(join(projectRoot, 'package.json'), join(copy, 'package.json'))
  symlinkSync(join(projectRoot, 'node_modules'), join(copy, 'node_modules'))
  const file = join(copy, 'dist/dispatcher/store/sqlite-database.js')
  const parts = readFileSync(file, 'utf8').split('synchronous = FULL')
  if (parts.length !== 2) throw new Error('the setting is not where it was')
  writeFileSync(file, parts.join('synchronous = NORMAL'))
  return join(copy, 'dist/live-comments.js')
}

t.end()
