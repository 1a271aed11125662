import { hostname } from 'node:os'
import t from 'tap'
import { newInstance } from '../../registry/start.js'
import { zookeeperVariables } from '../../registry/variables.js'
import { ConfigError, readConfig } from '../../runtime/config.js'
import { count, nodeVariables, publicVariables, tokenConflicts, urlOf } from '../../runtime/variables.js'

const shape = { ...nodeVariables('edge', 9081), ...zookeeperVariables, ...publicVariables(8081), EDGE_CAPACITY: count(15_000) }

t.test('nothing set gives the defaults; an empty variable counts as unset', async t => {
  const config = readConfig({ PORT: '', NODE_ID: '' }, shape)
  t.match(config, { HOST: '127.0.0.1', PORT: 8081, INTERNAL_HOST: '127.0.0.1', INTERNAL_PORT: 9081, ZOOKEEPER_CONNECT: '127.0.0.1:2181/live-comments', LOG_LEVEL: 'info', EDGE_CAPACITY: 15_000 })
  t.match(config.NODE_ID, /^[A-Za-z0-9_-]{1,64}$/)
  t.match(config.NODE_ID, /-edge$/)
  t.same([config.PUBLIC_URL, config.INTERNAL_TOKEN], [undefined, undefined])
})

t.test('what is set is read', async t => {
  const env = { NODE_ID: 'e-1', PORT: '0', PUBLIC_URL: 'https://live.example/', INTERNAL_TOKEN: 'x'.repeat(16), ZOOKEEPER_CONNECT: 'a:2181,b:2181/x/y', LOG_LEVEL: 'silent', EDGE_CAPACITY: '0', OTHER: 'x' }
  t.match(readConfig(env, shape), { NODE_ID: 'e-1', PORT: 0, PUBLIC_URL: 'https://live.example', INTERNAL_TOKEN: 'x'.repeat(16), ZOOKEEPER_CONNECT: 'a:2181,b:2181/x/y', LOG_LEVEL: 'silent', EDGE_CAPACITY: 0 })
})

t.test('every token of a list keeps the rule', async t => {
  const token = 'x'.repeat(16)
  for (const tokens of [token, `${token},${'y'.repeat(16)}`]) t.equal(readConfig({ INTERNAL_TOKEN: tokens }, shape).INTERNAL_TOKEN, tokens)
  for (const tokens of [`${token},`, `${token},short`, `,${token}`, `${token} ${token}`, `${token}\n`, 'ä'.repeat(16)]) t.throws(() => readConfig({ INTERNAL_TOKEN: tokens }, shape), { message: /^INTERNAL_TOKEN: must/ }, JSON.stringify(tokens))
})

t.test('one error names every bad variable and its rule', async t => {
  const env = { NODE_ID: 'a.b', PORT: '65536', INTERNAL_PORT: 'http', PUBLIC_URL: 'live.example', INTERNAL_URL: 'ftp://x', INTERNAL_TOKEN: 'short', ZOOKEEPER_AUTH: 'a secret', ZOOKEEPER_AUTH_FILE: '/none', ZOOKEEPER_CONNECT: 'a:99999', LOG_LEVEL: 'loud', EDGE_CAPACITY: '-1' }
  try {
    readConfig(env, shape)
    t.fail('it was taken')
  } catch (error) {
    t.ok(error instanceof ConfigError)
    t.same((error as Error).message.split('\n').sort(), [
      'EDGE_CAPACITY: must be a whole number, 0 or more',
      'INTERNAL_PORT: must be a port (0 to 65535)',
      'INTERNAL_TOKEN: must be at least 16 visible ASCII characters; separate several tokens by commas',
      'INTERNAL_URL: must be an http or https URL',
      'LOG_LEVEL: must be one of trace, debug, info, warn, error, fatal, silent',
      'NODE_ID: must be 1 to 64 of A-Z a-z 0-9 _ - (no dot, no slash)',
      'PORT: must be a port (0 to 65535)',
      'PUBLIC_URL: must be an http or https URL',
      'ZOOKEEPER_AUTH: must be USER:PASSWORD[,USER:PASSWORD...], without spaces',
      'ZOOKEEPER_AUTH_FILE: cannot be read: ENOENT',
      'ZOOKEEPER_CONNECT: must be HOST:PORT[,HOST:PORT...][/CHROOT]',
    ])
  }
})

t.test('a part is without a token on loopback alone, and with identity off', async t => {
  for (const env of [{}, { INTERNAL_HOST: '' }, ...['127.0.0.1', '127.1.2.3', 'localhost', '::1'].map(INTERNAL_HOST => ({ INTERNAL_HOST }))]) t.same(tokenConflicts(env, true), [], JSON.stringify(env))
  for (const INTERNAL_HOST of ['0.0.0.0', '::', '10.0.0.1', 'edge-1', '127.evil.example', 'localhost.example']) {
    t.match(tokenConflicts({ INTERNAL_HOST }, true), [/^INTERNAL_TOKEN: must be set where INTERNAL_HOST is not/], INTERNAL_HOST)
    t.same(tokenConflicts({ INTERNAL_HOST, INTERNAL_TOKEN: 'x'.repeat(16) }, true), [])
  }
  for (const name of ['AUTH_JWT_SECRET', 'AUTH_JWKS_FILE']) {
    t.match(tokenConflicts({ [name]: 'x' }, true), [/^INTERNAL_TOKEN: must be set where identity is on/], name)
    t.same(tokenConflicts({ [name]: 'x', INTERNAL_TOKEN: 'x'.repeat(16) }, true), [])
  }
  t.same(tokenConflicts({ INTERNAL_HOST: '0.0.0.0' }, false), [], 'it is said last')
  for (const INTERNAL_PROOF of ['require', 'prefer']) t.equal(readConfig({ INTERNAL_PROOF }, shape).INTERNAL_PROOF, INTERNAL_PROOF)
  t.equal(readConfig({}, shape).INTERNAL_PROOF, 'prefer')
  t.throws(() => readConfig({ INTERNAL_PROOF: 'never' }, shape), { message: 'INTERNAL_PROOF: must be require or prefer' })
})

t.test('only decimal digits are a port', async t => {
  for (const PORT of ['-1', '1.5', '1e3', '0x50', ' 80', '80 ', 'x', '65536', '99999999999']) t.throws(() => readConfig({ PORT }, shape), { message: 'PORT: must be a port (0 to 65535)' }, PORT)
  t.equal(readConfig({ PORT: '65535' }, shape).PORT, 65_535)
})

t.test('a listener is reached at its host; a wildcard at the machine\'s name', async t => {
  t.equal(urlOf('127.0.0.1', 80), 'http://127.0.0.1:80')
  t.equal(urlOf('::1', 80), 'http://[::1]:80')
  t.equal(urlOf('0.0.0.0', 80), `http://${hostname()}:80`)
  t.equal(urlOf('::', 80), `http://${hostname()}:80`)
})

t.test('each start is another instance', async t => {
  t.not(newInstance(), newInstance())
})
