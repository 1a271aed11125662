import { chmodSync, copyFileSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t, { type Test } from 'tap'
import { closeStoreFiles } from '../../dispatcher/store/closed-files.js'
import { SqliteDatabase } from '../../dispatcher/store/sqlite-database.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { startDispatcher, storeAt } from '../support/dispatcher.js'
import { memoryFolder } from '../support/folder.js'
import { until } from '../support/until.js'
import { draft } from './cast.js'

t.setTimeout(60_000)

/** A store as a former version left it: whoever uses the machine may read it, and lock it. */
function openStore(t: Test): string {
  const path = join(memoryFolder(t), 'store', 'comments.db')
  mkdirSync(dirname(path))
  const store = new SqliteDatabase(path, 0)
  store.append([draft('a', 'before')], Date.now())
  store.accept()
  for (const name of readdirSync(dirname(path))) copyFileSync(join(dirname(path), name), join(dirname(path), `${name}.kept`))
  store.close()
  for (const name of readdirSync(dirname(path)).filter(name => name.endsWith('.kept'))) renameSync(join(dirname(path), name), join(dirname(path), name.slice(0, -5))) // with its log
  chmodSync(dirname(path), 0o755)
  for (const name of readdirSync(dirname(path))) chmodSync(join(dirname(path), name), 0o644)
  return path
}

const modes = (folder: string) => Object.fromEntries([['.', folder] as const, ...readdirSync(folder).map(name => [name, join(folder, name)] as const)].map(([name, path]) => [name, (statSync(path).mode & 0o777).toString(8)]))
const CLOSED = { '.': '700', 'comments.db': '600', 'comments.db-shm': '600', 'comments.db-wal': '600' }

function clientOf(t: Test): InternalClient {
  const client = new InternalClient(undefined)
  t.teardown(() => client.close())
  return client
}

t.test('a dispatcher by itself closes the store that it finds open, and says so', async t => {
  const client = clientOf(t)
  const path = openStore(t)
  t.same(modes(dirname(path)), { '.': '755', 'comments.db': '644', 'comments.db-shm': '644', 'comments.db-wal': '644' })
  const dispatcher = await startDispatcher(t, path)
  t.same(modes(dirname(path)), CLOSED)
  t.match(dispatcher.log().find(({ event }) => event === 'store_was_open_to_others'), { path })

  const other = join(dirname(path), '..', 'other.db') // a copy takes its place, as open as a copy is
  copyFileSync(path, other)
  chmodSync(other, 0o644)
  for (const name of readdirSync(dirname(path))) rmSync(join(dirname(path), name))
  renameSync(other, path)
  await storeAt(client, dispatcher.url, draft('a')).catch(() => {})
  await until(() => modes(dirname(path))['comments.db'] === '600', { what: 'the file that came is closed' })
})

t.test('what it makes is closed from the first, and a folder that has more in it stays as it is', async t => {
  const folder = join(memoryFolder(t), 'shared')
  mkdirSync(join(folder, 'of-others'), { recursive: true })
  chmodSync(folder, 0o755)
  const there = new SqliteDatabase(join(folder, 'comments.db'), 0)
  there.accept()
  there.close()
  const dispatcher = await startDispatcher(t, join(folder, 'comments.db'))
  await storeAt(clientOf(t), dispatcher.url, draft('a'))
  t.match(modes(folder), { ...CLOSED, '.': '755' })
  writeFileSync(join(folder, 'supervisor.lock'), '') // of a data folder
  new SqliteDatabase(join(folder, 'comments.db'), 0).close()
  t.equal(modes(folder)['.'], '700')
  const path = join(folder, 'new', 'deep', 'comments.db')
  new SqliteDatabase(path, 0).close()
  t.same([modes(join(folder, 'new'))['.'], modes(dirname(path))['.']], ['700', '700'])
})

t.test('closing a store says whether any of it was open to others, be it one file or the folder', async t => {
  const path = openStore(t)
  t.same([closeStoreFiles(path), closeStoreFiles(path)], [true, false])
  chmodSync(path, 0o644)
  t.same([closeStoreFiles(path), closeStoreFiles(path)], [true, false])
  chmodSync(dirname(path), 0o755)
  t.same([closeStoreFiles(path), closeStoreFiles(path)], [true, false])
})
