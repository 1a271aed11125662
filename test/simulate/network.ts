import { Buffer } from 'node:buffer'
import { streamPath } from '../../gateway/relay.js'
import type { ConnectLink } from '../../gateway/link.js'
import type { Connect } from '../../gateway/relayed.js'
import { LINK_PATH } from '../../protocol/link.js'
import type { EdgeNode } from '../../protocol/nodes.js'
import type { Reply } from '../../runtime/http/reply.js'
import type { Call, Caller } from '../../runtime/peers/client.js'
import { PeerError, type PeerFailure } from '../../runtime/peers/peer-error.js'
import { Channel, type Reader } from './channel.js'
import type { Process } from './process.js'
import { Messages, socketOver } from './messages.js'
import { Response } from './response.js'
import type { Request, Routes } from './routes.js'
import type { World } from './world.js'

/** Who listens at an address. A stream's answer goes into `res`. */
export interface Listener {
  readonly process: Process
  readonly handle: (request: Request, res: Response | undefined) => Promise<Reply | undefined>
  /** WebSockets that it takes, by path; without: none, as in the former version. */
  readonly sockets?: Routes['sockets']
}

export interface NetworkFaults {
  /** Share of calls that never arrive, and of those whose answer never does. */
  loss: number
  /** Share of batches that are lost and known to be. */
  batchLoss: number
  /** Share of streams that break by themselves, each ten seconds. */
  resets: number
  /** Bytes a connection takes before it says that it is full. */
  limitBytes: number
  /** The same of a link, on its way to the gateway. */
  linkBytes: number
  /** How long such a link is not read, now and then, at most, ms. */
  linkStallMs: number
}

/** A client's too. */
export type AnyCall = Omit<Call, 'method'> & { readonly method?: Request['method'] }

const CONNECT_MS = 1_000
/** As gateway/relay.ts has it: an edge that takes a connection and never answers. */
const HEADERS_MS = 3_000

/** Calls and streams between processes, by address: whoever listens there when the call arrives gets it. */
export class Network {
  readonly faults: NetworkFaults = { loss: 0, batchLoss: 0, resets: 0, limitBytes: 64 * 1024, linkBytes: 64 * 1024, linkStallMs: 0 }
  readonly listeners = new Map<string, Listener>()
  /** Addresses that say nothing while nobody lives there, as a host that is gone does, instead of refusing. */
  readonly dark = new Set<string>()
  /** Whose batches do not get out, and to whom: ids of parts begin with `d` or `e`. */
  readonly muted = new Map<string, 'all' | 'dispatchers'>()
  /** Calls so far, by the path's first two parts. */
  readonly calls: Record<string, number> = {}
  /** Bytes that ever waited in one stream, at most. */
  mostBuffered = 0
  /** Told of every stream that opens, and who reads it. */
  opened: (channel: Channel, to: string) => void = () => {}
  readonly #world: World
  /** `from to` → until when nothing passes between them. */
  readonly #cuts = new Map<string, number>()

  constructor(world: World) {
    this.#world = world
  }

  /** Nothing passes between the two for this long; what is on its way arrives later. */
  cut(a: string, b: string, ms: number): void {
    for (const pair of [`${a} ${b}`, `${b} ${a}`]) this.#cuts.set(pair, this.#world.now + ms)
  }

