import t from 'tap'
import { decodeJwt } from 'jose'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import { readToken } from '../../runtime/auth/token.js'
import { secretKeys } from '../../runtime/auth/keys.js'
import { run } from '../support/cluster.js'

const SECRET = 'a secret of this test alone, over 32 bytes long'

t.test('a token is one that gateways with that secret accept', async t => {
  const file = join(t.testdir(), 'secret')
  writeFileSync(file, `${SECRET}\n`)
  const { status, stdout, stderr } = await run(['token', '--secret-file', file, '--sub', 'ann', '--name', 'Ann Example', '--videos', 'demo,finals', '--for', '2h', '--audience', 'live'], { AUTH_ISSUER: 'https://site.example' })
  t.same([status, stderr], [0, ''])
  t.match(stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/, 'one line, for $(…)')
  const read = (videoId: string, now = Date.now()) => readToken(stdout.trim(), videoId, secretKeys(SECRET), { audience: 'live', issuer: 'https://site.example' }, now)
  t.match(await read('demo'), { authorId: 'ann', authorName: 'Ann Example' })
  t.match(await read('finals', Date.now() + 7_100_000), { authorId: 'ann' })
  await t.rejects(read('other'), { code: 'FORBIDDEN' })
  await t.rejects(read('demo', Date.now() + 7_300_000), /has expired/)
})

t.test('without more than a name it is for an hour, and for all videos; the secret may come from the environment', async t => {
  const { stdout } = await run(['token', '--sub', 'ann'], { AUTH_JWT_SECRET: SECRET })
  const claims = decodeJwt(stdout.trim())
  t.same(Object.keys(claims).sort(), ['exp', 'iat', 'sub'])
  t.equal(claims.exp! - claims.iat!, 3_600)
})

t.test('what would be no use is refused, and no secret is quoted', async t => {
  const folder = t.testdir()
  writeFileSync(join(folder, 'short'), 'too short a secret\n')
  const cases: [argv: string[], said: RegExp][] = [
    [[], /required option '--sub <ID>'/],
    [['--sub', 'ann'], /--secret-file: is needed where AUTH_JWT_SECRET is not set/],
    [['--sub', 'ann', '--secret-file', join(folder, 'short')], /the secret in \S+short must be at least 32 bytes/],
    [['--sub', 'ann', '--secret-file', join(folder, 'absent')], /absent cannot be read: ENOENT/],
    [['--sub', 'x'.repeat(65)], /must be 1 to 64 characters/],
    [['--sub', 'ann', '--videos', 'a/b'], /1 to 64 of A-Z/],
    [['--sub', 'ann', '--for', '3'], /a number with a unit/],
    [['--sub', 'ann', '--for', '400d'], /at most a year/],
    [['--sub', 'ann', '--subb', 'x'], /Did you mean --sub/],
    [['ann'], /required option|too many arguments/],
  ]
  await Promise.all(
    cases.map(async ([argv, said]) => {
      const { status, stdout, stderr } = await run(['token', ...argv])
      t.same([status, stdout], [2, ''], argv.join(' '))
      t.match(stderr, said, argv.join(' '))
      t.notMatch(stderr, 'too short a secret')
      t.notMatch(stderr, /\n {4}at /, 'no stack')
    }),
  )
})
