import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import t from 'tap'
import { dispatcherVariables, hookConflicts, sqlitePath, storeVariables } from '../../dispatcher/config.js'
import { ConfigError, readConfig } from '../../runtime/config.js'
import { makeCertificate } from '../support/certificate.js'
import { tempFolder } from '../support/folder.js'

const dispatcherConfigOf = (env: NodeJS.ProcessEnv) => readConfig(env, dispatcherVariables, hookConflicts)
const pathOf = (env: NodeJS.ProcessEnv) => sqlitePath(readConfig(env, dispatcherVariables).STORE_URL)

t.test('the store is a file, relative to the working folder', async t => {
  t.equal(pathOf({}), resolve('data/comments.db'))
  t.equal(pathOf({ STORE_URL: 'sqlite:other.db' }), resolve('other.db'))
  t.equal(pathOf({ STORE_URL: 'sqlite:/var/lib/comments.db' }), '/var/lib/comments.db')
})

t.test('any other store is refused, the variable named', async t => {
  for (const url of ['mysql://x', 'sqlite:', 'sqlite://host/path', 'sqlite:data/', 'comments.db', 'sqlite:a.db?mode=ro']) {
    t.throws(() => pathOf({ STORE_URL: url }), ConfigError, url)
    t.throws(() => pathOf({ STORE_URL: url }), { message: /^STORE_URL: must be sqlite:PATH/ })
  }
})

t.test('a file of certificates has some, each of which can be read', async t => {
  const folder = tempFolder(t)
  const { certificate } = makeCertificate(folder)
  const read = (text: string) => {
    const path = join(folder, 'ca.pem')
    writeFileSync(path, text)
    return readConfig({ STORE_CA_FILE: path }, { STORE_CA_FILE: storeVariables.STORE_CA_FILE }).STORE_CA_FILE
  }
  const pem = readFileSync(certificate, 'utf8')
  t.equal(read(`# ours\n${pem}${pem}`), join(folder, 'ca.pem'))
  for (const text of ['', 'no certificate', pem.replace(/-----END.*/, '')]) t.throws(() => read(text), { message: 'STORE_CA_FILE: must hold a certificate in PEM form' })
  t.throws(() => read(`${pem}-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n`), { message: 'STORE_CA_FILE: has an unreadable certificate, number 2' })
})

t.test('a hook needs a URL and a secret, and no error repeats the secret', async t => {
  const read = (env: NodeJS.ProcessEnv) => dispatcherConfigOf(env)
  const secret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
  t.match(read({}), { HOOK_URL: undefined, HOOK_SECRET: undefined })
  t.same(read({ HOOK_URL: 'https://x/hook', HOOK_SECRET: `${secret},${secret}` }).HOOK_SECRET, [Buffer.alloc(24, 7), Buffer.alloc(24, 7)])
  for (const [env, message] of [
    [{ HOOK_URL: 'ftp://x', HOOK_SECRET: secret }, /^HOOK_URL: must be an http or https URL/],
    [{ HOOK_URL: 'https://x' }, /^HOOK_URL: needs HOOK_SECRET or HOOK_SECRET_FILE/],
    [{ HOOK_SECRET: secret }, /^HOOK_SECRET: needs a HOOK_URL/],
    [{ HOOK_URL: 'https://x', HOOK_SECRET: 'whsec_short' }, /^HOOK_SECRET: must be whsec_ and(?!.*short)/],
    [{ HOOK_URL: 'https://x', HOOK_SECRET_FILE: '/nowhere' }, /^HOOK_SECRET_FILE: cannot be read: ENOENT/],
    [{ HOOK_URL: 'https://x', HOOK_SECRET: secret, HOOK_SECRET_FILE: '/nowhere' }, /HOOK_SECRET: must not be set together with HOOK_SECRET_FILE/],
  ] as const) t.throws(() => read(env), { message })
})

t.test('the review is an http URL without a password, and its time is bounded', async t => {
  const read = (env: NodeJS.ProcessEnv) => readConfig(env, dispatcherVariables)
  t.match(read({}), { REVIEW_URL: undefined, REVIEW_TIMEOUT_MS: 500, REVIEW_FAILURE: 'hold' })
  t.match(read({ REVIEW_URL: 'http://localhost:9/x?y=1', REVIEW_TIMEOUT_MS: '1000', REVIEW_FAILURE: 'publish' }), { REVIEW_URL: 'http://localhost:9/x?y=1', REVIEW_TIMEOUT_MS: 1_000, REVIEW_FAILURE: 'publish' })
  for (const [env, message] of [
    [{ REVIEW_URL: 'localhost:9' }, /^REVIEW_URL: must be an http or https URL/],
    [{ REVIEW_URL: 'ftp://x' }, /^REVIEW_URL: must be an http or https URL/],
    [{ REVIEW_URL: 'http://a:b@c' }, /^REVIEW_URL: must not hold a user or a password/],
    [{ REVIEW_TIMEOUT_MS: '49' }, /^REVIEW_TIMEOUT_MS: must be a whole number from 50 to 1000/],
    [{ REVIEW_TIMEOUT_MS: '1001' }, /^REVIEW_TIMEOUT_MS: must be/],
    [{ REVIEW_FAILURE: 'ignore' }, /^REVIEW_FAILURE: must be publish, hold or refuse/],
  ] as const) t.throws(() => read(env), { message })
})
