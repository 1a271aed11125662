import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'

// Below the ports of outgoing connections (32768 and up), one of which could take the port of a part that is down for a
// moment. Supervisors that start at the same time begin at different ports.
const FIRST = 20_000
const LAST = 32_000
const STEP = 16
/** From a port to its mark: 53,000 and up. */
const MARKS = 33_000

/** Hands out free ports, each once: also among the processes of this machine that use this. A part listens a while after it was
 * given its port, and meanwhile the port is free for all others. */
export class Ports {
  #next = FIRST + ((process.pid * STEP) % (LAST - FIRST))

  /** @throws Error if none is free on that host */
  async take(host: string): Promise<number> {
    for (let tries = LAST - FIRST; tries > 0; tries--) {
      const port = this.#next
      this.#next = port + 1 < LAST ? port + 1 : FIRST
      if ((await reserve(port)) && (await isFree(host, port))) return port
    }
    throw new Error(`no port from ${FIRST} to ${LAST} is free on ${host}`)
  }
}

/** Until this process ends, all others that use this find the port's mark taken: a port of UDP, which ends with its process. It is
 * another number, since a server may want the same one for HTTP/3. */
async function reserve(port: number): Promise<boolean> {
  const socket = createSocket('udp4').unref()
  try {
    socket.bind({ address: '127.0.0.1', port: port + MARKS, exclusive: true })
    await once(socket, 'listening')
    return true
  } catch (error) {
    socket.close()
    return (error as NodeJS.ErrnoException).code !== 'EADDRINUSE' // whether it is free for us, TCP will say
  }
}

export async function isFree(host: string, port: number): Promise<boolean> {
  const server = createServer()
  try {
    server.listen({ host, port, exclusive: true })
    await once(server, 'listening')
    return true
  } catch {
    return false
  } finally {
    server.close()
  }
}

/** Where this machine reaches a listener of that host. */
export function reachable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host
}
