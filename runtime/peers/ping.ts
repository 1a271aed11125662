import type { MemberNode } from '../../protocol/nodes.js'
import { failureOf, type Caller } from './client.js'
import type { Ping } from './failover.js'
import { PeerError } from './peer-error.js'

/** Pings peers over HTTP. Any answer of this instance is a sign of life; one of another instance means that it is gone.
 * @param onPong optional hook: called with this instance's answer */
export function pingWith(client: Caller, onPong: (peer: MemberNode, answer: Readonly<Record<string, unknown>>) => void = () => {}): Ping {
  return async (peer, timeoutMs) => {
    try {
      const answer = await client.call(peer.internalUrl, { method: 'GET', path: '/internal/ping', timeoutMs })
      const pong = JSON.parse(answer.toString()) as Readonly<Record<string, unknown>>
      if (pong['instance'] !== peer.instance) return 'refused'
      onPong(peer, pong)
      return undefined
    } catch (error) {
      if (!(error instanceof PeerError)) return error instanceof SyntaxError ? undefined : failureOf(error)
      return error.failure === 'status' || error.failure === 'wire' ? undefined : error.failure
    }
  }
}
