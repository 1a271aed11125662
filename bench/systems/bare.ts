import { Ports } from '../../cluster/ports.js'
import { makeCertificate } from '../../test/support/certificate.js'
import { nodeServer, temporaryFolder } from './child.js'
import { publishTarget, sseTarget } from './publish.js'
import type { RunningSystem } from './system.js'

/** The bare write loop. @param intervalMs how long it lets comments gather. @param tls with a certificate of this run */
export async function startBare(intervalMs: number, { tls = false } = {}): Promise<RunningSystem> {
  const port = await new Ports().take('127.0.0.1')
  const folder = temporaryFolder()
  const files = tls ? makeCertificate(folder.path) : undefined
  const server = nodeServer('bare-server', [port, intervalMs, ...(files ? [files.certificate, files.key] : [])])
  await server.listening(port, folder.remove)
  return {
    name: `bare write loop${tls ? ', TLS' : ''}`,
    about: `uWebSockets.js, a round of writes every ${intervalMs.toFixed(0)} ms at most`,
    streams: [{ ...sseTarget(port, '/stream'), secure: tls }],
    posts: [publishTarget(port, { secure: tls })],
    stampsAccepted: true,
    processes: () => [{ name: 'bare', pid: server.pid, delivers: true }],
    async [Symbol.asyncDispose]() {
      await server.stop()
      folder.remove()
    },
  }
}
