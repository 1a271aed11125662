import { writeFileSync } from 'node:fs'
import t from 'tap'
import { edgeVariables } from '../../../edge/config.js'
import { gatewayVariables } from '../../../gateway/config.js'
import { readConfig } from '../../../runtime/config.js'
import { tlsConflicts, tlsFiles } from '../../../runtime/tls/config.js'
import { makeCertificate } from '../../support/certificate.js'
import { run } from '../../support/cluster.js'
import { tempFolder } from '../../support/folder.js'

for (const [part, variables] of Object.entries({ gateway: gatewayVariables, edge: edgeVariables })) {
  const read = (env: NodeJS.ProcessEnv) => readConfig(env, variables, tlsConflicts)

  t.test(`${part}: TLS is off, or has a certificate and its key`, async t => {
    const { certificate, key } = makeCertificate(tempFolder(t))
    t.equal(tlsFiles(read({})), undefined)
    t.equal(read({}).TLS_HSTS_SECONDS, 0)
    const config = read({ TLS_CERT_FILE: certificate, TLS_KEY_FILE: key, TLS_HSTS_SECONDS: '3600', PUBLIC_URL: 'https://live.example.com' })
    t.same(tlsFiles(config), { certificate, key })
    t.equal(config.TLS_HSTS_SECONDS, 3600)
  })

  t.test(`${part}: what contradicts itself is named, with all else that is wrong`, async t => {
    const { certificate, key } = makeCertificate(tempFolder(t))
    t.throws(() => read({ TLS_CERT_FILE: certificate }), { message: 'TLS_CERT_FILE: needs TLS_KEY_FILE' })
    t.throws(() => read({ TLS_KEY_FILE: key, TLS_HSTS_SECONDS: '1' }), { message: 'TLS_KEY_FILE: needs TLS_CERT_FILE\nTLS_HSTS_SECONDS: needs TLS_CERT_FILE' })
    t.throws(() => read({ TLS_HSTS_SECONDS: 'x', PORT: 'x' }), { message: /^PORT: .+\nTLS_HSTS_SECONDS: must be a whole number, 0 or more\nTLS_HSTS_SECONDS: needs TLS_CERT_FILE$/ })
    t.throws(() => read({ TLS_CERT_FILE: certificate, TLS_KEY_FILE: key, PUBLIC_URL: 'http://live.example.com' }), { message: 'PUBLIC_URL: must be an https URL if TLS_CERT_FILE is set' })
    writeFileSync(key, '')
    t.throws(() => read({ TLS_CERT_FILE: certificate, TLS_KEY_FILE: key, PORT: 'x' }), { message: /^PORT: .+\nTLS_KEY_FILE: .+ must hold a private key in PEM form$/ })
  })
}

t.test('a gateway redirects to PUBLIC_URL alone, so it needs one', async t => {
  const { certificate, key } = makeCertificate(tempFolder(t))
  const read = (env: NodeJS.ProcessEnv) => readConfig(env, gatewayVariables, tlsConflicts)
  const tls = { TLS_CERT_FILE: certificate, TLS_KEY_FILE: key }
  t.equal(read({ ...tls, TLS_REDIRECT_PORT: '80', PUBLIC_URL: 'https://live.example.com' }).TLS_REDIRECT_PORT, 80)
  t.throws(() => read({ ...tls, TLS_REDIRECT_PORT: '80' }), { message: 'TLS_REDIRECT_PORT: needs PUBLIC_URL, which it redirects to' })
  t.throws(() => read({ TLS_REDIRECT_PORT: '80', PUBLIC_URL: 'https://live.example.com' }), { message: 'TLS_REDIRECT_PORT: needs TLS_CERT_FILE' })
  t.throws(() => read({ ...tls, TLS_REDIRECT_PORT: '70000', PUBLIC_URL: 'https://live.example.com' }), { message: 'TLS_REDIRECT_PORT: must be a port (0 to 65535)' })
})

t.test('a part ends with status 2 and the reason', async t => {
  const folder = tempFolder(t)
  const { certificate } = makeCertificate(folder)
  const { status, stderr } = await run(['edge'], { TLS_CERT_FILE: certificate, TLS_KEY_FILE: certificate })
  t.equal(status, 2)
  t.equal(stderr, `edge: bad configuration\nTLS_KEY_FILE: ${certificate} must hold a private key in PEM form\n`)
})
