import { Ports } from '../../cluster/ports.js'
import { head } from '../load/target.js'
import { nodeServer } from './child.js'
import { publishTarget } from './publish.js'
import type { RunningSystem } from './system.js'

/** Any 16 bytes will do (RFC 6455, section 4.1): nobody caches us. */
const WEBSOCKET_KEY = 'AAAAAAAAAAAAAAAAAAAAAA=='

/** Socket.IO over WebSocket from the start, which spares it the long-polling that its clients begin with. */
export async function startSocketIo(): Promise<RunningSystem> {
  const port = await new Ports().take('127.0.0.1')
  const server = nodeServer('socket-io-server', [port])
  await server.listening(port)
  const upgrade = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': WEBSOCKET_KEY }
  return {
    name: 'Socket.IO',
    about: `io.emit over WebSocket, defaults, node:http ${process.version}`,
    streams: [{ host: '127.0.0.1', port, request: head('GET /socket.io/?EIO=4&transport=websocket', upgrade), protocol: 'socket.io', ready: '40{' }],
    posts: [publishTarget(port)],
    stampsAccepted: false,
    processes: () => [{ name: 'node', pid: server.pid, delivers: true }],
    [Symbol.asyncDispose]: () => server.stop(),
  }
}
