import { connect } from 'node:net'

/** What came back on a bare connection. */
export interface RawAnswer {
  /** Of every answer, in order; 100 too. */
  readonly statuses: readonly number[]
  /** All of it, a character a byte. */
  readonly text: string
  /** The server closed the connection. */
  readonly closed: boolean
}

export interface RawOptions {
  /** What came is all that is waited for. */
  readonly enough?: (answer: RawAnswer) => boolean
  /** By when the server has closed the connection or said enough; then it is taken as it is. */
  readonly limitMs?: number
}

/** Sends bytes, as they are, on a connection of their own and reads until the server closes it or has said enough.
 * @param bytes several: one after the other, each once the one before was taken */
export function sendRaw(port: number, bytes: string | Uint8Array | readonly (string | Uint8Array)[], { enough = () => false, limitMs = 5_000 }: RawOptions = {}): Promise<RawAnswer> {
  return new Promise(resolve => {
    const parts = Array.isArray(bytes) ? (bytes as readonly (string | Uint8Array)[]) : [bytes as string | Uint8Array]
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let text = ''
    let done = false
    const answer = (closed: boolean): RawAnswer => ({ statuses: Array.from(text.matchAll(/HTTP\/1\.1 (\d{3}) /g), ([, status]) => Number(status)), text, closed })
    const finish = (closed: boolean) => {
      if (done) return
      done = true
      clearTimeout(timer)
      socket.destroy()
      resolve(answer(closed))
    }
    const timer = setTimeout(() => finish(false), limitMs)
    socket.on('error', () => {}) // a reset is a close
    socket.on('close', () => finish(true))
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (enough(answer(false))) finish(false)
    })
    const write = (i: number) => {
      const part = parts[i]
      if (part !== undefined) socket.write(typeof part === 'string' ? Buffer.from(part, 'latin1') : part, () => setImmediate(() => write(i + 1)))
    }
    write(0)
  })
}

/** So many answers, bodies aside: they come with their heads. */
export const answers = (count: number) => ({ enough: ({ statuses }: RawAnswer) => statuses.length >= count })
