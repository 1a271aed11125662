import type { ServerResponse } from 'node:http'
import t from 'tap'
import { startCluster } from '../support/cluster.js'
import { startReview } from '../support/review-service.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

t.setTimeout(120_000)

const TIMEOUT_MS = 400

t.test('a cluster whose comments are reviewed', async t => {
  const { review, url } = await startReview(t, content => content.split(' ')[0]!)
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '2'], { env: { REVIEW_URL: url, REVIEW_TIMEOUT_MS: String(TIMEOUT_MS), REVIEW_FAILURE: 'hold' } })
  const viewer = await watchReady(t, cluster.stream('demo'))
  const post = async (content: string, key: string) => {
    const response = await cluster.post('demo', { content, authorId: 'ann' }, { 'idempotency-key': key })
    const body = (await response.json()) as { id?: string; held?: boolean; idempotencyKey?: string; error?: { code: string; message: string } }
    return { status: response.status, ...body }
  }
  const seen = (content: string) => viewer.events.filter(({ data }) => data.includes(content)).length
  const command = async (...args: string[]) => {
    const { status, stdout } = await cluster.registry(...args, '--data', cluster.data, '--json')
    return { status, answer: JSON.parse(stdout || '{}') as { held?: { id: string; content: string }[]; id?: string } }
  }
  const heldId = async (content: string) => (await command('held', 'demo')).answer.held!.find(each => each.content === content)!.id

  await t.test('publish, hold and refuse', async t => {
    t.match(await post('publish me', 'k1'), { status: 201 })
    await until(() => seen('publish me') === 1)
    t.match(await post('refuse me', 'k2'), { status: 422, error: { code: 'REVIEW_REFUSED', message: 'no advertising' } })
    t.match(await post('hold me', 'k3'), { status: 202, held: true, idempotencyKey: 'k3' })
    t.match(review.asked[0], { videoId: 'demo', authorId: 'ann', content: 'publish me', signedIn: false })
    t.notMatch(JSON.stringify(review.asked), /k[123]/, 'no key leaves')
    const { comments } = await cluster.page('demo')
    t.same(comments.map(({ content }) => content), ['publish me'])
  })

  await t.test('an operator approves one, and refuses another: streams and retries show it', async t => {
    t.match(await post('hold me', 'k3'), { status: 202 }, 'a retry')
    const { answer } = await command('approve', 'demo', await heldId('hold me'))
    await viewer.waitFor(({ id, data }) => id === answer.id && data.includes('hold me'), { timeoutMs: 5_000 })
    t.match(await post('hold me', 'k3'), { status: 201, id: answer.id })
    t.match(await post('hold me too', 'k4'), { status: 202 })
    t.equal((await command('refuse', 'demo', await heldId('hold me too'), '--reason', 'be kind')).status, 0)
    t.match(await post('hold me too', 'k4'), { status: 422, error: { code: 'REVIEW_REFUSED', message: 'be kind' } })
    t.same((await command('held', 'demo')).answer.held, [])
    t.equal((await command('approve', 'demo', '0'.repeat(32))).status, 1)
  })

  await t.test('a review that hangs, answers nonsense, redirects or is gone holds what it is asked of, and no post waits for it', async t => {
    const faults: Record<string, (response: ServerResponse) => void> = {
      hangs: () => {},
      'is slow': response => void setTimeout(() => response.end('{"verdicts":[{"verdict":"publish"}]}'), 2 * TIMEOUT_MS),
      drips: response => void response.write('{"verdicts":['),
      nonsense: response => void response.end('<html>'),
      'too few': response => void response.end('{"verdicts":[]}'),
      'too large': response => void response.end(' '.repeat(1 << 20)),
      fails: response => void response.writeHead(500).end('{"verdicts":[{"verdict":"publish"}]}'),
      redirects: response => void response.writeHead(302, { location: url }).end(),
      breaks: response => void response.destroy(),
    }
    for (const [name, instead] of Object.entries(faults)) {
      review.instead = instead
      const since = performance.now()
      t.match(await post(`publish: ${name}`, name.replace(' ', '-')), { status: 202 }, name)
      t.ok(performance.now() - since < 4_000, `${name}: it is answered in time`)
    }
    review.close()
    t.match(await post('publish: gone', 'gone'), { status: 202 })
    t.equal((await command('held', 'demo')).answer.held!.length, Object.keys(faults).length + 1)
    t.equal(viewer.events.filter(({ data }) => data.includes('publish: ')).length, 0)
    const { answer } = await command('approve', 'demo', await heldId('publish: gone'))
    t.match(await post('publish: gone', 'gone'), { status: 201, id: answer.id }, 'approved meanwhile')
  })
})
