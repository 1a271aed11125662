import { failureOf, type Caller } from './client.js'
import type { Ping } from './failover.js'
import { PeerError } from './peer-error.js'

/** Any answer of this instance is a sign of life; one of another instance says that this one is no more. */
export function pingWith(client: Caller): Ping {
  return async (peer, timeoutMs) => {
    try {
      const answer = await client.call(peer.internalUrl, { method: 'GET', path: '/internal/ping', timeoutMs })
      const { instance } = JSON.parse(answer.toString()) as { instance?: unknown }
      return instance === peer.instance ? undefined : 'refused'
    } catch (error) {
      if (!(error instanceof PeerError)) return error instanceof SyntaxError ? undefined : failureOf(error)
      return error.failure === 'status' || error.failure === 'wire' ? undefined : error.failure
    }
  }
}
