import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { closeFile, closeFolder, holdsOwnFilesAlone } from '../../runtime/private-files.js'

const modeOf = (path: string) => (statSync(path).mode & 0o7777).toString(8)

t.test('a folder is closed with all that lies in it, once, and what a link leads to stays as it is', async t => {
  const root = t.testdir({ ours: { a: 'a', deep: { er: { b: 'b' } } }, theirs: 'c' })
  const [folder, theirs] = [join(root, 'ours'), join(root, 'theirs')]
  symlinkSync(theirs, join(folder, 'link'))
  symlinkSync(join(root, 'gone'), join(folder, 'nowhere'))
  for (const [path, mode] of [['', 0o755], ['a', 0o744], ['deep', 0o777], ['deep/er', 0o2770], ['deep/er/b', 0o666]] as const) chmodSync(join(folder, path), mode)
  chmodSync(theirs, 0o644)
  t.equal(closeFolder(folder), true)
  t.same(['', 'a', 'deep', 'deep/er', 'deep/er/b'].map(path => modeOf(join(folder, path))), ['700', '700', '700', '2700', '600'])
  t.equal(modeOf(theirs), '644')
  t.equal(closeFolder(folder), false)
  writeFileSync(join(folder, 'deep', 'late'), '')
  chmodSync(join(folder, 'deep', 'late'), 0o604)
  t.equal(closeFolder(folder), true, 'one file is enough')
})

t.test('a folder of several users is not closed', async t => {
  const folder = t.testdir({ a: 'a' })
  chmodSync(folder, 0o1777)
  t.throws(() => closeFolder(folder), { name: 'SharedFolderError', message: /a folder of several users/ })
  t.equal(modeOf(folder), '1777')
  t.notOk(holdsOwnFilesAlone(folder))
})

t.test('a file is closed, also by a link to it, and none is none', async t => {
  const folder = t.testdir({ a: 'a' })
  chmodSync(join(folder, 'a'), 0o640)
  symlinkSync('a', join(folder, 'link'))
  t.equal(closeFile(join(folder, 'link')), true)
  t.equal(modeOf(join(folder, 'a')), '600')
  t.equal(closeFile(join(folder, 'a')), false)
  t.equal(closeFile(join(folder, 'none')), false)
})

t.test('a folder with another folder in it, or a link, holds more than files', async t => {
  const folder = t.testdir({ a: 'a', b: 'b' })
  t.ok(holdsOwnFilesAlone(folder))
  symlinkSync('a', join(folder, 'link'))
  t.notOk(holdsOwnFilesAlone(folder))
  const other = t.testdir({ a: 'a' })
  mkdirSync(join(other, 'sub'))
  t.notOk(holdsOwnFilesAlone(other))
})
