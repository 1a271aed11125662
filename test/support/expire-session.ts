import { connect } from 'node:net'
import type { Client } from 'node-zookeeper-client'
import { connectionManagerOf, ConnectionState } from '../../registry/zookeeper/internals.js'
import { until } from './until.js'

/** Ends the session of a client of this process, as if the server had: it learns so when it connects again. It is kept
 * from connecting meanwhile, or it would win the session back. */
export async function expireSession(client: Client, port: number): Promise<void> {
  const manager = connectionManagerOf(client)
  const own = Object.getOwnPropertyDescriptor(manager, 'connect')
  manager.connect = () => {}
  await closeSession(client.getSessionId().readBigInt64BE(0), port)
  await until(() => manager.state === ConnectionState.disconnected, { what: 'the client is cut off' })
  if (own) Object.defineProperty(manager, 'connect', own)
  else delete (manager as { connect?: unknown }).connect
  manager.connect()
}

/** Ends the session of another process, `sessionId` being the `ephemeralOwner` of a node it keeps. */
export async function expireSessionOf(pid: number, sessionId: bigint, port: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  try {
    await closeSession(sessionId, port)
  } finally {
    process.kill(pid, 'SIGCONT')
  }
}

const closeSessionOp = -11

/** Takes the session over on a raw connection and closes it, in one write. */
function closeSession(sessionId: bigint, port: number): Promise<void> {
  const request = Buffer.alloc(61)
  let at = 0
  at = request.writeInt32BE(45, at) // the connect frame
  at = request.writeInt32BE(0, at) // protocol version
  at = request.writeBigInt64BE(0n, at) // last transaction seen
  at = request.writeInt32BE(4_000, at) // session timeout
  at = request.writeBigInt64BE(sessionId, at)
  at = request.writeInt32BE(16, at)
  at += sessionPassword(sessionId).copy(request, at)
  at = request.writeInt8(0, at) // not read-only
  at = request.writeInt32BE(8, at) // the second frame
  at = request.writeInt32BE(1, at) // xid
  request.writeInt32BE(closeSessionOp, at)

  return new Promise((resolve, reject) => {
    let answer = Buffer.alloc(0)
    const socket = connect(port, '127.0.0.1', () => socket.write(request))
    socket.on('data', (chunk: Buffer) => (answer = Buffer.concat([answer, chunk])))
    socket.on('error', reject)
    socket.setTimeout(5_000, () => socket.destroy(new Error('no answer')))
    socket.on('close', () => {
      const grantedTimeoutMs = answer.length >= 12 ? answer.readInt32BE(8) : 0
      if (grantedTimeoutMs > 0) resolve()
      else reject(new Error('the session could not be taken over'))
    })
  })
}

/** The server makes it from the id alone: java.util.Random(sessionId ^ 0xB3415C00).nextBytes(16). */
function sessionPassword(sessionId: bigint): Buffer {
  const multiplier = 0x5deece66dn
  const mask = (1n << 48n) - 1n
  let seed = (BigInt.asUintN(64, sessionId ^ 0xb3415c00n) ^ multiplier) & mask
  const password = Buffer.alloc(16)
  for (let at = 0; at < 16; at += 4) {
    seed = (seed * multiplier + 0xbn) & mask
    password.writeInt32LE(Number(BigInt.asIntN(32, seed >> 16n)), at)
  }
  return password
}
