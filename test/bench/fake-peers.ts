/** Programs that stand for peers: they refuse what those would refuse, and deliver every comment. */

/** Takes `protocol_version_compatibility` with this value alone: COMPATIBILITY, '' for a version that does not know the word. */
export const FAKE_MERCURE = `
import { createServer } from 'node:http'
import { readFileSync } from 'node:fs'
const argv = process.argv.slice(2)
if (argv[0] === 'version') {
  console.log('v2.11.4 h1:x=')
  process.exit(0)
}
const config = readFileSync(argv[argv.indexOf('--config') + 1], 'utf8')
const asked = /^ *protocol_version_compatibility (\\S+)$/m.exec(config)?.[1] ?? ''
if (asked !== 'COMPATIBILITY' || !/^ *transport local$/m.test(config)) {
  console.error('mercure: provision: unrecognized or missing protocol_version_compatibility')
  process.exit(1)
}
if (argv[0] === 'validate') process.exit(0)
const viewers = new Set()
createServer((req, res) => {
  if (req.method === 'GET') {
    viewers.add(res.writeHead(200, { 'content-type': 'text/event-stream' }))
    res.write(':\\n\\n')
    return
  }
  let body = ''
  req.setEncoding('utf8').on('data', text => (body += text))
  req.once('end', () => {
    for (const viewer of viewers) viewer.write('data: ' + new URLSearchParams(body).get('data') + '\\n\\n')
    res.writeHead(200).end('urn:uuid:1')
  })
}).listen(Number(/127\\.0\\.0\\.1:(\\d+)/.exec(config)[1]), '127.0.0.1')
`

/** Finds its logic by discovery, asks it about each viewer, and broadcasts to the room that it was told. */
export const FAKE_COMET = `
import { connect, createServer as createHttp2Server } from 'node:http2'
import { createServer } from 'node:net'
import { readFileSync } from 'node:fs'
const argv = process.argv.slice(2)
if (argv[0] === '-help') process.exit(2)
const config = readFileSync(argv[argv.indexOf('-conf') + 1], 'utf8')
const [discovery, rpc, tcp] = [/nodes = \\["(.*)"\\]/, /addr = "127\\.0\\.0\\.1:(\\d+)"/, /bind = \\["127\\.0\\.0\\.1:(\\d+)"\\]/].map(pattern => pattern.exec(config)[1])
const post = path => fetch('http://' + discovery + path, { method: 'POST', body: new URLSearchParams({ appid: 'goim.comet' }) }).then(answer => answer.json())
const polled = await (await fetch('http://' + discovery + '/discovery/polls?appid=infra.discovery&appid=goim.logic&latest_timestamp=0&latest_timestamp=0')).json()
if (polled.code !== 0 || polled.data['goim.logic'].latest_timestamp === 0 || (await post('/discovery/register')).code !== 0) process.exit(1)
const [address] = polled.data['goim.logic'].instances[argv[argv.indexOf('-zone') + 1]][0].addrs
const logic = connect(address.replace('grpc:', 'http:'))

/** Fields of a protocol buffer, by number. */
function fields(bytes) {
  const found = {}
  let at = 0
  const varint = () => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[at++]
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = Number(varint())
    if ((tag & 7) === 0) found[tag >> 3] = varint()
    else {
      const size = Number(varint())
      found[tag >> 3] = bytes.subarray(at, (at += size))
    }
  }
  return found
}
const message = chunks => {
  const bytes = Buffer.concat(chunks)
  if (bytes[0] !== 0 || bytes.readUInt32BE(1) !== bytes.length - 5) throw new Error('no gRPC message')
  return fields(bytes.subarray(5))
}
const rooms = new Map()
const rpcServer = createHttp2Server()
rpcServer.on('stream', (stream, headers) => {
  const chunks = []
  stream.on('data', chunk => chunks.push(chunk))
  stream.once('end', () => {
    if (headers[':path'] !== '/goim.comet.Comet/BroadcastRoom' || headers['content-type'] !== 'application/grpc') return stream.close()
    const { 1: room, 2: proto } = message(chunks)
    const { 2: operation, 4: body } = fields(proto)
    if (operation === 9n) for (const socket of rooms.get(String(room)) ?? []) socket.write(body)
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(Buffer.alloc(5))
  })
})
rpcServer.listen(Number(rpc), '127.0.0.1')
createServer(socket => {
  socket.on('error', () => {})
  socket.once('data', auth => {
    if (auth.readUInt32BE(0) !== auth.length || auth.readUInt32BE(8) !== 7) return socket.destroy()
    const call = logic.request({ ':method': 'POST', ':path': '/goim.logic.Logic/Connect', 'content-type': 'application/grpc', te: 'trailers' })
    const chunks = []
    call.on('data', chunk => chunks.push(chunk))
    call.once('trailers', trailers => {
      const { 2: key, 3: room, 4: accepts } = message(chunks)
      if (trailers['grpc-status'] !== '0' || key.length === 0 || accepts !== 1000n) return socket.destroy()
      rooms.set(String(room), [...(rooms.get(String(room)) ?? []), socket])
      const reply = Buffer.alloc(16)
      reply.writeUInt32BE(16, 0)
      reply.writeUInt16BE(16, 4)
      reply.writeUInt32BE(8, 8)
      socket.write(reply)
    })
    call.end(Buffer.alloc(5))
  })
}).listen(Number(tcp), '127.0.0.1')
`
