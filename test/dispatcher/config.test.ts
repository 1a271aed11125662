import { resolve } from 'node:path'
import t from 'tap'
import { ConfigError } from '../../registry/node/config.js'
import { dispatcherConfig } from '../../dispatcher/config.js'

t.test('the store is a file, relative to the working folder', async t => {
  t.equal(dispatcherConfig({}).STORE_URL.path, resolve('data/comments.db'))
  t.equal(dispatcherConfig({ STORE_URL: 'sqlite:/var/lib/comments.db' }).STORE_URL.path, '/var/lib/comments.db')
})

t.test('any other store is refused, the variable named', async t => {
  for (const url of ['mysql://x', 'sqlite:', 'sqlite://host/path', 'sqlite:data/', 'comments.db', 'sqlite:a.db?mode=ro']) {
    t.throws(() => dispatcherConfig({ STORE_URL: url }), ConfigError, url)
    t.throws(() => dispatcherConfig({ STORE_URL: url }), { message: /^STORE_URL: must be sqlite:PATH/ })
  }
})
