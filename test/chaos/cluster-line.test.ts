import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { until } from '../support/until.js'
import { ClusterLine } from './cluster-line.js'

/** A line to a gateway of west, and how many calls have come to it. */
async function stage(t: Test) {
  let came = 0
  const server = createServer((_, response) => {
    came++
    response.end('hello')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const line = await ClusterLine.open(['west', 'east'], 1)
  t.after(async () => {
    await line.close()
    server.close()
  })
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  line.update('west', { zookeeper: [], dispatchers: [], edges: [], gateways: [{ id: 'gateway-1', pid: 1, url, internalUrl: url }] })
  const { PEERS } = line.env('east')
  /** `hello`, or why there is no answer. */
  const call = (timeoutMs = 20_000) =>
    fetch(PEERS!.replace('west=', ''), { signal: AbortSignal.timeout(timeoutMs) }).then(
      response => response.text(),
      (error: Error) => (error.cause as { code?: string } | undefined)?.code ?? error.name,
    )
  t.equal(await call(), 'hello')
  return { line, call, came: () => came }
}

t.test('a line that is cut refuses, both ways or for one cluster alone, until it heals', async t => {
  const { line, call } = await stage(t)
  const heal = line.trouble('cut', undefined)
  t.match(await call(), /^(ECONNREFUSED|UND_ERR_SOCKET|ECONNRESET)$/)
  t.equal(await call(), 'ECONNREFUSED')
  heal()
  await until(async () => (await call()) === 'hello')
  line.trouble('cut', 'east')
  t.equal(await call(), 'hello', 'calls to west go on')
})

t.test('a line that is silent holds back what is sent, and loses nothing', async t => {
  const { line, call, came } = await stage(t)
  const heal = line.trouble('silent', 'west')
  t.equal(await call(200), 'TimeoutError')
  const waiting = call()
  t.equal(came(), 1)
  heal()
  t.equal(await waiting, 'hello')
})

t.test('by a line that is half-open calls come, and answers never do', async t => {
  const { line, call, came } = await stage(t)
  const heal = line.trouble('half-open', 'west')
  const waiting = call()
  await until(() => came() === 2)
  t.equal(await call(200), 'TimeoutError')
  heal()
  t.match(await waiting, /^(UND_ERR_SOCKET|ECONNRESET)$/, 'whose connection breaks when it heals')
  t.equal(await call(), 'hello')
})
