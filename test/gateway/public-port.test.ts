import { connect } from 'node:net'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { Ports } from '../../cluster/ports.js'
import { gatewayConfig, shareConflicts } from '../../gateway/config.js'
import { PublicPort } from '../../gateway/public-port.js'
import { systemClock } from '../../runtime/clock.js'
import { json } from '../../runtime/http/reply.js'
import { HttpServer } from '../../runtime/http/server.js'
import { until } from '../support/until.js'

const HOST = '127.0.0.1'
const ports = new Ports()
const never = new Promise<void>(() => {})
/** A port that is not shared is opened all the same after 2 s, and these gateways are never ready. */
const PATIENCE_MS = 2_500

function gateway(t: Test, port: number, { shared = true, redirectPort }: { shared?: boolean; redirectPort?: number } = {}) {
  let asked = 0
  const serve = () => new HttpServer({ onBug: error => t.fail(String(error)) }).route('GET', '/', () => {
    asked++
    return json({})
  })
  const server = serve()
  const redirect = redirectPort === undefined ? undefined : serve()
  const metrics = new Registry()
  t.after(() => [server, redirect].forEach(each => each?.close()))
  return { publicPort: new PublicPort({ clock: systemClock, metrics, server, redirect, host: HOST, port, redirectPort, shared }), metrics, asked: () => asked }
}

/** Asks on a connection of its own. @returns the answer's status, or the error's code */
function ask(port: number): Promise<string> {
  return new Promise(resolve => {
    const socket = connect(port, HOST, () => socket.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'))
    socket.on('data', (data: Buffer) => resolve(data.toString().split(' ')[1]!))
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code!))
  })
}

/** All are answered. */
async function askOften(t: Test, port: number): Promise<void> {
  t.same([...new Set(await Promise.all(Array.from({ length: 40 }, () => ask(port))))], ['200'])
}

t.test('SHARE_PORT is for Linux, and for a port that is chosen', async t => {
  t.same(shareConflicts({ SHARE_PORT: 'true', PORT: '8080' }, 'linux'), [])
  t.match(shareConflicts({ SHARE_PORT: 'true' }, 'darwin'), [/^SHARE_PORT: .*only Linux/])
  t.match(shareConflicts({ SHARE_PORT: 'true', PORT: '0' }, 'linux'), [/^SHARE_PORT: .*PORT/])
  t.same(shareConflicts({ SHARE_PORT: 'false', PORT: '0' }, 'darwin'), [])
  t.equal(gatewayConfig([], {}).SHARE_PORT, false)
})

t.test('a port that is not shared opens when the gateway is ready, or after 2 s, and a drain leaves it open', async t => {
  const port = await ports.take(HOST)
  const { publicPort, metrics } = gateway(t, port, { shared: false })
  t.notMatch(await metrics.metrics(), 'live_tcp_migrate_req')
  t.match(publicPort.notReady(), 'not open')
  t.equal(await publicPort.open(() => false, never), port)
  t.equal(publicPort.notReady(), undefined)
  await publicPort.leave()
  t.equal(await ask(port), '200')
  publicPort.comeBack()
  await publicPort.close()
  t.equal(await ask(port), 'ECONNREFUSED')
})

t.test('a gateway that is to stop while it waits opens nothing', async t => {
  const port = await ports.take(HOST)
  const { publicPort } = gateway(t, port)
  await publicPort.open(() => false, Promise.resolve())
  t.equal(await ask(port), 'ECONNREFUSED')
})

t.test('gateways at one port', { skip: process.platform !== 'linux' && 'only Linux spreads connections' }, async t => {
  const [port, redirectPort] = [await ports.take(HOST), await ports.take(HOST)]
  const [first, second] = [gateway(t, port, { redirectPort }), gateway(t, port, { redirectPort })]
  t.equal(await first.publicPort.open(() => false, never), port, 'where nobody serves it, it opens without a registry')

  t.match(await first.metrics.metrics(), /^live_tcp_migrate_req [01]$/m)

  let isReady = false
  let isOpen = false
  const opening = second.publicPort.open(() => isReady, never).then(() => (isOpen = true))
  await new Promise(resolve => setTimeout(resolve, PATIENCE_MS))
  t.notOk(isOpen, 'one that is not ready leaves it to the other')
  await askOften(t, port)
  t.equal(second.asked(), 0)
  isReady = true
  await opening
  await until(async () => (await ask(port)) === '200' && second.asked() > 0 && first.asked() > 40, { what: 'both are asked' })

  await Promise.all([second.publicPort.leave(), askOften(t, port)])
  const before = second.asked()
  for (const each of [port, redirectPort]) await askOften(t, each)
  t.equal(second.asked(), before, 'one that drains is asked no more, at neither port')
  await first.publicPort.leave()
  await askOften(t, port)
  t.equal(second.asked(), before, 'the last one stays')

  second.publicPort.comeBack()
  await until(async () => (await ask(port)) === '200' && second.asked() > before, { what: 'it is asked again' })
  const left = first.publicPort.leave()
  first.publicPort.comeBack()
  await left
  const asked = first.asked()
  await until(async () => (await ask(port)) === '200' && first.asked() > asked, { what: 'one whose drain is called off at once is asked' })

  await Promise.all([first.publicPort.close(), askOften(t, port)])
  await askOften(t, port)
})
