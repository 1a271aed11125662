import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { HookReceiver } from '../support/hook-receiver.js'
import { Poster } from '../support/poster.js'
import { startReview } from '../support/review-service.js'
import { until } from '../support/until.js'

t.setTimeout(200_000)

const VIDEOS = ['a', 'b', 'c']
const PATIENT = { timeoutMs: 90_000 }

t.test('a web hook is sent all that was acknowledged, in order, though its receiver and a dispatcher are killed', async t => {
  const receiver = await HookReceiver.start(t)
  const { url } = await startReview(t, content => (content.startsWith('hold') ? 'hold' : 'publish'))
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '2'], { env: { HOOK_URL: receiver.url, HOOK_SECRET: receiver.secret, REVIEW_URL: url } })
  const log = (id: string) => readFileSync(join(cluster.data, 'logs', `${id}.log`), 'utf8')

  await t.test('a held comment, what was decided, and a deletion', async t => {
    t.equal((await cluster.post('held', { content: 'hold me', authorId: 'ann' })).status, 202)
    const { heldId } = await until(() => receiver.events.find(({ type, content }) => type === 'held' && content === 'hold me'), PATIENT)
    t.equal((await cluster.registry('refuse', 'held', heldId!, '--reason', 'be kind', '--data', cluster.data)).status, 0)
    t.match(await until(() => receiver.events.find(({ type }) => type === 'refused'), PATIENT), { videoId: 'held', heldId, reason: 'be kind' })
    const { id } = await cluster.say('held', 'publish me')
    t.equal((await cluster.registry('delete', 'held', id, '--data', cluster.data)).status, 0)
    t.match(await until(() => receiver.events.find(({ type }) => type === 'deleted'), PATIENT), { videoId: 'held', target: id })
  })

  const posters = VIDEOS.map(videoId => new Poster(cluster, videoId))
  const acknowledged = () => posters.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0)
  await until(() => VIDEOS.every(videoId => receiver.seen(videoId).length > 3), PATIENT)
  await receiver.kill()
  await until(() => ['dispatcher-1', 'dispatcher-2'].some(id => log(id).includes('hook_failed')), PATIENT)
  const pid = cluster.kill('dispatcher-1')
  const before = acknowledged()
  await until(() => acknowledged() > before + 60, PATIENT)
  await receiver.run()
  await cluster.again('dispatcher-1', pid)
  await Promise.all(posters.map(poster => poster.stop()))

  for (const [i, videoId] of VIDEOS.entries()) {
    const stored = async () => (await cluster.history(videoId)).map(({ id }) => id)
    await until(async () => receiver.seen(videoId).length >= (await stored()).length, { ...PATIENT, what: `all of ${videoId} has come` })
    t.same(receiver.seen(videoId), await stored(), `${videoId}: all of it, each first in its place`)
    t.ok(posters[i]!.acknowledged.every(id => receiver.seen(videoId).includes(id)))
  }
  await until(() => ['dispatcher-1', 'dispatcher-2'].some(id => log(id).includes('hook_answers')), { ...PATIENT, what: 'the log says that it answers again' })
  t.notOk(receiver.statuses.includes(401), 'each signature was right')
  const forged = await fetch(receiver.url, { method: 'POST', headers: { 'webhook-id': 'x', 'webhook-timestamp': String(Math.floor(Date.now() / 1000)), 'webhook-signature': 'v1,AAAA' }, body: '{"events":[]}' })
  t.equal(forged.status, 401)
})
