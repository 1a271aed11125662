import { connect } from 'node:net'

/** A ZooKeeper server's answer to a four-letter word such as `srvr`; empty where there is none within `timeoutMs`. */
export function ask(host: string, port: number, word: string, timeoutMs = 1_000): Promise<string> {
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
