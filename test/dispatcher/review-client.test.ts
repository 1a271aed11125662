import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { ReviewClient } from '../../dispatcher/review-client.js'

/** A client of a server that answers so. */
async function setUp(t: Test, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = new ReviewClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}/review?for=demo`)
  t.after(async () => {
    await client.close()
    server.closeAllConnections()
    server.close()
  })
  return client
}

t.test('it sends JSON to the path and query of the URL, and reads a 200 alone', async t => {
  const asked: unknown[] = []
  let status = 200
  const client = await setUp(t, (request, response) => {
    asked.push([request.method, request.url, request.headers['content-type']])
    response.writeHead(status, { location: '/other' }).end('said')
  })
  t.equal(await client.ask('{}', 5_000), 'said')
  t.same(asked, [['POST', '/review?for=demo', 'application/json']])
  for (status of [204, 302, 404, 500]) await t.rejects(client.ask('{}', 5_000), { message: `it answered ${status}` })
  t.equal(asked.length, 5, 'no redirect is followed, and no refusal is asked again')
})

t.test('a connection that breaks is made once more, and no oftener', async t => {
  let breaks = 1
  let calls = 0
  const client = await setUp(t, (_, response) => {
    calls++
    if (breaks-- > 0) response.destroy()
    else response.end('said')
  })
  t.equal(await client.ask('{}', 5_000), 'said')
  breaks = 9
  calls = 0
  await t.rejects(client.ask('{}', 5_000), { message: /^no answer: / })
  t.equal(calls, 2)
})

t.test('what hangs, drips or is too large is no answer', async t => {
  let answer = (_: ServerResponse): void => {}
  const client = await setUp(t, (_, response) => answer(response))
  await t.rejects(client.ask('{}', 50), { message: 'no answer within 50 ms' })
  answer = response => void response.write('{')
  await t.rejects(client.ask('{}', 50), { message: 'no answer within 50 ms' })
  answer = response => void response.end(' '.repeat(1 << 20))
  await t.rejects(client.ask('{}', 5_000), { message: /^no answer: / })
})
