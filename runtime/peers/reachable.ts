import { connect } from 'node:net'

const TIMEOUT_MS = 1_000

/** Whether something accepts connections at that URL, within a second. */
export function isReachable(url: string): Promise<boolean> {
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[|\]$/g, '') // an IPv6 address
  return new Promise(resolve => {
    const socket = connect({ host, port: Number(port || (protocol === 'https:' ? 443 : 80)), timeout: TIMEOUT_MS })
    const end = (reached: boolean) => {
      socket.destroy()
      resolve(reached)
    }
    socket.once('connect', () => end(true)).once('error', () => end(false)).once('timeout', () => end(false))
  })
}
