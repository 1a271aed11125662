import { connect } from 'node:net'

const TIMEOUT_MS = 1_000

/** A ZooKeeper server's answer to a four-letter word such as `srvr`; empty when the server is away, or silent for
 * `timeoutMs`. */
export function ask(host: string, port: number, word: string, timeoutMs = TIMEOUT_MS): Promise<string> {
  return new Promise(resolve => {
    let answer = ''
    const socket = connect(port, host, () => socket.write(word))
    socket.setEncoding('utf8')
    socket.setTimeout(timeoutMs, () => socket.destroy())
    socket.on('data', (text: string) => (answer += text))
    socket.on('error', () => {})
    socket.on('close', () => resolve(answer))
  })
}

/** How the server serves: `standalone`, `leader` or `follower`. Undefined when it is away or silent, and in an ensemble also
 * while there is no majority. */
export async function modeOf(host: string, port: number, timeoutMs = TIMEOUT_MS): Promise<string | undefined> {
  return /^Mode: (\w+)/m.exec(await ask(host, port, 'srvr', timeoutMs))?.[1]
}
