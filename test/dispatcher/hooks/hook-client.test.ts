import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { HookClient } from '../../../dispatcher/hooks/hook-client.js'

/** A client of a server that answers so. */
async function setUp(t: Test, answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = new HookClient(`http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?for=demo`)
  t.after(async () => {
    await client.close()
    server.closeAllConnections()
    server.close()
  })
  return client
}

t.test('it posts JSON with its headers to the path and query of the URL, and follows no redirect', async t => {
  const asked: unknown[] = []
  let status = 200
  const client = await setUp(t, (request, response) => {
    void text(request).then(body => asked.push([request.method, request.url, request.headers['content-type'], request.headers['webhook-id'], body]))
    response.writeHead(status, { location: '/other' }).end('thanks')
  })
  t.equal(await client.post('{}', { 'webhook-id': 'msg_1' }, 5_000), 200)
  t.same(asked, [['POST', '/hook?for=demo', 'application/json', 'msg_1', '{}']])
  for (status of [204, 302, 410, 500]) t.equal(await client.post('{}', {}, 5_000), status)
  t.equal(asked.length, 5)
})

t.test('an answer that is too long, or never ends, is one all the same: its status says all', async t => {
  let body: string | undefined = ' '.repeat(1 << 20)
  const client = await setUp(t, (_, response) => {
    response.writeHead(200)
    if (body === undefined) response.write('and')
    else response.end(body)
  })
  t.equal(await client.post('{}', {}, 5_000), 200)
  body = undefined
  t.equal(await client.post('{}', {}, 300), 200)
})

t.test('no answer is an error in words, and a connection that breaks is made once more', async t => {
  let calls = 0
  let breaks = 1
  const client = await setUp(t, (_, response) => {
    calls++
    if (breaks-- > 0) response.destroy()
    else if (calls > 2 && breaks < -1) return
    else response.end()
  })
  t.equal(await client.post('{}', {}, 5_000), 200)
  breaks = 2
  await t.rejects(client.post('{}', {}, 5_000), { message: /^no answer: / })
  t.equal(calls, 4)
  breaks = -1
  await t.rejects(client.post('{}', {}, 100), { message: 'no answer within 100 ms' })
})
