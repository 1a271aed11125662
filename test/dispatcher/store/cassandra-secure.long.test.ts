import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openCassandra } from '../../../dispatcher/store/cassandra/open.js'
import { noCassandra, startCassandra } from '../../support/cassandra.js'
import { makeCertificate } from '../../support/certificate.js'
import { tempFolder } from '../../support/folder.js'
import { operate } from '../../support/operator.js'
import { until } from '../../support/until.js'
import { draft } from '../cast.js'

t.setTimeout(235_000)

t.test('a Cassandra that takes TLS and passwords alone', { skip: noCassandra, timeout: 230_000 }, async t => {
  const folder = tempFolder(t)
  const { certificate, key } = makeCertificate(folder)
  const keystore = { path: join(folder, 'keystore.p12'), password: 'keystore' }
  execFileSync('openssl', ['pkcs12', '-export', '-in', certificate, '-inkey', key, '-out', keystore.path, '-passout', `pass:${keystore.password}`])
  const cassandra = await startCassandra(t, { keystore })
  const url = (user = 'cassandra@') => `cassandra://${user}127.0.0.1:${cassandra.port}/secure?dc=datacenter1&tls=on`
  const passwordFile = join(folder, 'password')
  writeFileSync(passwordFile, 'cassandra\n')

  const init = (env: NodeJS.ProcessEnv) => operate(['store', 'init', '--replication', 'datacenter1=1', '--json'], { env })
  const made = await until(async () => {
    const outcome = await init({ STORE_URL: url(), STORE_PASSWORD_FILE: passwordFile, STORE_CA_FILE: certificate })
    return outcome.status === 0 ? outcome : undefined
  }, { what: 'the first user is there', timeoutMs: 60_000 })
  t.match(JSON.parse(made.stdout), { keyspace: 'secure', isNew: true })

  const reasonOf = (config: Parameters<typeof openCassandra>[0]) => {
    const store = openCassandra(config, {})
    t.teardown(() => store.close())
    return until(async () => {
      const reason = await store.open().then(() => 'none', (error: { reason?: string }) => String(error.reason))
      return /in time/.test(reason) ? undefined : reason
    })
  }
  t.match(await reasonOf({ STORE_URL: url(), STORE_PASSWORD: 'wrong', STORE_CA_FILE: certificate }), /the user or the password is refused/)
  t.match(await reasonOf({ STORE_URL: url(''), STORE_CA_FILE: certificate }), /refused|authenticat/i)
  t.match(await reasonOf({ STORE_URL: url(), STORE_PASSWORD: 'cassandra' }), /DEPTH_ZERO_SELF_SIGNED_CERT/)
  t.not(await reasonOf({ STORE_URL: url().replace('&tls=on', ''), STORE_PASSWORD: 'cassandra' }), 'none')

  const store = openCassandra({ STORE_URL: url(), STORE_PASSWORD: 'cassandra', STORE_CA_FILE: certificate }, {})
  t.teardown(() => store.close())
  await until(() => store.open().then(() => true, () => false), { what: 'it is connected' })
  await until(async () => (await store.append([draft('v')], Date.now()))[0]!.kind === 'created', { what: 'a comment is stored' })
})