  /** Whether any two parts cannot reach each other. */
  get isCut(): boolean {
    return [...this.#cuts.values()].some(until => until > this.#world.now)
  }

  healCuts(): void {
    this.#cuts.clear()
  }

  latencyMs = (): number => this.#world.random.between(0.2, 5)

  /** How a process calls others. */
  client(from: Process): Caller {
    return { call: (url, call) => this.call(from, url, call) }
  }

  /** The body of the answer. @throws PeerError */
  call(from: Process, url: string, { method = 'POST', to, path, body, headers = {}, timeoutMs }: AnyCall): Promise<Buffer> {
    const world = this.#world
    const kind = path.split(/[/?]/).slice(1, 3).join('/')
    this.calls[kind] = (this.calls[kind] ?? 0) + 1
    const said = typeof body === 'string' ? Buffer.from(body) : body
    return new Promise((resolve, reject) => {
      let done = false
      let forget = () => {}
      const settle = (say: () => void) => {
        if (done) return
        done = true
        forget()
        cancel()
        say()
      }
      const fail = (failure: PeerFailure, sent?: boolean) => world.after(this.latencyMs(), () => from.run(() => settle(() => reject(new PeerError(failure, `${path.split('?')[0]} to ${url}: ${failure}`, sent === undefined ? {} : { sent })))))
      const cancel = from.clock.after(timeoutMs, () => settle(() => reject(new PeerError('timeout', `${path.split('?')[0]} to ${url}: timeout`))))
      const loses = () => world.random.chance(this.faults.loss)
      world.tell?.(`${from.name} → ${url} ${method} ${path} ${shown(said)}`)
      if (loses()) return void (world.random.chance(0.5) && fail('lost'))
      if (kind === 'internal/batch' && (this.#isMuted(from, url) || world.random.chance(this.faults.batchLoss))) return void fail('lost')
      this.#travel(from, url, listener => {
        if (!listener && this.dark.has(url)) return void world.after(CONNECT_MS, () => fail('timeout', false))
        if (!listener) return void fail('refused')
        const { process } = listener
        // 421: another instance has the address by now.
        if (to !== undefined && to !== process.name) return void fail('refused')
        forget = process.onDeath(() => fail('lost'))
        process.run(() => {
          void listener.handle({ method, path, headers, body: said }, undefined).then(reply => {
            world.tell?.(`${process.name} answers ${from.name} ${path} ${reply?.status} ${shown(reply?.body)}`)
            if (loses()) return void (world.random.chance(0.5) && fail('lost'))
            world.after(this.latencyMs() + this.#cutMs(process.name, from.name), () => {
              from.run(() => settle(() => {
                const bytes = Buffer.from((reply?.body ?? '') as string)
                const status = reply?.status ?? 500
                if (status >= 200 && status <= 299) resolve(bytes)
                else reject(new PeerError('status', `${url} answered ${status}`, { status, body: bytes }))
              }))
            })
          })
        })
      })
    })
  }

