import { Buffer } from 'node:buffer'
import { connect, type Socket } from 'node:net'
import { connect as connectSecure } from 'node:tls'

const READ_BYTES = 64 * 1024
/** All connections of a thread read into it, one at a time. */
const readBuffer = Buffer.allocUnsafeSlow(READ_BYTES)

/** Connects, over TLS whatever the certificate. Half the cost of a general client: nothing is allocated for what is read.
 * @param receive the bytes belong to the socket again when it returns */
export function receivingSocket({ host, port, secure = false }: { readonly host: string; readonly port: number; readonly secure?: boolean }, receive: (bytes: Buffer) => void): Socket {
  if (secure) return connectSecure({ host, port, rejectUnauthorized: false }).setNoDelay().on('data', receive)
  const callback = (size: number) => {
    receive(readBuffer.subarray(0, size))
    return true
  }
  return connect({ host, port, noDelay: true, onread: { buffer: readBuffer, callback } })
}
