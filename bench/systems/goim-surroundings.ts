import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect, createServer as createHttp2Server, type ClientHttp2Session } from 'node:http2'
import { commentPacket } from '../load/goim-packets.js'

/** What goim's comet needs around it: a discovery that names its logic, a logic that lets everybody into one room, and a job that
 * gathers what is posted and has comet broadcast it. The first speaks HTTP, the other two gRPC: a message after five bytes, of which
 * four are its length. */

const [port = 0, logicPort = 0, cometPort = 0, gatherMs = 0, gatherPosts = Infinity] = process.argv.slice(2).map(Number)
const ROOM = 'bench://1'
/** Long enough that nobody has to say that he is there, ns. */
const HEARTBEAT_NS = 3_600_000_000_000n
const RAW = 9
const NOT_MODIFIED = { code: -304, message: '' }
const POLL_MS = 25_000

/** Protocol buffers, as far as these messages need them. */
const varint = (value: bigint): number[] => (value < 0x80n ? [Number(value)] : [Number(value & 0x7fn) | 0x80, ...varint(value >> 7n)])
const number = (field: number, value: bigint) => Buffer.from([field << 3, ...varint(value)])
const bytes = (field: number, value: Buffer) => Buffer.concat([Buffer.from([(field << 3) | 2, ...varint(BigInt(value.length))]), value])
const framed = (message: Buffer) => Buffer.concat([Buffer.from([0]), Buffer.from(Uint32Array.of(message.length).buffer).reverse(), message])

let viewers = 0n
const logic = createHttp2Server()
logic.on('stream', (stream, headers) => {
  stream.resume()
  stream.on('error', () => {})
  stream.once('end', () => {
    const isConnect = headers[':path'] === '/goim.logic.Logic/Connect'
    const key = `viewer-${++viewers}`
    const reply = isConnect ? Buffer.concat([number(1, viewers), bytes(2, Buffer.from(key)), bytes(3, Buffer.from(ROOM)), number(4, 1000n), number(5, HEARTBEAT_NS)]) : Buffer.alloc(0)
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(framed(reply))
  })
})

let comet: ClientHttp2Session | undefined
let gathered: Buffer[] = []
let timer: NodeJS.Timeout | undefined

function take(json: string): void {
  gathered.push(commentPacket(json))
  if (gathered.length >= gatherPosts) broadcast()
  else timer ??= setTimeout(broadcast, gatherMs)
}

function broadcast(): void {
  clearTimeout(timer)
  timer = undefined
  const proto = Buffer.concat([number(1, 1n), number(2, BigInt(RAW)), bytes(4, Buffer.concat(gathered))])
  gathered = []
  if (!comet || comet.closed || comet.destroyed) comet = connect(`http://127.0.0.1:${cometPort}`).on('error', () => {})
  const call = comet.request({ ':method': 'POST', ':path': '/goim.comet.Comet/BroadcastRoom', 'content-type': 'application/grpc', te: 'trailers' })
  call.on('error', () => {}) // what it does not take is missing in the result
  call.resume()
  call.end(framed(Buffer.concat([bytes(1, Buffer.from(ROOM)), bytes(2, proto)])))
}

const instance = (appid: string, address: string) => ({ instances: { bench: [{ region: 'bench', zone: 'bench', env: 'bench', hostname: appid, appid, addrs: [address], metadata: {}, status: 1 }] }, latest_timestamp: 1 })
const known = { 'infra.discovery': instance('infra.discovery', `http://127.0.0.1:${port}`), 'goim.logic': instance('goim.logic', `grpc://127.0.0.1:${logicPort}`) }

function discover({ url = '' }: IncomingMessage, res: ServerResponse): void {
  const answer = (value: unknown) => res.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value))
  if (!url.startsWith('/discovery/polls')) return void answer({ code: 0, message: '' })
  const isNews = new URL(url, 'http://x').searchParams.getAll('latest_timestamp').includes('0')
  if (isNews) answer({ code: 0, data: known })
  else setTimeout(answer, POLL_MS, NOT_MODIFIED)
}

const server = createServer((req, res) => {
  let body = ''
  req.setEncoding('utf8').on('data', (text: string) => (body += text))
  req.once('end', () => {
    if (req.url !== '/publish') return discover(req, res)
    take(body)
    res.writeHead(202).end()
  })
})
logic.listen(logicPort, '127.0.0.1')
server.listen(port, '127.0.0.1', 4096)
