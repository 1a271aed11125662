import fc from 'fast-check'
import { createSecretKey } from 'node:crypto'
import { SignJWT, type JWTPayload } from 'jose'
import t from 'tap'
import { parseJwks, secretKeys } from '../../../runtime/auth/keys.js'
import { readToken } from '../../../runtime/auth/token.js'
import { badTokens, good, Issuer, seconds } from '../../support/issuer.js'

const issuer = new Issuer()
const keys = parseJwks(issuer.jwks())
const rules = { audience: 'live', issuer: 'https://site.example' }
const read = (token: string, video = 'demo', nowMs = Date.now()) => readToken(token, video, keys, rules, nowMs)

t.test('a token of every kind of key says who has it', async t => {
  for (const kid of ['rsa', 'ec', 'ed']) {
    const exp = seconds() + 60
    t.same(await read(await issuer.token(kid, { exp })), { authorId: 'ann', authorName: 'Ann Example', expiresAt: exp * 1000 }, kid)
  }
  t.notOk('authorName' in (await read(await issuer.token('ed', { name: undefined }))))
})

t.test('a secret is one key more', async t => {
  const secret = 'a secret of thirty-two bytes, or more'
  const sign = (text: string, alg = 'HS256') => new SignJWT(good()).setProtectedHeader({ alg }).sign(createSecretKey(Buffer.from(text)))
  const withSecret = (token: string) => readToken(token, 'demo', secretKeys(secret), rules, Date.now())
  t.match(await withSecret(await sign(secret)), { authorId: 'ann' })
  await t.rejects(withSecret(await sign(`${secret}!`)), { code: 'UNAUTHORIZED', message: /signature is wrong/ })
  await t.rejects(withSecret(await sign(secret.repeat(2), 'HS512')), { code: 'UNAUTHORIZED', message: /algorithm/ })
  await t.rejects(withSecret(await issuer.token('rsa')), { code: 'UNAUTHORIZED', message: /algorithm/ })
})

t.test('what must not get in does not, and is told why in the header too', async t => {
  for (const [what, { token, status, says }] of Object.entries(await badTokens(issuer))) {
    await t.rejects(read(token), { status, message: says, headers: { 'www-authenticate': /^Bearer realm="live-comments", error="(invalid_token|insufficient_scope)", error_description="[^"\\\n]+"$/ } }, what)
  }
  await t.rejects(read('x'.repeat(10_000)), { status: 401, message: /too long/ }, '10 KB')
})

t.test('clocks may differ by 30 s, and not by more', async t => {
  const token = await issuer.token('ed', { nbf: 1_000_000, exp: 2_000_000 })
  const at = (second: number) => read(token, 'demo', second * 1000)
  await t.resolves(at(1_000_000 - 30))
  await t.rejects(at(1_000_000 - 31), { message: /not valid yet/ })
  await t.resolves(at(2_000_000 + 29))
  await t.rejects(at(2_000_000 + 30), { message: /has expired/ })
})

t.test('sub and name keep the rule of an author', async t => {
  for (const claims of [{ sub: '' }, { sub: '  ' }, { sub: 'x'.repeat(65) }, { sub: 'a\nb' }, { sub: 7 }, { name: '' }, { name: 'x'.repeat(65) }, { name: 'a\u0007' }, { name: ['Ann'] }] as unknown as JWTPayload[]) {
    await t.rejects(read(await issuer.token('ed', claims)), { code: 'UNAUTHORIZED', message: /^the token's (sub|name) / }, JSON.stringify(claims))
  }
  t.match(await read(await issuer.token('ed', { sub: '🎉'.repeat(64), name: ' Zoë ' })), { authorId: '🎉'.repeat(64), authorName: 'Zoë' })
})

t.test('videos names where a token is good', async t => {
  for (const videos of [undefined, '*', ['*'], ['demo'], ['other', 'demo']]) await t.resolves(read(await issuer.token('ed', { videos })), JSON.stringify(videos))
  for (const videos of [[], ['other'], 'demo', null, {}, [7], ['dem'], ['demo2']]) await t.rejects(read(await issuer.token('ed', { videos })), { status: 403, code: 'FORBIDDEN' }, JSON.stringify(videos))
})

t.test('whatever is sent as a token is refused and breaks nothing', async () => {
  const real = await issuer.token('ec')
  const part = fc.oneof(fc.string(), fc.json().map(text => Buffer.from(text).toString('base64url')), fc.constantFrom(...real.split('.')), fc.dictionary(fc.constantFrom('alg', 'kid', 'crit', 'b64', 'jwk', 'typ', 'enc'), fc.oneof(fc.constantFrom('none', 'HS256', 'RS256', 'ES256', 'EdDSA', 'rsa', 'ec', 'ed'), fc.jsonValue())).map(header => Buffer.from(JSON.stringify(header)).toString('base64url')))
  const cut = fc.nat({ max: real.length - 2 }).map(at => real.slice(0, at) + real.slice(at + 1))
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string({ unit: 'binary' }), fc.array(part, { maxLength: 6 }).map(parts => parts.join('.')), cut), async token => {
      if (token === real) return
      const error: unknown = await read(token).then(() => undefined, (error: unknown) => error)
      if ((error as { status?: number } | undefined)?.status !== 401) throw new Error(`${token}: ${String(error)}`)
    }),
    { numRuns: 1_000 },
  )
})
