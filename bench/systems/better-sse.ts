import { Ports } from '../../cluster/ports.js'
import { nodeServer } from './child.js'
import { publishTarget, sseTarget } from './publish.js'
import type { RunningSystem } from './system.js'

/** better-sse's channel, on node:http. */
export async function startBetterSse(): Promise<RunningSystem> {
  const port = await new Ports().take('127.0.0.1')
  const server = nodeServer('better-sse-server', [port])
  await server.listening(port)
  return {
    name: 'better-sse',
    about: `a channel's broadcast, defaults, node:http ${process.version}`,
    streams: [sseTarget(port, '/stream')],
    posts: [publishTarget(port)],
    stampsAccepted: false,
    processes: () => [{ name: 'node', pid: server.pid, delivers: true }],
    [Symbol.asyncDispose]: () => server.stop(),
  }
}
