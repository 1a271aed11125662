import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { edgeVariables } from '../../../edge/config.js'
import { gatewayVariables } from '../../../gateway/config.js'
import { identityConflicts } from '../../../runtime/auth/config.js'
import { readConfig } from '../../../runtime/config.js'
import { run } from '../../support/cluster.js'
import { tempFolder } from '../../support/folder.js'
import { Issuer } from '../../support/issuer.js'

const SECRET = 'x'.repeat(32)

for (const [part, variables] of Object.entries({ gateway: gatewayVariables, edge: edgeVariables })) {
  const read = (env: NodeJS.ProcessEnv) => readConfig(env, variables, identityConflicts)

  t.test(`${part}: identity is off without a key, and no secret is short`, async t => {
    t.match(read({}), { AUTH_JWT_SECRET: undefined, AUTH_JWKS_FILE: undefined, AUTH_REQUIRE_TO_WATCH: false, AUTH_COOKIE: 'live_comments_token' })
    t.match(read({ AUTH_JWT_SECRET: 'ä'.repeat(16), AUTH_REQUIRE_TO_WATCH: 'true' }), { AUTH_REQUIRE_TO_WATCH: true })
    t.throws(() => read({ AUTH_JWT_SECRET: 'x'.repeat(31) }), { message: 'AUTH_JWT_SECRET: must be at least 32 bytes' })
  })

  t.test(`${part}: what contradicts itself is named, with all else that is wrong`, async t => {
    const path = join(tempFolder(t), 'jwks.json')
    writeFileSync(path, new Issuer({ a: 'EdDSA' }).jwks())
    t.throws(() => read({ AUTH_JWT_SECRET: SECRET, AUTH_JWKS_FILE: path, PORT: 'x', AUTH_COOKIE: 'a b' }), { message: /^PORT: .+\nAUTH_COOKIE: must be a cookie's name\nAUTH_JWT_SECRET: must not be set together with AUTH_JWKS_FILE$/ })
    t.throws(() => read({ AUTH_REQUIRE_TO_WATCH: 'true', AUTH_AUDIENCE: 'live' }), { message: 'AUTH_AUDIENCE: needs AUTH_JWT_SECRET or AUTH_JWKS_FILE\nAUTH_REQUIRE_TO_WATCH: needs AUTH_JWT_SECRET or AUTH_JWKS_FILE' })
    t.throws(() => read({ AUTH_JWT_SECRET: SECRET, AUTH_REQUIRE_TO_WATCH: 'yes' }), { message: 'AUTH_REQUIRE_TO_WATCH: must be true or false' })
    writeFileSync(path, '{"keys":[]}')
    t.throws(() => read({ AUTH_JWKS_FILE: path }), { message: `AUTH_JWKS_FILE: ${path} holds no key for RS256, ES256 or EdDSA` })
  })
}

t.test('a part ends with status 2 and the reason', async t => {
  const { status, stderr } = await run(['gateway'], { AUTH_JWKS_FILE: '/no/such/file' })
  t.equal(status, 2)
  t.equal(stderr, 'gateway: bad configuration\nAUTH_JWKS_FILE: /no/such/file cannot be read: ENOENT\n')
})
