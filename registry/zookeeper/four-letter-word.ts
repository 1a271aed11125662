import { connect } from 'node:net'

const TIMEOUT_MS = 1_000

/** A server's answer to a four-letter word, or why there is none: the system's name for the socket's error, such as
 * `ECONNREFUSED`, or `NO_CONNECTION` (not within the time limit), `SILENT` (connected, no whole answer within it), `HUNG_UP`
 * (the connection was closed without a word). */
export type Said = { readonly answer: string } | { readonly failure: string }

/** Asks a ZooKeeper server a four-letter word such as `srvr`, on a connection of its own. */
export function say(host: string, port: number, word: string, timeoutMs = TIMEOUT_MS): Promise<Said> {
  return new Promise(resolve => {
    let answer = ''
    let connected = false
    const socket = connect(port, host, () => {
      connected = true
      socket.write(word)
    })
    const end = (said: Said) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(said)
    }
    const timer = setTimeout(() => end({ failure: connected ? 'SILENT' : 'NO_CONNECTION' }), timeoutMs)
    const over = (failure: string) => end(answer === '' ? { failure } : { answer })
    socket.setEncoding('utf8')
    socket.on('data', (text: string) => (answer += text))
    socket.on('error', (error: NodeJS.ErrnoException) => over(error.code ?? error.message))
    socket.on('close', () => over('HUNG_UP'))
  })
}

/** The answer alone; empty if there is none. */
export async function ask(host: string, port: number, word: string, timeoutMs = TIMEOUT_MS): Promise<string> {
  const said = await say(host, port, word, timeoutMs)
  return 'answer' in said ? said.answer : ''
}

/** How the server serves: `standalone`, `leader` or `follower`. Undefined when it is away or silent, and in an ensemble also
 * while there is no majority. */
export async function modeOf(host: string, port: number, timeoutMs = TIMEOUT_MS): Promise<string | undefined> {
  return modeIn(await ask(host, port, 'srvr', timeoutMs))
}

/** The mode that an answer to `srvr` names. */
export function modeIn(answer: string): string | undefined {
  return /^Mode: ([\w-]+)/m.exec(answer)?.[1]
}
