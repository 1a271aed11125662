import { Ports } from '../../cluster/ports.js'
import { Child, nodeServer } from './child.js'
import { versionOf } from './installed.js'
import { publishTarget, sseTarget } from './publish.js'
import type { RunningSystem } from './system.js'

const GET_IT = 'apt-get install redis-server (its service need not run)'

/** Redis pub/sub behind an SSE server on node:http. */
export async function startRedis(): Promise<RunningSystem> {
  const version = versionOf('redis-server', ['--version'], /v=(\S+)/, GET_IT)
  const ports = new Ports()
  const redisPort = await ports.take('127.0.0.1')
  const port = await ports.take('127.0.0.1')
  // No snapshots, no log of writes: pub/sub keeps nothing, and the default would only cost it.
  const redis = new Child('redis-server', ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'])
  await redis.listening(redisPort)
  const server = nodeServer('redis-sse-server', [port, redisPort])
  await server.listening(port, () => redis.stop())
  return {
    name: 'Redis + node:http',
    about: `Redis ${version} pub/sub without persistence, node:http ${process.version}`,
    streams: [sseTarget(port, '/stream')],
    posts: [publishTarget(port)],
    stampsAccepted: false,
    processes: () => [
      { name: 'node', pid: server.pid, delivers: true },
      { name: 'redis', pid: redis.pid, delivers: false },
    ],
    async [Symbol.asyncDispose]() {
      await server.stop()
      await redis.stop()
    },
  }
}
