import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { startCluster, type Cluster } from '../support/cluster.js'
import { PROGRAM } from '../support/program.js'
import { until } from '../support/until.js'
import { watchReady } from '../support/viewer.js'

/** A part of the cluster besides, that may have 300 descriptors. */
async function poorPart(t: Test, cluster: Cluster, role: 'gateway' | 'edge') {
  const child = spawn('sh', ['-c', 'ulimit -n 300 && exec "$0" "$@"', 'env', ...PROGRAM, role], {
    env: { ...process.env, NODE_ID: `poor-${role}`, PORT: '0', INTERNAL_PORT: '0', ...cluster.zookeeperEnv, INTERNAL_TOKEN: readFileSync(join(cluster.data, 'internal-token'), 'utf8').trim() },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.on('data', chunk => (output += String(chunk)))
  const url = await until(() => /"publicUrl":"([^"]+)"/.exec(output)?.[1], { what: `the ${role} listens` })
  const internal = /"internalUrl":"([^"]+)"/.exec(output)![1]!
  await until(async () => (await fetch(`${internal}/readyz`)).ok, { what: `the ${role} is ready` })
  return { url, port: Number(new URL(url).port), output: () => output, descriptors: () => readdirSync(`/proc/${child.pid}/fd`).length }
}

/** Connections that say nothing, always 400 of them wanted: who is refused comes again. */
function flood(t: Test, port: number) {
  const sockets = new Set<Socket>()
  let refused = 0
  const open = () => {
    const socket = connect(port, '127.0.0.1')
    sockets.add(socket)
    socket.resume()
    socket.on('error', () => {})
    socket.on('close', () => {
      refused++
      sockets.delete(socket)
    })
  }
  const timer = setInterval(() => {
    for (let i = 0; i < 20 && sockets.size < 400; i++) open()
  }, 10)
  const stop = () => {
    clearInterval(timer)
    for (const socket of sockets) socket.destroy()
  }
  t.after(stop)
  return { stop, refused: () => refused }
}

/** A post on a connection of its own that stays open. @returns its status */
function poster(t: Test, port: number): () => Promise<string> {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  const body = '{"content":"through the flood"}'
  return async () => {
    const answered = new Promise<string>((resolve, reject) => {
      socket.once('data', chunk => resolve(chunk.toString().slice(9, 12)))
      socket.once('close', () => reject(new Error('closed')))
    })
    socket.write(`POST /comments/demo HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    return answered
  }
}

/** A WebSocket that its client closes, while it keeps the connection. */
function closedAndHeld(t: Test, port: number) {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
  t.teardown(() => socket.destroy())
  let text = ''
  let ended = false
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    if (text.includes('\r\n\r\n')) socket.write(Buffer.from([0x88, 0x80, 0, 0, 0, 0])) // close, without a reason
  })
  socket.on('end', () => (ended = true)).on('close', () => (ended = true))
  socket.write('GET /comments/demo HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n')
  return { isOver: () => ended, isHeld: () => text.startsWith('HTTP/1.1 101') && !socket.destroyed, letGo: () => void socket.destroy() }
}

t.test('a flood of connections takes neither viewers nor ZooKeeper from a part with few descriptors', async t => {
  const cluster = await startCluster(t, ['--edges', '1', '--dispatchers', '1'])

  await t.test('a gateway', async t => {
    const gateway = await poorPart(t, cluster, 'gateway')
    const viewers = await Promise.all(Array.from({ length: 20 }, () => watchReady(t, `${gateway.url}/comments/demo`)))
    const post = poster(t, gateway.port)
    t.equal(await post(), '201')
    const attack = flood(t, gateway.port)
    let most = 0
    await until(() => {
      most = Math.max(most, gateway.descriptors())
      return attack.refused() > 1_000
    }, { timeoutMs: 30_000, what: 'the flood is refused' })
    t.ok(most < 220, `${most} descriptors of 300`)
    t.equal(await post(), '201', 'it still reaches a dispatcher')
    const { id } = await cluster.say('demo', 'to all')
    for (const viewer of viewers) await viewer.waitFor(event => event.id === id)
    t.notOk(viewers.some(({ isClosed }) => isClosed))
    await until(() => /"silent_connections":\d+,"event":"refused"/.test(gateway.output()), { what: 'a line in its log' })
    t.notMatch(gateway.output(), /zookeeper_lost|EMFILE/)
    t.ok(gateway.output().split('"event":"refused"').length < 35, 'a line a second')
    attack.stop()
    await until(async () => fetch(`${gateway.url}/healthz`).then(({ ok }) => ok, () => false), { what: 'it takes connections again' })

    // The library holds a WebSocket's descriptor for as long as its client does, or 20 s.
    const held = Array.from({ length: 400 }, () => closedAndHeld(t, gateway.port))
    await until(() => held.every(({ isOver }) => isOver()), { timeoutMs: 30_000, what: 'each is refused, or closed by a handshake and held' })
    t.ok(held.some(({ isHeld }) => isHeld()))
    t.ok(gateway.descriptors() < 290, `${gateway.descriptors()} descriptors of 300`)
    t.notMatch(gateway.output(), /zookeeper_lost|EMFILE/)
    for (const { letGo } of held) letGo()
    await until(async () => fetch(`${gateway.url}/healthz`).then(({ ok }) => ok, () => false), { what: 'it takes connections again' })
  })

  await t.test('an edge', async t => {
    const edge = await poorPart(t, cluster, 'edge')
    const viewers = await Promise.all(Array.from({ length: 20 }, () => watchReady(t, `${edge.url}/comments/demo`)))
    const attack = flood(t, edge.port)
    let most = 0
    await until(() => {
      most = Math.max(most, edge.descriptors())
      return attack.refused() > 1_000
    }, { timeoutMs: 30_000, what: 'the flood is refused' })
    t.ok(most < 220, `${most} descriptors of 300`)
    const { id } = await cluster.say('demo', 'to all')
    for (const viewer of viewers) await viewer.waitFor(event => event.id === id)
    t.notOk(viewers.some(({ isClosed }) => isClosed))
    const { stdout } = await cluster.registry('edges', '--json')
    t.match(stdout, 'poor-edge', 'it is still announced')
    t.notMatch(edge.output(), /zookeeper_lost|EMFILE/)
  })
})
