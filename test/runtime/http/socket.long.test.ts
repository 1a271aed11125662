import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import t from 'tap'
import { WebSocket } from 'ws'
import { HttpServer } from '../../../runtime/http/server.js'

t.test('a socket without a message for its time is closed, whatever is sent on it, and one that speaks stays', async t => {
  const server = new HttpServer({ onBug: error => t.fail(String(error)) })
  t.after(() => server.close())
  let closes = 0
  server.socket('/talk', { maxMessageBytes: 100, maxUnsentBytes: 10_000, idleSeconds: 8 }, socket => {
    const timer = setInterval(() => socket.send(Buffer.from('x')), 500)
    return {
      message: () => {},
      drained: () => {},
      closed: () => {
        clearInterval(timer)
        closes++
      },
    }
  })
  const port = server.listen('127.0.0.1', 0)
  const [silent, speaks] = [1, 2].map(() => new WebSocket(`ws://127.0.0.1:${port}/talk`, { perMessageDeflate: false })) as [WebSocket, WebSocket]
  t.after(() => speaks.terminate())
  const timer = setInterval(() => speaks.readyState === WebSocket.OPEN && speaks.send(Buffer.from('y')), 1_000)
  t.after(() => clearInterval(timer))
  for (const ws of [silent, speaks]) ws.on('error', () => {})
  const began = performance.now()
  await once(silent, 'close')
  const tookMs = performance.now() - began
  t.ok(tookMs > 3_000 && tookMs < 16_000, `${tookMs} ms`)
  await new Promise(resolve => setTimeout(resolve, 10_000))
  t.same([closes, speaks.readyState], [1, WebSocket.OPEN])
})

t.test('a socket that is pinged stays while it answers, and is closed once it does not', async t => {
  const server = new HttpServer({ onBug: error => t.fail(String(error)) })
  t.after(() => server.close())
  server.route('GET', '/talk', exchange => {
    exchange.upgrade!('', () => ({ message: () => {}, drained: () => {}, closed: () => {} }))
    return undefined
  }, { maxMessageBytes: 100, maxUnsentBytes: 10_000, idleSeconds: 8, pings: true })
  const port = server.listen('127.0.0.1', 0)
  const [answers, mute] = [true, false].map(autoPong => new WebSocket(`ws://127.0.0.1:${port}/talk`, { perMessageDeflate: false, autoPong })) as [WebSocket, WebSocket]
  t.after(() => answers.terminate())
  mute.on('error', () => {})
  const began = performance.now()
  await once(mute, 'close')
  const tookMs = performance.now() - began
  t.ok(tookMs > 3_000 && tookMs < 20_000, `${tookMs} ms`)
  t.equal(answers.readyState, WebSocket.OPEN)
})
