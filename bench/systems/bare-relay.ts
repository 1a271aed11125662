import { Ports } from '../../cluster/ports.js'
import { nodeServer } from './child.js'
import { LiveSystem } from './live.js'
import { sseTarget } from './publish.js'
import type { RunningSystem } from './system.js'

/** The bare relay in our gateway's place: the same edge behind it, comments posted as ever. */
export async function startBareRelay(): Promise<RunningSystem> {
  const live = await LiveSystem.start({ via: 'edge' })
  const port = await new Ports().take('127.0.0.1')
  const server = nodeServer('bare-relay-server', [port, live.cluster.record().edges[0]!.url!])
  await server.listening(port, () => live[Symbol.asyncDispose]())
  return {
    name: 'bare relay',
    about: 'undici and uWebSockets.js, one corked write a chunk',
    streams: [{ ...sseTarget(port, '/comments/{video}'), ready: 'event: ready' }],
    posts: live.posts,
    stampsAccepted: true,
    processes: () => [...live.processes().map(each => ({ ...each, delivers: false })), { name: 'relay', pid: server.pid, delivers: true }],
    edgeState: () => live.edgeState(),
    async [Symbol.asyncDispose]() {
      await server.stop()
      await live[Symbol.asyncDispose]()
    },
  }
}
