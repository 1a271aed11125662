import { once } from 'node:events'
import { createServer, connect, type Server, type Socket } from 'node:net'
import type { Test } from 'tap'

interface Link {
  readonly client: Socket
  readonly target: Socket
}

/** A bad network between a client and a server on this machine. Faults hold for open connections and new ones. */
export class TcpProxy {
  /** How much later than it came every byte is passed on, each way. */
  delayMs = 0
  /** New connections are accepted and closed at once. */
  refusing = false
  /** Connections accepted so far. */
  accepted = 0
  readonly #links = new Set<Link>()
  readonly #server: Server
  #silent = false
  #losing = false
  /** Connections by which something was lost. */
  readonly #lossy = new Set<Link>()
  #bytesToCut: number | undefined

  #port = 0
  #gone = false
  #closed = false

  private constructor(public targetPort: number) {
    this.#server = createServer({ allowHalfOpen: true }, client => this.#accept(client))
  }

  /** Passes everything on to `targetPort` until told otherwise; closed when `t` ends. */
  static async open(t: Test, targetPort: number): Promise<TcpProxy> {
    const proxy = await TcpProxy.listen(targetPort)
    t.after(() => proxy.close())
    return proxy
  }

  /** The same, to be closed by the caller. */
  static async listen(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    proxy.#port = (proxy.#server.address() as { port: number }).port
    return proxy
  }

  get port(): number {
    return this.#port
  }

  get connections(): number {
    return this.#links.size
  }

  /** Holds every byte back, both ways, as a cable pulled out would; none is lost when it ends. */
  set silent(silent: boolean) {
    this.#silent = silent
    for (const { client, target } of this.#links) {
      for (const socket of [client, target]) {
        if (silent) socket.pause()
        else socket.resume()
      }
    }
  }

  /** Nothing listens here: open connections break, and new ones are refused. */
  set gone(gone: boolean) {
    this.#gone = gone
    if (gone) {
      this.#server.close()
      this.cut()
    } else this.#listenAgain()
  }

  /** Loses what the server sends, and lets arrive what the client sends: nobody is told. When it ends, connections that lost something
   * break. */
  set losing(losing: boolean) {
    this.#losing = losing
    if (losing) return
    for (const link of this.#lossy) destroy(link)
    this.#lossy.clear()
  }

  /** Breaks every open connection. */
  cut(): void {
    for (const link of this.#links) destroy(link)
  }

  /** Passes the next `bytes` of what the server sends, then breaks that connection: in the middle of a message. */
  cutAfter(bytes: number): void {
    this.#bytesToCut = bytes
  }

  /** Tells every client that the server will send nothing more, and goes on passing what the client sends. */
  halfClose(): void {
    for (const { client } of this.#links) client.end()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.cut()
    if (!this.#server.listening) return
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(client: Socket): void {
    this.accepted++
    client.on('error', () => {})
    if (this.refusing) {
      client.destroy()
      return
    }
    const target = connect({ port: this.targetPort, host: '127.0.0.1', allowHalfOpen: true, noDelay: true })
    client.setNoDelay()
    const link: Link = { client, target }
    this.#links.add(link)
    target.on('error', (error: NodeJS.ErrnoException) => error.code === 'ECONNREFUSED' && this.#refuseAsTarget())
    for (const socket of [client, target]) {
      socket.on('close', () => {
        destroy(link)
        this.#links.delete(link)
        this.#lossy.delete(link)
      })
    }
    this.#pass(client, target, chunk => target.write(chunk), () => target.end())
    this.#pass(target, client, chunk => this.#toClient(link, chunk), () => (this.#losing ? this.#lossy.add(link) : client.end()))
    if (this.#silent) this.silent = true
  }

  /** Nothing listens behind us: then nothing listens here, for a refused connect tells more than a broken one. */
  #refuseAsTarget(): void {
    if (!this.#server.listening) return
    this.#server.close()
    const ask = () => {
      if (this.#closed) return
      const probe = connect(this.targetPort, '127.0.0.1')
      probe.once('error', () => setTimeout(ask, 50).unref())
      probe.once('connect', () => {
        probe.destroy()
        this.#listenAgain()
      })
    }
    setTimeout(ask, 50).unref()
  }

  #listenAgain(): void {
    if (this.#closed || this.#gone || this.#server.listening) return
    // A connection of somebody else may have the port for a while.
    const later = () => setTimeout(() => this.#listenAgain(), 50).unref()
    this.#server.once('error', later).listen(this.#port, '127.0.0.1', () => this.#server.off('error', later))
  }

  #pass(from: Socket, to: Socket, write: (chunk: Buffer) => void, end: () => void): void {
    // In order, also when the delay shrinks meanwhile: this is TCP.
    const waiting: { readonly dueAt: number; readonly task: () => void }[] = []
    const run = () => {
      while (waiting.length > 0) {
        const leftMs = waiting[0]!.dueAt - performance.now()
        if (leftMs > 0) return void setTimeout(run, leftMs)
        waiting.shift()!.task()
      }
    }
    const later = (task: () => void) => {
      if (this.delayMs === 0 && waiting.length === 0) return task()
      waiting.push({ dueAt: performance.now() + this.delayMs, task })
      if (waiting.length === 1) setTimeout(run, this.delayMs)
    }
    from.on('data', (chunk: Buffer) => later(() => !to.destroyed && to.writable && write(chunk)))
    from.on('end', () => later(end))
  }

  #toClient(link: Link, chunk: Buffer): void {
    if (this.#losing || this.#lossy.has(link)) {
      this.#lossy.add(link)
      return
    }
    if (this.#bytesToCut === undefined) {
      link.client.write(chunk)
      return
    }
    const part = chunk.subarray(0, this.#bytesToCut)
    this.#bytesToCut -= part.length
    const cutNow = this.#bytesToCut === 0
    if (cutNow) this.#bytesToCut = undefined
    // Flushed first, so that the client has the half message before the end.
    link.client.write(part, () => cutNow && destroy(link))
  }
}

function destroy({ client, target }: Link): void {
  client.destroy()
  target.destroy()
}
