import t from 'tap'
import { gatewayVariables } from '../../gateway/config.js'
import { connectionLimit, viewerLimit } from '../../gateway/viewer-limit.js'
import { ConfigError, readConfig } from '../../runtime/config.js'
import { parseAddress } from '../../runtime/http/address.js'
import { descriptorsForConnections } from '../../runtime/limits/descriptors.js'

const read = (env: NodeJS.ProcessEnv) => readConfig(env, gatewayVariables)

t.test('without an environment everything has a default', async t => {
  t.match(read({}), { PORT: 8080, INTERNAL_PORT: 9080, HOST: '127.0.0.1', ALLOWED_ORIGINS: '*', EDGE_VIDEO_SHARE: 10_000, DRAIN_MS: 1_000 })
})

t.test('origins are a list', async t => {
  t.same(read({ ALLOWED_ORIGINS: 'https://a.example, http://localhost:3000' }).ALLOWED_ORIGINS, new Set(['https://a.example', 'http://localhost:3000']))
  t.equal(read({ ALLOWED_ORIGINS: '*' }).ALLOWED_ORIGINS, '*')
})

t.test('every bad variable is named in one error', async t => {
  const bad = { PORT: '70000', EDGE_VIDEO_SHARE: '0', ALLOWED_ORIGINS: 'https://a.example/path', ZOOKEEPER_CONNECT: 'not one', DRAIN_MS: '-1', TRUSTED_PROXIES: 'proxy', CONNECTIONS_PER_ADDRESS: '-1', STREAMS_PER_ADDRESS: 'x', STREAMS_PER_AUTHOR: '1.5', POST_RATE_LIMIT: '5/s', POST_RATE_LIMIT_PER_ADDRESS: '.5' }
  try {
    read(bad)
    t.fail('it was taken')
  } catch (error) {
    t.ok(error instanceof ConfigError)
    for (const name of Object.keys(bad)) t.match((error as Error).message, new RegExp(`^${name}: `, 'm'))
  }
})

t.test('viewers are limited by the descriptors, and leave some to posters', async t => {
  t.equal(viewerLimit(descriptorsForConnections(20_000)), 19_125)
  t.equal(connectionLimit(descriptorsForConnections(20_000)), 19_250)
  t.equal(viewerLimit(descriptorsForConnections(300)), 100)
  t.equal(connectionLimit(descriptorsForConnections(300)), 112)
  t.equal(viewerLimit(2), 1)
  t.ok(viewerLimit(descriptorsForConnections()) > 1)
})

t.test('a limit that is set holds for this machine too, one that is not does not', async t => {
  t.same(read({}).STREAMS_PER_ADDRESS, { most: 2_000, local: false })
  t.same(read({ STREAMS_PER_ADDRESS: '2000' }).STREAMS_PER_ADDRESS, { most: 2_000, local: true })
  t.same(read({ POST_RATE_LIMIT: '0.2' }).POST_RATE_LIMIT, { most: 0.2, local: true })
  t.same(read({ CONNECTIONS_PER_ADDRESS: '0' }).CONNECTIONS_PER_ADDRESS, { most: 0, local: true })
})

t.test('trusted proxies are addresses and networks', async t => {
  const trusts = (list: string, address: string) => read({ TRUSTED_PROXIES: list }).TRUSTED_PROXIES.has(parseAddress(address)!)
  t.ok(trusts('10.0.0.0/8, ::1', '10.1.2.3'))
  t.ok(trusts('10.0.0.0/8, ::1', '::1'))
  t.notOk(trusts('10.0.0.0/8, ::1', '11.0.0.1'))
  t.ok(trusts('192.0.2.1', '::ffff:192.0.2.1'), 'mapped or not')
  t.notOk(trusts('0.0.0.0/0', '2001:db8::1'), 'all of IPv4 is none of IPv6')
  t.notOk(read({}).TRUSTED_PROXIES.has(parseAddress('127.0.0.1')!))
  for (const bad of ['localhost', '10.0.0.0/33', '10.0.0', '1', '10.0.0.0/8/8', '0x7f.0.0.1', '::1/129']) t.throws(() => read({ TRUSTED_PROXIES: bad }), /TRUSTED_PROXIES: must be a comma-separated list of addresses and networks/, bad)
})
