import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { Issuer } from '../support/issuer.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.test('with identity on: a name goes with its comment everywhere, a token nowhere, and keys are changed without a restart', async t => {
  const issuer = new Issuer({ old: 'RS256', new: 'EdDSA' })
  const jwks = join(tempFolder(t), 'jwks.json')
  writeFileSync(jwks, issuer.jwks(['old']))
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'], { env: { AUTH_JWKS_FILE: jwks, AUTH_REQUIRE_TO_WATCH: 'true', LOG_LEVEL: 'trace' } })
  t.match(cluster.output, /^identity +on: a token is needed to post, to read and to watch$/m)
  const claims = { name: 'Ann Example', videos: ['demo'] }
  const [token, next] = await Promise.all([issuer.token('old', claims), issuer.token('new', claims)])
  const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

  const viewers = [await watchReady(t, cluster.stream('demo', `?access_token=${token}`)), await watchReady(t, `${cluster.member('edge-1').url}/comments/demo?access_token=${token}`)]
  const posted = await cluster.post('demo', { content: 'hello' }, bearer(token))
  t.match([posted.status, await posted.json()], [201, { authorId: 'ann', authorName: 'Ann Example' }])
  for (const viewer of viewers) {
    await viewer.waitForEvent('message')
    t.match(viewer.comments, [{ authorId: 'ann', authorName: 'Ann Example', content: 'hello' }])
  }
  const history = await fetch(cluster.stream('demo'), { headers: bearer(token) })
  t.match(await history.json(), { comments: [{ authorName: 'Ann Example' }] })

  const post = async (token: string) => (await cluster.post('demo', { content: 'again' }, bearer(token))).status
  t.equal(await post(next), 401)
  for (const url of [cluster.stream('demo'), `${cluster.member('edge-1').url}/comments/demo`]) t.equal((await fetch(`${url}?access_token=${next}`, { headers: { accept: 'text/event-stream' } })).status, 401)
  writeFileSync(jwks, issuer.jwks(['new']))
  await until(async () => (await post(next)) === 201)
  t.equal(await post(token), 401)

  const secret = readFileSync(join(cluster.data, 'internal-token'), 'utf8').trim()
  const metrics = await Promise.all(['gateway-1', 'edge-1', 'dispatcher-1'].map(async id => (await fetch(`${cluster.member(id).internalUrl}/metrics`, { headers: bearer(secret) })).text()))
  await cluster.stop()
  const logs = readdirSync(join(cluster.data, 'logs')).map(name => readFileSync(join(cluster.data, 'logs', name), 'utf8'))
  t.match(logs.join(''), 'auth_keys_read', 'these are the logs')
  const written = [...logs, ...metrics, cluster.output, cluster.errors].join('\n')
  for (const part of [token, next].flatMap(each => each.split('.').slice(1))) t.notOk(written.includes(part), 'no part of a token')
  t.notOk(written.includes('access_token'))
})
