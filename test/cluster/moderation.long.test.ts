import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { EDGES, printNode } from '../../protocol/nodes.js'
import { startCluster } from '../support/cluster.js'
import { tempFolder } from '../support/folder.js'
import { Issuer } from '../support/issuer.js'
import { edgeNode } from '../support/nodes.js'
import { until } from '../support/until.js'
import { watch, watchReady, type Viewer } from '../support/viewer.js'

/** No other text has it: it is looked for in bytes. */
const SECRET = 'unspeakable-6b1f0c52'

t.setTimeout(120_000)

t.test('moderation in a cluster', async t => {
  const issuer = new Issuer({ ed: 'EdDSA' })
  const jwks = join(tempFolder(t), 'jwks.json')
  writeFileSync(jwks, issuer.jwks())
  const cluster = await startCluster(t, ['--edges', '2', '--dispatchers', '2'], { env: { AUTH_JWKS_FILE: jwks } })
  const bearer = async (sub: string, more = {}) => ({ authorization: `Bearer ${await issuer.token('ed', { sub, ...more })}` })
  const [ann, bob, mo] = await Promise.all([bearer('ann'), bearer('bob'), bearer('mo', { mod: ['demo', 'other'] })])
  const json = { 'content-type': 'application/json' }
  const post = (headers: Record<string, string>, content: string) => cluster.post('demo', { content }, headers)
  const say = async (headers: Record<string, string>, content: string) => {
    const response = await post(headers, content)
    t.equal(response.status, 201, content)
    return (await response.json()) as { id: string }
  }
  const act = async (method: string, path: string, body?: unknown, headers = mo) => {
    const response = await fetch(cluster.stream('demo', path), { method, headers: { ...headers, ...(body === undefined ? {} : json) }, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
    return { status: response.status, body: (await response.json()) as { id?: string; error?: { code: string } } }
  }
  const code = async (response: Promise<Response>) => ((await (await response).json()) as { error?: { code: string } }).error?.code
  const sees = (viewer: Viewer, name: string, target: string) => viewer.events.some(({ event, data }) => event === name && data.includes(`"${target}"`))
  const command = (...argv: string[]) => cluster.registry(...argv, '--data', cluster.data, '--json')

  await t.test('while an edge of the former version is there, acts are refused, and nothing else', async t => {
    const { id } = await say(ann, 'first')
    const zk = await cluster.openZk(t)
    await zk.create(`${EDGES}/edge-old`, printNode(edgeNode('edge-old', { internalUrl: 'http://127.0.0.1:1', state: 'draining' })))
    await until(async () => (await act('DELETE', `/${id}`, undefined, ann)).body.error?.code === 'UPGRADE_UNFINISHED')
    await say(ann, 'second')
    await zk.remove(`${EDGES}/edge-old`)
    await until(async () => (await act('DELETE', `/${id}`, undefined, ann)).status === 200, { what: 'it is deleted, by its author' })
  })

  await t.test('a deleted comment is gone from every stream, from history and from the disk', async t => {
    const before = (await say(ann, 'before')).id
    const secret = (await say(ann, SECRET)).id
    const viewers = await Promise.all(Array.from({ length: 30 }, (_, i) => watchReady(t, cluster.stream('demo', '?recent=5'), i % 2 === 0 ? {} : { headers: { 'accept-encoding': 'identity' } })))
    viewers.push(await watchReady(t, `${cluster.member('edge-1').url}/comments/demo?recent=5`), await watchReady(t, `${cluster.member('edge-2').url}/comments/demo?recent=5`))
    for (const viewer of viewers) t.ok(viewer.ids.includes(secret), 'it was there')
    const pinned = await act('PUT', '/pin', { commentId: secret })
    t.equal(pinned.status, 200)
    for (const viewer of viewers) await viewer.waitFor(({ event, data }) => event === 'pinned' && data.includes(SECRET))
    t.equal((await act('DELETE', `/${secret}`, undefined, bob)).body.error?.code, 'FORBIDDEN')

    const resuming = Array.from({ length: 10 }, () => watch(t, cluster.stream('demo'), { lastEventId: before }))
    const deleted = await act('DELETE', `/${secret}`)
    t.equal(deleted.status, 200)
    t.notOk(readdirSync(cluster.data).filter(name => name.startsWith('comments.db')).some(name => readFileSync(join(cluster.data, name)).includes(SECRET)), 'not in the store\'s file, nor in its log')
    for (const viewer of viewers) {
      const event = await viewer.waitFor(({ event, data }) => event === 'deleted' && data.includes(secret))
      t.same([event.id, event.data], [deleted.body.id, `{"target":"${secret}"}`])
    }
    for (const viewer of resuming) await until(() => sees(viewer, 'deleted', secret))
    t.same((await act('DELETE', `/${secret}`)).body.id, deleted.body.id, 'repeated, it is answered as the first time')

    const late = [await watchReady(t, cluster.stream('demo'), { lastEventId: before }), await watchReady(t, cluster.stream('demo', '?recent=200')), await watchReady(t, `${cluster.member('edge-1').url}/comments/demo?recent=200`)]
    for (const viewer of late) t.notMatch(JSON.stringify(viewer.events), SECRET)
    t.ok(late[0]!.events.some(({ event, id, data }) => event === 'deleted' && id === secret && data === `{"target":"${secret}"}`), 'a tombstone, in its place')
    for (const direction of ['before', 'after']) {
      const { comments } = await cluster.page('demo', `?direction=${direction}&pageSize=200`)
      t.notMatch(JSON.stringify(comments), SECRET)
      t.match(comments.find(({ id }) => id === secret), { id: secret, videoId: 'demo', deleted: true, createdAt: Number })
    }
    const logs = readdirSync(join(cluster.data, 'logs')).map(name => readFileSync(join(cluster.data, 'logs', name), 'utf8')).join('')
    t.notMatch(logs, SECRET)
    t.match(logs, secret, 'the audit log names it')

    for (let i = 0; i < 6; i++) t.ok((await Promise.all(Array.from({ length: 200 }, (_, j) => post(ann, `${i} ${j}`)))).every(({ status }) => status === 201))
    const behind = await watchReady(t, cluster.stream('demo'), { lastEventId: before })
    const gap = behind.events.find(({ event }) => event === 'gap')
    const { from, to } = JSON.parse(gap!.data) as { from: string; to: string }
    t.ok(BigInt(from) < BigInt(secret) && BigInt(secret) <= BigInt(to), 'the gap names it')
    t.match((await cluster.page('demo', `?direction=after&cursor=${from}`)).comments.find(({ id }) => id === secret), { deleted: true })
  })

  await t.test('bans, slow mode, closing: who may post, and how long to wait', async t => {
    const viewer = await watchReady(t, cluster.stream('demo'))
    t.equal((await act('PUT', '/bans/bob', { forSeconds: 60 })).status, 200)
    t.equal(await code(post(bob, 'banned')), 'BANNED')
    await say(ann, 'not banned')
    t.equal((await act('DELETE', '/bans/bob')).status, 200)
    await say(bob, 'not banned any more')
    t.equal((await act('PUT', '/settings', { slowModeSeconds: 2 })).status, 200)
    await viewer.waitFor(({ event, data }) => event === 'settings' && data.includes('"slowModeSeconds":2'))
    const slow = await post(ann, 'too soon')
    t.same([slow.status, await code(Promise.resolve(slow))], [429, 'SLOW_MODE'])
    const waitMs = Number(slow.headers.get('retry-after')) * 1_000
    t.ok(waitMs >= 1_000 && waitMs <= 2_000)
    await say(mo, 'a moderator')
    await say(mo, 'is exempt')
    await new Promise(resolve => setTimeout(resolve, waitMs))
    await say(ann, 'in time')
    t.equal((await act('PUT', '/settings', { closed: true })).status, 200)
    t.equal(await code(post(bob, 'closed')), 'COMMENTS_CLOSED')
    const ready = await (await watchReady(t, cluster.stream('demo'))).waitForEvent('ready')
    t.match(JSON.parse(ready.data), { settings: { slowModeSeconds: 2, closed: true, signedInOnly: false }, pinned: null })
    t.notOk(viewer.events.some(({ data }) => data.includes('banned') && !data.includes('content')), 'viewers are not told of bans')
  })

  await t.test('operators do the same by commands, and erase a person', async t => {
    t.match(JSON.parse((await command('settings', 'demo')).stdout), { settings: { slowModeSeconds: 2, closed: true } })
    t.match(JSON.parse((await command('settings', 'demo', '--open', '--slow-mode', '0')).stdout), { settings: { slowModeSeconds: 0, closed: false } })
    t.equal((await command('ban', 'demo', 'bob')).status, 0)
    t.equal(await code(post(bob, 'banned')), 'BANNED')
    t.equal((await command('unban', 'demo', 'bob')).status, 0)
    const { id } = await say(bob, 'bob was here')
    t.equal((await command('pin', 'demo', id)).status, 0)
    const { stdout } = await command('erase', '--author', 'bob', '--yes')
    t.match(JSON.parse(stdout), { authorId: 'bob' })
    t.ok((JSON.parse(stdout) as { erased: number }).erased >= 2)
    const all = await cluster.history('demo')
    t.same(all.filter(({ authorId }) => authorId === 'bob'), [])
    t.notMatch(JSON.stringify(all), 'bob was here')
    t.match(JSON.parse((await command('settings', 'demo')).stdout), { pinned: null })
    t.match(await command('delete', 'demo', '1'), { status: 1, stderr: /COMMENT_NOT_FOUND/ })
  })
})
