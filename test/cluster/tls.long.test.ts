import { createHash, X509Certificate } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { chromium } from 'playwright-core'
import t, { type Test } from 'tap'
import { Agent, request } from 'undici'
import { Ports } from '../../cluster/ports.js'
import { fingerprintOf, makeCertificate } from '../support/certificate.js'
import { launchOptions } from '../support/chromium.js'
import { run, startCluster, type Cluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(200_000)

const HSTS = 'max-age=3600'

/** What a new connection to that port is shown. */
function shown(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: '127.0.0.1', port: Number(new URL(url).port), rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().fingerprint256)
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

async function post(t: Test, url: string, content: string, certificate: string): Promise<unknown> {
  const dispatcher = new Agent({ connect: { ca: readFileSync(certificate) } })
  t.after(() => dispatcher.close())
  const { statusCode, body } = await request(`${url}/comments/demo`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ content }), dispatcher })
  return { statusCode, ...((await body.json()) as object) }
}

const log = (cluster: Cluster, id: string) => readFileSync(join(cluster.data, 'logs', `${id}.log`), 'utf8')

t.test('npm start speaks TLS at the public ports of gateways and edges, and changes their certificate under open streams', async t => {
  const files = makeCertificate(tempFolder(t))
  const ports = new Ports()
  const [port, redirectPort] = [await ports.take('127.0.0.1'), await ports.take('127.0.0.1')]
  const env = { TLS_CERT_FILE: files.certificate, TLS_KEY_FILE: files.key, TLS_HSTS_SECONDS: '3600', TLS_REDIRECT_PORT: String(redirectPort), PUBLIC_URL: `https://localhost:${port}/` }
  const cluster = await startCluster(t, ['--port', String(port), '--edges', '1', '--dispatchers', '1'], { env })
  t.equal(cluster.url, `https://localhost:${port}`)
  t.match(cluster.output, `curl -N -H 'Accept: text/event-stream' https://localhost:${port}/comments/demo`)
  const [gateway, edge] = [cluster.member('gateway-1'), cluster.member('edge-1')]
  t.equal(gateway.url, `https://127.0.0.1:${port}`)
  t.match(edge.url, /^https:/)
  for (const { internalUrl } of [gateway, edge]) t.equal((await fetch(`${internalUrl}/healthz`)).status, 200, 'internal ports are plain')

  const ca = readFileSync(files.certificate)
  const viewers = await Promise.all([cluster.url, edge.url!].map(url => watchReady(t, `${url}/comments/demo`, { ca })))
  for (const { headers } of viewers) t.equal(headers['strict-transport-security'], HSTS)
  t.match(await post(t, cluster.url, 'encrypted', files.certificate), { statusCode: 201 })
  for (const viewer of viewers) await until(() => viewer.comments.some(({ content }) => content === 'encrypted'))

  const redirected = await request(`http://127.0.0.1:${redirectPort}/comments/demo?recent=3`, { headers: { host: 'evil.example' } })
  t.equal(redirected.statusCode, 308)
  t.equal(redirected.headers.location, `https://localhost:${port}/comments/demo?recent=3`)

  await t.test('an operator\'s command says why it cannot trust it, and how it can', async t => {
    const untrusted = await run(['registry', 'post', 'demo', 'by command', '--data', cluster.data])
    t.equal(untrusted.status, 1)
    t.match(untrusted.stderr, /certificate of the gateway at https:\/\/127\.0\.0\.1:\d+ .* is not trusted here: self-signed certificate\.\n.*NODE_EXTRA_CA_CERTS=FILE/)
    const trusted = await run(['registry', 'post', 'demo', 'by command', '--data', cluster.data], { NODE_EXTRA_CA_CERTS: files.certificate })
    t.equal(trusted.status, 0, trusted.stderr)
  })

  const before = fingerprintOf(files)
  makeCertificate(tempFolder(t), {}, files)
  const after = fingerprintOf(files)
  t.not(after, before)
  for (const { url } of [gateway, edge]) await until(async () => (await shown(url!)) === after)
  t.match(await post(t, cluster.url, 'renewed', files.certificate), { statusCode: 201 })
  for (const viewer of viewers) {
    await until(() => viewer.comments.some(({ content }) => content === 'renewed'))
    t.notOk(viewer.isClosed)
  }

  await t.test('a browser opens the page over it, watches and posts', async t => {
    const spki = new X509Certificate(readFileSync(files.certificate)).publicKey.export({ type: 'spki', format: 'der' })
    const { args = [], ...options } = launchOptions()
    const browser = await chromium.launch({ ...options, args: [...args, `--ignore-certificate-errors-spki-list=${createHash('sha256').update(spki).digest('base64')}`] })
    t.after(() => browser.close())
    const page = await browser.newPage()
    const answer = await page.goto(`${cluster.url}/?video=demo`)
    t.equal((await answer!.allHeaders())['strict-transport-security'], HSTS)
    await page.getByText('renewed').waitFor()
    t.match(await post(t, cluster.url, 'to the browser', files.certificate), { statusCode: 201 })
    await page.getByText('to the browser').waitFor()
    await page.locator('#text').fill('from the browser')
    await page.locator('#text').press('Enter')
    await until(() => viewers[0]!.comments.some(({ content }) => content === 'from the browser'))
  })

  for (const [id, name] of [['gateway-1', 'gateway'], ['edge-1', 'edge']] as const) t.equal(await cluster.metric(id, 'live_tls_files_usable'), 1, name)
  writeFileSync(files.key, 'rubbish')
  for (const { id, url } of [gateway, edge]) {
    await until(async () => (await cluster.metric(id, 'live_tls_files_usable')) === 0)
    t.match(log(cluster, id), `"reason":"TLS_KEY_FILE: ${files.key} must hold a private key in PEM form","event":"tls_files_unusable"`)
    t.equal(await shown(url!), after, 'the former pair stays')
    t.ok((await cluster.metric(id, 'live_tls_certificate_expires_timestamp_seconds')) > Date.now() / 1000)
  }
  t.match((await cluster.registry('doctor', '--json', '--data', cluster.data)).stdout, /certificate_unusable[\s\S]*certificate_expires|certificate_expires[\s\S]*certificate_unusable/)
  t.notOk(viewers.some(({ isClosed }) => isClosed))
  t.match(await cluster.stop(), { status: 0 })
})
