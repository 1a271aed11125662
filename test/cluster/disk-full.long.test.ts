import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, symlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { Comment } from '../support/api.js'
import { startCluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

/** A disk of its own for the store, which nobody outside sees: by root, or by a user that may have namespaces. */
const MOUNT = ['unshare', '--user', '--map-root-user', '--mount']
const DISK_BYTES = 1 << 20

/** A comment that the disk had no room to commit is unknown; one that came no further than opening the file is refused. */
const REFUSED = /^(503 STORE_UNAVAILABLE|504 OUTCOME_UNKNOWN)$/

const { status, stderr, error } = spawnSync(MOUNT[0]!, [...MOUNT.slice(1), 'true'], { encoding: 'utf8' })
const skip = status !== 0 && `no disk of its own can be had here: ${error?.message ?? stderr.trim()}`

t.test('a full disk: nothing is acknowledged that is not stored, the rest goes on, and room is all it takes', { skip }, async t => {
  const data = tempFolder(t)
  const disk = join(data, 'disk')
  mkdirSync(disk)
  symlinkSync(join(disk, 'comments.db'), join(data, 'comments.db'))
  const mounted = `mount -t tmpfs -o size=${DISK_BYTES} tmpfs '${disk}' && exec "$@"`
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'], { data, under: [...MOUNT, 'sh', '-c', mounted, 'sh'] })
  const pids = () => cluster.members().map(({ pid }) => pid).join()
  const before = pids()
  const said = await cluster.say('demo', 'before')
  const viewer = await watchReady(t, cluster.stream('demo', '?recent=10'))

  const filler = join('/proc', String(cluster.pid), 'root', disk, 'filler')
  fill(filler)
  const acknowledged: Comment[] = []
  /** What SQLite has made room for already still takes some, and those are stored. @returns the code of a refusal */
  const post = async () => {
    const answer = await cluster.post('demo', { content: 'x'.repeat(1_000) })
    if (answer.status !== 201) return `${answer.status} ${((await answer.json()) as { error: { code: string } }).error.code}`
    acknowledged.push((await answer.json()) as Comment)
    return undefined
  }
  t.match(await until(post, { timeoutMs: 60_000, what: 'a post is refused' }), REFUSED)
  const newcomer = await watchReady(t, cluster.stream('demo', '?recent=1'))
  t.equal(newcomer.ids.at(-1), (acknowledged.at(-1) ?? said).id, 'a newcomer watches')
  t.same((await cluster.history('demo')).map(({ id }) => id), [said, ...acknowledged].map(({ id }) => id), 'history is read, and has what was acknowledged')
  for (let i = 0; i < 5; i++) t.match((await post()) ?? 'it fitted in', /^it fitted in$|^503 STORE_UNAVAILABLE$|^504 OUTCOME_UNKNOWN$/)

  rmSync(filler)
  const after = await cluster.say('demo', 'after')
  for (const each of [viewer, newcomer]) await each.waitFor(({ id }) => id === after.id)
  t.same(viewer.ids, [said, ...acknowledged, after].map(({ id }) => id))
  t.same((await cluster.history('demo')).map(({ id }) => id), viewer.ids, 'what was refused is not there')
  t.equal(pids(), before, 'nobody was started again')
  const logs = cluster.members().filter(({ id }) => id.startsWith('dispatcher')).map(({ id }) => readFileSync(join(data, 'logs', `${id}.log`), 'utf8').match(/^.*"store_(un)?available".*$/gm) ?? [])
  t.ok(logs.flat().length > 0)
  for (const lines of logs) {
    const said = lines.map(line => JSON.parse(line) as { event: string; reason?: string })
    t.same(said.map(({ event }) => event), said.map((_, i) => (i % 2 ? 'store_available' : 'store_unavailable')), 'one line when it begins, and one when it is over')
    t.ok(said.every(({ reason }) => reason === undefined || /^SQLITE_(FULL|IOERR)/.test(reason)), lines.join())
  }
})

/** Writes until nothing fits any more, not a byte. */
function fill(file: string): void {
  const descriptor = openSync(file, 'w')
  try {
    for (let size = 65_536; size >= 1; ) {
      try {
        writeSync(descriptor, Buffer.alloc(size))
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        size = Math.floor(size / 2)
      }
    }
  } finally {
    closeSync(descriptor)
  }
}
