import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { KeyFile } from '../../../runtime/auth/key-file.js'
import { FakeClock } from '../../support/fake-clock.js'
import { tempFolder } from '../../support/folder.js'
import { Issuer } from '../../support/issuer.js'
import { until } from '../../support/until.js'

function open(t: Test, path: string) {
  const clock = new FakeClock()
  const lines: [string, unknown][] = []
  const log = { info: (event: string) => void lines.push([event, undefined]), error: (fields: { reason: string }, event: string) => void lines.push([event, fields.reason]) }
  const file = new KeyFile({ path, clock, log: log as never })
  file.onChange = keys => void lines.push(['keys', keys === file.keys])
  t.after(() => file.close())
  /** Lets time pass until it is so. */
  const passes = (what: () => boolean) => until(async () => {
    await clock.advance(2_000)
    return what()
  })
  return { file, lines, passes, clock }
}

t.test('a key that was added is known within seconds, one that was taken out no more', async t => {
  const issuer = new Issuer({ a: 'EdDSA', b: 'EdDSA', c: 'ES256' })
  const path = join(tempFolder(t), 'jwks.json')
  writeFileSync(path, issuer.jwks(['a', 'b']))
  const { file, lines, passes } = open(t, path)
  t.ok(file.keys.find('a'))
  writeFileSync(path, issuer.jwks(['b', 'c']))
  await passes(() => file.keys.find('c') !== undefined)
  t.notOk(file.keys.find('a'))
  t.ok(file.keys.find('b'))
  t.same(lines, [['auth_keys_read', undefined], ['keys', true]])
})

t.test('a file that is replaced as Kubernetes does, by the link to its folder', async t => {
  const issuer = new Issuer({ a: 'EdDSA', b: 'EdDSA', c: 'EdDSA' })
  const root = tempFolder(t)
  const publish = (version: string, kids: string[]) => {
    mkdirSync(join(root, version))
    writeFileSync(join(root, version, 'jwks.json'), issuer.jwks(kids))
    symlinkSync(version, join(root, '..data_tmp'))
    renameSync(join(root, '..data_tmp'), join(root, '..data'))
  }
  publish('..v1', ['a', 'b'])
  symlinkSync(join('..data', 'jwks.json'), join(root, 'jwks.json'))
  const { file, passes } = open(t, join(root, 'jwks.json'))
  publish('..v2', ['b', 'c'])
  rmSync(join(root, '..v1'), { recursive: true })
  await passes(() => file.keys.find('c') !== undefined)
  t.notOk(file.keys.find('a'))
})

t.test('a broken file or none leaves the keys as they were, is told once, and is got over', async t => {
  const issuer = new Issuer({ a: 'EdDSA', b: 'EdDSA', c: 'EdDSA' })
  const path = join(tempFolder(t), 'jwks.json')
  writeFileSync(path, issuer.jwks(['a', 'b']))
  const { file, lines, passes, clock } = open(t, path)
  writeFileSync(path, issuer.jwks(['c']).slice(0, 40))
  await passes(() => lines.length > 0)
  for (let i = 0; i < 5; i++) await clock.advance(2_000)
  t.same(lines, [['auth_keys_unreadable', `${path} is not JSON`]])
  t.ok(file.keys.find('a'))
  rmSync(path)
  await passes(() => lines.length > 1)
  t.same(lines[1], ['auth_keys_unreadable', `${path} cannot be read: ENOENT`])
  t.ok(file.keys.find('a'))
  writeFileSync(path, issuer.jwks(['b', 'c']))
  await passes(() => lines.length > 3)
  t.same(lines.slice(2), [['auth_keys_read', undefined], ['keys', true]], 'only good keys are told')
  t.ok(file.keys.find('c'))
})

t.test('from a set that is emptied every key is gone, and that is told as an error', async t => {
  const issuer = new Issuer({ a: 'EdDSA' })
  const path = join(tempFolder(t), 'jwks.json')
  writeFileSync(path, issuer.jwks())
  const { file, lines, passes } = open(t, path)
  writeFileSync(path, '{ "keys": [] }\n')
  await passes(() => lines.length > 1)
  t.same(lines, [['auth_keys_none', `${path} holds no key: every token is refused`], ['keys', true]])
  t.notOk(file.keys.find('a') ?? file.keys.find(undefined))
  writeFileSync(path, issuer.jwks())
  await passes(() => file.keys.find('a') !== undefined)
})

t.test('at the start the file must be there', async t => {
  const path = join(tempFolder(t), 'none.json')
  t.throws(() => open(t, path), { message: `${path} cannot be read: ENOENT` })
})
