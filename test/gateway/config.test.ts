import t from 'tap'
import { gatewayVariables } from '../../gateway/config.js'
import { viewerLimit } from '../../gateway/viewer-limit.js'
import { ConfigError, readConfig } from '../../registry/node/config.js'

const read = (env: NodeJS.ProcessEnv) => readConfig(env, gatewayVariables)

t.test('without an environment everything has a default', async t => {
  t.match(read({}), { PORT: 8080, INTERNAL_PORT: 9080, HOST: '127.0.0.1', ALLOWED_ORIGINS: '*', EDGE_VIDEO_SHARE: 10_000, DRAIN_MS: 1_000 })
})

t.test('origins are a list', async t => {
  t.same(read({ ALLOWED_ORIGINS: 'https://a.example, http://localhost:3000' }).ALLOWED_ORIGINS, new Set(['https://a.example', 'http://localhost:3000']))
  t.equal(read({ ALLOWED_ORIGINS: '*' }).ALLOWED_ORIGINS, '*')
})

t.test('every bad variable is named in one error', async t => {
  const bad = { PORT: '70000', EDGE_VIDEO_SHARE: '0', ALLOWED_ORIGINS: 'https://a.example/path', ZOOKEEPER_CONNECT: 'not one', DRAIN_MS: '-1' }
  try {
    read(bad)
    t.fail('it was taken')
  } catch (error) {
    t.ok(error instanceof ConfigError)
    for (const name of Object.keys(bad)) t.match((error as Error).message, new RegExp(`^${name}: `, 'm'))
  }
})

t.test('viewers are limited by the descriptors', async t => {
  t.equal(viewerLimit(20_000), 9_750)
  t.equal(viewerLimit(100), 1)
  t.ok(viewerLimit() > 1)
})
