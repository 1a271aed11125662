import { HttpServer, type ConnectionRules } from '../http/server.js'

/** Redirects are short: more connections at a time than this are refused. */
const MAX_CONNECTIONS = 500

export interface RedirectOptions {
  /** Where to: an https URL without a trailing slash. */
  readonly to: string
  /** What the public port admits. */
  readonly connections: Omit<ConnectionRules, 'keeps'>
  readonly onBug: (error: unknown) => void
}

/** The plain port beside one that speaks TLS. It answers every request with the same path at the public URL, whatever host
 * the client has named: who may choose the host could send others' viewers anywhere. */
export function redirectServer({ to, connections, onBug }: RedirectOptions): HttpServer {
  const admits = (peer: ArrayBuffer, open: number) => open <= MAX_CONNECTIONS && connections.admits(peer, open)
  return new HttpServer({
    onBug,
    connections: { admits, keeps: () => false, silent: (peer, close, isOpen) => connections.silent(peer, close, isOpen), unsure: peer => connections.unsure(peer) },
    otherwise: ({ url }) => ({ status: 308, headers: { location: new URL(url.startsWith('/') ? `${to}${url}` : to).href }, close: true }),
  })
}
