import { Ports } from '../../cluster/ports.js'
import { nodeServer } from './child.js'
import { publishTarget, sseTarget } from './publish.js'
import type { RunningSystem } from './system.js'

/** The bare write loop. @param intervalMs how long it lets comments gather */
export async function startBare(intervalMs: number): Promise<RunningSystem> {
  const port = await new Ports().take('127.0.0.1')
  const server = nodeServer('bare-server', [port, intervalMs])
  await server.listening(port)
  return {
    name: 'bare write loop',
    about: `uWebSockets.js, a round of writes every ${intervalMs.toFixed(0)} ms at most`,
    streams: [sseTarget(port, '/stream')],
    posts: [publishTarget(port)],
    stampsAccepted: true,
    processes: () => [{ name: 'bare', pid: server.pid, delivers: true }],
    [Symbol.asyncDispose]: () => server.stop(),
  }
}
