import { resolve } from 'node:path'
import t from 'tap'
import { dispatcherVariables, sqlitePath } from '../../dispatcher/config.js'
import { ConfigError, readConfig } from '../../runtime/config.js'

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
