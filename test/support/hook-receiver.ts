import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Server } from 'node:net'
import type { Test } from 'tap'
import { Ports } from '../../cluster/ports.js'
import { isReachable } from '../../runtime/peers/reachable.js'
import { readDocument } from '../docs/documents.js'
import { until } from './until.js'

const HOST = '127.0.0.1'

export interface HookEvent {
  readonly videoId: string
  readonly type: string
  readonly id?: string
  readonly heldId?: string
  readonly content?: string
  readonly reason?: string
}

/** The receiver of a web hook that docs/hooks.md shows, in a process of its own. It is reached at one address, also after it was
 * killed and started again. */
export class HookReceiver {
  readonly secret = `whsec_${Buffer.alloc(32, 5).toString('base64')}`
  /** What it has printed, line by line, in all its lives. */
  readonly events: HookEvent[] = []
  /** Statuses that it has answered. */
  readonly statuses: number[] = []
  readonly #front: Server
  #child: ChildProcess | undefined
  #port = 0

  private constructor() {
    this.#front = createServer(client => {
      const target = connect(this.#port, HOST)
      client.on('error', () => target.destroy()).on('close', () => target.destroy()).pipe(target)
      target.on('error', () => client.destroy()).on('close', () => client.destroy()).pipe(client)
    })
  }

  /** Gone when `t` ends. */
  static async start(t: Test): Promise<HookReceiver> {
    const receiver = new HookReceiver()
    await once(receiver.#front.listen(0, HOST), 'listening')
    t.after(async () => {
      receiver.#front.close()
      await receiver.kill()
    })
    await receiver.run()
    return receiver
  }

  get url(): string {
    return `http://${HOST}:${(this.#front.address() as AddressInfo).port}/hook`
  }

  /** Ids of a video's entries, each once, in the order in which they came first. */
  seen(videoId: string): string[] {
    return [...new Set(this.events.flatMap(event => (event.videoId === videoId && event.id !== undefined && event.type !== 'approved' ? [event.id] : [])))]
  }

  async run(): Promise<void> {
    const { text: source } = readDocument('docs/hooks.md').fences.find(({ language }) => language === 'python')!
    this.#port = await new Ports().take(HOST)
    const child = (this.#child = spawn('python3', ['-c', source], { env: { ...process.env, HOOK_SECRET: this.secret, PORT: String(this.#port) }, stdio: ['ignore', 'pipe', 'pipe'] }))
    let isGone = false
    child.once('exit', () => (isGone = true))
    eachLine(child.stdout, line => this.events.push(JSON.parse(line) as HookEvent))
    eachLine(child.stderr, line => {
      const [, status] = /" (\d{3}) -$/.exec(line) ?? []
      if (status !== undefined) this.statuses.push(Number(status))
    })
    // Somebody else may have taken its port meanwhile.
    if (!(await until(async () => isGone || (await isReachable(`http://${HOST}:${this.#port}`)), { what: 'the receiver listens' })) || isGone) await this.run()
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
}

function eachLine(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()!
    for (const line of lines) take(line)
  })
}