  /** Opens a stream of bytes. @returns the reader's hold on it */
  stream(from: Process, url: string, request: Omit<Request, 'method' | 'body'>, reader: Reader, refused: (failure: PeerFailure) => void): { abort(): void; pause(): void; resume(): void } {
    const world = this.#world
    let channel: Channel | undefined
    let gone = false
    let paused = false
    const fail = (failure: PeerFailure) => world.after(this.latencyMs(), () => from.run(() => {
      if (gone || channel) return
      gone = true
      refused(failure)
    }))
    const cancel = world.after(CONNECT_MS, () => fail('timeout'))
    world.tell?.(`${from.name} → ${url} stream ${request.path} ${request.headers['last-event-id'] ?? ''}`)
    this.#travel(from, url, listener => {
      if (!listener && this.dark.has(url)) return
      cancel()
      if (gone) return
      if (!listener) return void fail('refused')
      const { process } = listener
      channel = new Channel({
        world,
        from: process,
        to: from,
        reader: {
          data: (chunk, headers) => {
            if (!gone) reader.data(chunk, headers)
          },
          written: (chunk, headers) => {
            if (!gone) reader.written?.(chunk, headers)
          },
          over: broken => {
            this.mostBuffered = Math.max(this.mostBuffered, channel!.mostBuffered)
            if (!gone) reader.over(broken)
          },
        },
        limitBytes: this.faults.limitBytes,
        latencyMs: this.latencyMs,
        cutMs: () => this.#cutMs(process.name, from.name),
      })
      const open = channel
      this.opened(open, from.name)
      if (paused) open.pause()
      if (world.random.chance(this.faults.resets)) world.after(world.random.between(0, 10_000), () => open.cut())
      const res = new Response(open)
      process.run(() => void listener.handle({ method: 'GET', body: undefined, ...request }, res).then(reply => {
        if (reply) open.end(reply.body)
      }))
    })
    return {
      abort: () => {
        gone = true
        if (!channel) return
        this.mostBuffered = Math.max(this.mostBuffered, channel.mostBuffered)
        channel.abort()
      },
      pause: () => {
        paused = true
        channel?.pause()
      },
      resume: () => {
        paused = false
        channel?.resume()
      },
    }
  }

  /** How a gateway opens a viewer's stream from an edge. */
  connect(from: Process): Connect {
    return (edge: EdgeNode, request, handlers) => {
      let over = false
      const lost = (failure: PeerFailure) => {
        cancel()
        if (!over) handlers.lost(failure)
        over = true
      }
      const data = (chunk: Buffer) => {
        cancel()
        handlers.data(chunk)
      }
      const stream = this.stream(from, edge.internalUrl, { path: streamPath(request), headers: {} }, { data, over: () => lost('lost') }, lost)
      const cancel = from.clock.after(HEADERS_MS, () => {
        stream.abort()
        lost('lost')
      })
      return {
        ...stream,
        abort: () => {
          over = true
          cancel()
          stream.abort()
        },
      }
    }
  }

  /** How a gateway of the former version opens none. */
  noLinks(from: Process): ConnectLink {
    return (_, handlers) => {
      let over = false
      this.#world.after(0, () => from.run(() => over || handlers.lost('absent')))
      return { send: () => {}, close: () => void (over = true) }
    }
  }

  /** How a gateway opens a link to an edge: a channel each way. */
  connectLink(from: Process): ConnectLink {
    const world = this.#world
    return (edge, handlers) => {
      const waiting: Uint8Array[] = []
      let out: Channel | undefined
      let back: Channel | undefined
      let over = false
      const lost = (failure: PeerFailure | 'absent') => {
        cancel()
        if (over) return
        over = true
        handlers.lost(failure)
      }
      const fail = (failure: PeerFailure | 'absent') => world.after(this.latencyMs(), () => from.run(() => lost(failure)))
      // A host that is gone says nothing; neither does a frozen one, or one behind a cut.
      const cancel = world.after(this.dark.has(edge.internalUrl) ? CONNECT_MS : HEADERS_MS, () => from.run(() => lost(this.dark.has(edge.internalUrl) ? 'timeout' : 'lost')))
      world.tell?.(`${from.name} → ${edge.internalUrl} link`)
      this.#travel(from, edge.internalUrl, listener => {
        if (!listener && this.dark.has(edge.internalUrl)) return
        if (over) return
        if (!listener || listener.process.name !== edge.instance) return void fail('refused')
        const { process } = listener
        process.run(() => {
          const route = listener.sockets?.get(LINK_PATH)
          if (!route) return void fail('absent')
          const between = { world, latencyMs: this.latencyMs, cutMs: () => this.#cutMs(process.name, from.name) }
          const messages = new Messages(bytes => handlers.message(bytes))
          back = new Channel({
            ...between,
            from: process,
            to: from,
            limitBytes: this.faults.linkBytes,
            reader: {
              data: chunk => {
                if (over) return
                handlers.heard()
                messages.push(chunk)
              },
              over: () => lost('lost'),
            },
          })
          const socket = socketOver(back, route, process)
          out = new Channel({ ...between, from, to: process, limitBytes: Infinity, reader: { data: chunk => socket.data(chunk), over: () => socket.close() } })
          socket.onClosed = () => {
            back!.reset()
            out!.abort()
          }
          this.opened(back, from.name)
          const [one, other] = [back, out]
          this.#stall(one)
          if (world.random.chance(this.faults.resets)) world.after(world.random.between(0, 10_000), () => {
            one.cut()
            other.cut()
          })
          world.after(this.latencyMs() + this.#cutMs(process.name, from.name), () => from.run(() => {
            if (over) return
            cancel()
            for (const message of waiting) other.write(message)
            waiting.length = 0
            handlers.opened()
            opened = true
          }))
        })
      })
      let opened = false
      return {
        send: message => {
          const framed = Messages.framed(message)
          if (opened) out!.write(framed)
          else waiting.push(framed)
        },
        close: () => {
          over = true
          cancel()
          out?.reset()
          back?.abort()
          if (back) this.mostBuffered = Math.max(this.mostBuffered, back.mostBuffered)
        },
      }
    }
  }

  /** Every few seconds, for as long as the fault lasts. */
  #stall(channel: Channel): void {
    const { random } = this.#world
    if (this.faults.linkStallMs === 0 || channel.closed) return
    this.#world.after(random.between(20, 20 + 2 * this.faults.linkStallMs), () => {
      channel.pause()
      this.#world.after(random.between(5, Math.max(6, this.faults.linkStallMs)), () => {
        channel.resume()
        this.#stall(channel)
      })
    })
  }

  #isMuted(from: Process, url: string): boolean {
    const muted = this.muted.get(from.name)
    return muted === 'all' || (muted === 'dispatchers' && url.startsWith('http://d'))
  }

  #travel(from: Process, url: string, arrived: (listener: Listener | undefined) => void): void {
    const to = this.listeners.get(url)?.process.name ?? ''
    this.#world.after(this.latencyMs() + this.#cutMs(from.name, to), () => {
      const listener = this.listeners.get(url)
      arrived(listener?.process.state === 'dead' ? undefined : listener)
    })
  }

  /** Names hold an incarnation: a cut is between the parts. */
  #cutMs(from: string, to: string): number {
    if (this.#cuts.size === 0) return 0
    const until = this.#cuts.get(`${from.split('.')[0]} ${to.split('.')[0]}`) ?? 0
    return Math.max(0, until - this.#world.now)
  }
}

function shown(body: Uint8Array | string | undefined): string {
  const text = body === undefined ? '' : typeof body === 'string' ? body : Buffer.from(body).toString()
  return text.replaceAll('\n', ' ¶ ').slice(0, 2_000)
}
