/** Where viewers connect, and what they say. Plain data: it is handed to threads. */
export interface StreamTarget {
  readonly host: string
  readonly port: number
  /** Over TLS, whatever the certificate. */
  readonly secure?: boolean
  /** The whole request, `{video}` where the video's id goes. */
  readonly request: string
  readonly protocol: 'sse' | 'websocket' | 'socket.io' | 'goim'
  /** Stands in the stream once the viewer will get every later comment; null: the answer's head, or goim's first packet, says so. */
  readonly ready: string | null
}

/** Where comments are posted, and how each system wants them wrapped. Plain data. */
export interface PostTarget {
  readonly host: string
  readonly port: number
  /** Over TLS, whatever the certificate. */
  readonly secure?: boolean
  /** Method and path, `{video}` where the video's id goes: `POST /comments/{video}`. */
  readonly line: string
  /** Besides host and content-length. */
  readonly headers: Readonly<Record<string, string>>
  /** What is posted: `draft` is content and author, as our gateway takes it; `comment` is the whole comment as every
   * viewer is to get it, for systems that pass on what they are given. */
  readonly payload: 'draft' | 'comment'
  /** Around the payload, `{video}` where the video's id goes. */
  readonly prefix: string
  readonly suffix: string
  /** The payload is a field of a form. */
  readonly form: boolean
}

export function videoId(number: number): string {
  return `bench-${number}`
}

/** @throws Error when it is no http or https address */
export function hostAndPort(url: string): { host: string; port: number; secure: boolean } {
  const { protocol, hostname, port } = new URL(url)
  return { host: hostname, port: Number(port), secure: protocol === 'https:' }
}

/** A GET of server-sent events. @param path with `{video}` */
export function streamRequest(path: string, headers: Readonly<Record<string, string>> = {}): string {
  return head(`GET ${path}`, { accept: 'text/event-stream', ...headers })
}

/** Asks for a WebSocket. @param path with `{video}` */
export function socketRequest(path: string): string {
  return head(`GET ${path}`, { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '13', 'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==' })
}

export function head(line: string, headers: Readonly<Record<string, string>>): string {
  return `${line} HTTP/1.1\r\nhost: 127.0.0.1\r\n${Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}
