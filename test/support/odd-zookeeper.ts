import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import type { Test } from 'tap'

export interface OddOptions {
  /** ZooKeeper's number of the error with which it answers every call. */
  readonly error: number
  /** Its answer to `srvr`. */
  readonly srvr: string
}

const CLOSE_SESSION = -11

/** A server that grants sessions as ZooKeeper does, and then does nothing that is asked.
 * @returns its `host:port`; it is closed when `t` ends */
export async function openOddZooKeeper(t: Test, { error, srvr }: OddOptions): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    let rest = Buffer.alloc(0)
    let hasSession = false
    socket.on('error', () => {})
    socket.on('data', chunk => {
      rest = Buffer.concat([rest, chunk])
      if (!hasSession && rest.toString('latin1') === 'srvr') return socket.end(srvr)
      while (rest.length >= 4 && rest.length >= 4 + rest.readInt32BE(0)) {
        const frame = rest.subarray(4, 4 + rest.readInt32BE(0))
        rest = rest.subarray(4 + frame.length)
        if (hasSession && frame.readInt32BE(4) === CLOSE_SESSION) return socket.end(reply(frame, 0))
        socket.write(hasSession ? reply(frame, error) : session())
        hasSession = true
      }
    })
  })
  server.listen(0, '127.0.0.1')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** Protocol version 0, 5 s, the session's id and its password, not read-only. */
function session(): Buffer {
  const frame = Buffer.alloc(4 + 37)
  frame.writeInt32BE(37, 0)
  frame.writeInt32BE(5_000, 8)
  frame.writeBigInt64BE(1n, 12)
  frame.writeInt32BE(16, 20)
  return frame
}

/** The request's number, no transaction, the error. */
function reply(request: Buffer, error: number): Buffer {
  const frame = Buffer.alloc(4 + 16)
  frame.writeInt32BE(16, 0)
  frame.writeInt32BE(request.readInt32BE(0), 4)
  frame.writeInt32BE(error, 16)
  return frame
}
