import { connect, type Socket } from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
import { COUNTS, type AttackWorkerData, type Count } from './attackers.js'
import { masked } from './socket-io-frames.js'
import { socketRequest } from './target.js'

/** A thread that holds and floods one port with connections, as somebody would who means harm. See Attackers. */

const OPENING_MS = 10
/** Opened in each turn, of each kind: as fast as the server's backlog takes them. */
const OPENED_EACH_TURN = 50
/** Before a reader or a joiner comes again: a server that refuses everything must not cost this thread all of its time. */
const AGAIN_MS = 5
const READY = 'event: ready'
/** A shouter sends this many posts each so often, as long as the server takes them. */
const SHOUT = { posts: 20, everyMs: 100 }
const SHOUTED = Buffer.concat(Array.from({ length: SHOUT.posts }, (_, i) => masked(JSON.stringify({ post: { authorId: 'mallory', content: `shouted, and ${i}` } }))))

const { host, port, sources, floodSource, silentSources, readSources, shoutSources, proxySource, proxied, headers, bodies, deaf, silent, readers, resumers, joiners, shouters, floodRate, videos, history, memory } = workerData as AttackWorkerData
type Held = 'headers' | 'bodies' | 'deaf' | 'silent'
const counts = new Int32Array(memory)
const dripping = new Set<Socket>()
/** Of each kind, those that are open or being opened. */
const wanted: Record<Held, { readonly most: number; open: number }> = { headers: { most: headers, open: 0 }, bodies: { most: bodies, open: 0 }, deaf: { most: deaf, open: 0 }, silent: { most: silent, open: 0 } }
let next = 0
let owed = 0
let turnedAt = performance.now()

const opening = setInterval(() => {
  for (const kind of ['headers', 'bodies', 'deaf', 'silent'] as const) {
    const each = wanted[kind]
    for (let i = 0; i < OPENED_EACH_TURN && each.open < each.most; i++) hold(kind)
  }
  // By the clock: a turn of a busy thread comes late.
  const now = performance.now()
  for (owed += (floodRate * (now - turnedAt)) / 1000; owed >= 1; owed--) open(floodSource, 'flood')
  turnedAt = now
}, OPENING_MS)

for (let i = 0; i < readers; i++) read(readSources[i % readSources.length]!)
for (let i = 0; i < resumers; i++) join(readSources[i % readSources.length]!, `/comments/${history}?lastEventId=1`)
for (let i = 0; i < joiners; i++) join(proxySource, `/comments/elsewhere-${i}`, `x-forwarded-for: ${proxied}\r\n`)
for (let i = 0; i < shouters; i++) shout(shoutSources[i % shoutSources.length]!)

const drips = setInterval(() => {
  for (const socket of dripping) socket.write('a')
}, 1_000)

parentPort!.once('message', () => {
  clearInterval(opening)
  clearInterval(drips)
  setImmediate(() => process.exit())
})

function hold(kind: Held): void {
  const video = `bench-${next % videos}`
  const each = wanted[kind]
  each.open++
  const from = kind === 'silent' ? silentSources : sources
  const socket = open(from[next++ % from.length]!, kind, () => each.open--)
  if (kind === 'silent') return
  if (kind === 'deaf') {
    socket.pause()
    socket.write(`GET /comments/${video} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n`)
    return
  }
  socket.write(kind === 'headers' ? `GET /comments/${video} HTTP/1.1\r\nhost: x\r\nx-slow: ` : `POST /comments/${video} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{"content":"`)
  dripping.add(socket)
  socket.once('close', () => dripping.delete(socket))
}

/** Asks for pages, one after the other, and connects again where the server has closed. */
function read(source: string): void {
  const socket = open(source, undefined, () => setTimeout(read, AGAIN_MS, source))
  const ask = () => socket.write(`GET /comments/${history}?pageSize=200 HTTP/1.1\r\nhost: x\r\n\r\n`)
  let head = ''
  let left: number | undefined
  socket.once('connect', ask)
  socket.on('data', (chunk: Buffer) => {
    if (left === undefined) {
      head += chunk.toString('latin1')
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      left = Number(/content-length: ([0-9]+)/i.exec(head)?.[1] ?? 0) - (head.length - end - 4)
      add(head.startsWith('HTTP/1.1 200') ? 'pages' : 'pagesRefused', 1)
      head = ''
    } else left -= chunk.length
    if (left > 0) return
    left = undefined
    ask()
  })
}

/** Joins, and again once it has all of its replay, or was told to come back. */
function join(source: string, path: string, headers = ''): void {
  const socket = open(source, undefined, () => setTimeout(join, AGAIN_MS, source, path, headers))
  let tail = ''
  socket.once('connect', () => socket.write(`GET ${path} HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n${headers}\r\n`))
  socket.on('end', () => socket.destroy())
  socket.on('data', (chunk: Buffer) => {
    const text = tail + chunk.toString('latin1')
    tail = text.slice(-READY.length)
    if (!text.includes(READY)) return
    add('joins', 1)
    socket.destroy()
  })
}

/** Posts by a WebSocket without waiting for answers, and connects again where the server has closed. */
function shout(source: string): void {
  let sending: NodeJS.Timeout | undefined
  const socket = open(source, undefined, () => {
    clearInterval(sending)
    setTimeout(shout, AGAIN_MS, source)
  })
  socket.once('connect', () => socket.write(socketRequest('/comments/shouted')))
  socket.on('end', () => socket.destroy())
  socket.once('data', () => {
    sending = setInterval(() => {
      if (socket.writableNeedDrain) return
      socket.write(SHOUTED)
      add('messages', SHOUT.posts)
    }, SHOUT.everyMs)
  })
}

/** @param kind undefined: it is not counted while it is open */
function open(localAddress: string, kind: Held | 'flood' | undefined, left?: () => void): Socket {
  const socket = connect({ host, port, localAddress })
  let connected = false
  if (kind !== 'deaf') socket.resume()
  socket.on('error', () => {})
  socket.once('connect', () => {
    connected = true
    if (kind) add(kind, 1)
    add('opened', 1)
  })
  socket.once('close', () => {
    left?.()
    if (!connected) return
    if (kind) add(kind, -1)
    add('closed', 1)
  })
  return socket
}

function add(count: Count, amount: number): void {
  Atomics.add(counts, COUNTS.indexOf(count), amount)
}
