import { once } from 'node:events'
import { createServer, type Server } from 'node:net'

/** SHARE_PORT of a cluster's gateways: what the environment says, or else whether there are several and the kernel spreads
 * connections over the processes that share a port. */
export function sharePort(gateways: number, given: string | undefined, platform: NodeJS.Platform): string {
  return given || String(gateways > 1 && platform === 'linux')
}

/** One supervisor's claim to a public port. Gateways that share a port would share it with those of another cluster too, so
 * whoever starts them claims it first. The claim is a name in Linux's abstract namespace and vanishes with its holder. */
export class PortClaim {
  readonly #server: Server | undefined

  private constructor(server: Server | undefined) {
    this.#server = server
  }

  /** @returns undefined if another supervisor has it */
  static async of(host: string, port: number): Promise<PortClaim | undefined> {
    if (process.platform !== 'linux') return new PortClaim(undefined)
    const server = createServer(socket => socket.destroy())
    try {
      server.listen(`\0live-comments ${host}:${port}`)
      await once(server, 'listening')
      return new PortClaim(server.unref())
    } catch {
      return undefined
    }
  }

  close(): void {
    this.#server?.close()
  }
}
