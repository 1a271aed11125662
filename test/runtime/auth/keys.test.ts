import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { parseJwks, secretKeys } from '../../../runtime/auth/keys.js'
import { Issuer } from '../../support/issuer.js'

const jwk = (more: Record<string, unknown> = {}) => ({ ...generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' }), ...more })
const set = (...keys: unknown[]) => JSON.stringify({ keys })

t.test('the algorithm is the key\'s', async t => {
  const keys = parseJwks(new Issuer().jwks())
  t.same(['rsa', 'ec', 'ed'].map(kid => keys.find(kid)?.algorithms[0]), ['RS256', 'ES256', 'EdDSA'])
  t.same(secretKeys('x'.repeat(32)).find('any')?.algorithms, ['HS256'], 'a secret has no kid: whatever the token calls it')
})

t.test('without a kid it is the only key, and of several none', async t => {
  t.ok(parseJwks(set(jwk({ kid: 'a' }))).find(undefined))
  t.ok(parseJwks(set(jwk())).find('a'), 'a key without a kid takes any')
  t.notOk(parseJwks(set(jwk({ kid: 'a' }))).find('b'))
  const two = parseJwks(set(jwk({ kid: 'a' }), jwk({ kid: 'b' }), jwk()))
  t.notOk(two.find(undefined))
  t.equal(two.find('b')?.kid, 'b')
})

t.test('a key is held as long as it is there under its id', async t => {
  const issuer = new Issuer({ a: 'EdDSA', b: 'ES256' })
  const key = parseJwks(issuer.jwks()).find('a')!
  t.ok(parseJwks(issuer.jwks(['a'])).holds(key))
  t.notOk(parseJwks(issuer.jwks(['b'])).holds(key))
  t.notOk(parseJwks(new Issuer({ a: 'EdDSA' }).jwks()).holds(key), 'another key under its id')
  t.notOk(parseJwks(issuer.jwks(['a']).replace('"kid":"a"', '"kid":"c"')).holds(key), 'the key under another id')
})

t.test('keys for something else are left out', async t => {
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey.export({ format: 'jwk' })
  const keys = parseJwks(set({ kty: 'oct', k: 'AAAA', kid: 'oct' }, { ...p384, kid: 'p384' }, jwk({ kid: 'enc', use: 'enc' }), jwk({ kid: 'alg', alg: 'ES256' }), jwk({ kid: 'good', use: 'sig', alg: 'EdDSA' })))
  t.same(['oct', 'p384', 'enc', 'alg', 'good'].map(kid => keys.find(kid) !== undefined), [false, false, false, false, true])
})

t.test('a broken set says what is wrong with it, and nothing of its keys', async t => {
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey.export({ format: 'jwk' })
  const secret = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const cases: [string, RegExp][] = [
    ['{"keys": [{"kty"', /^is not JSON$/],
    ['[]', /no array "keys"/],
    ['null', /no array "keys"/],
    [set(), /holds no key for RS256, ES256 or EdDSA/],
    [set(7), /key 1 is not an object/],
    [set(jwk({ kid: 'a', x: 'AA' })), /the key "a" cannot be read/],
    [set(jwk(), jwk({ kid: 7 })), /key 2 has a kid that is not a string/],
    [set(jwk({ kid: 'a' }), jwk({ kid: 'a' })), /two keys with the kid "a"/],
    [set(small), /key 1 has fewer than 2048 bits/],
    [set(secret), /key 1 is a private one/],
  ]
  for (const [text, message] of cases) t.throws(() => parseJwks(text), { name: 'KeySetError', message }, String(message))
})
