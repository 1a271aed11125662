import { Buffer } from 'node:buffer'
import type { LinkHandlers } from '../../gateway/link.js'
import { parseToEdge, printToGateway, type ToEdge, type ToGateway } from '../../protocol/link.js'
import type { EdgeNode } from '../../protocol/nodes.js'

type Kind<K> = Extract<ToEdge, { kind: K }>

/** A gateway's end of one link's socket; the test is the edge. */
export class FakeLinkSocket {
  readonly edge: EdgeNode
  readonly #handlers: LinkHandlers
  /** What the edge was sent. */
  readonly sent: ToEdge[] = []
  closed = false
  /** Whether pings are answered, by whoever the edge is; without, the test answers. */
  pongs = (): boolean => false

  constructor(edge: EdgeNode, handlers: LinkHandlers) {
    this.edge = edge
    this.#handlers = handlers
  }

  send(message: Uint8Array): void {
    if (this.closed) throw new Error('sent after its end')
    const parsed = parseToEdge(Buffer.from(message))
    this.sent.push(parsed)
    if (parsed.kind === 'ping' && this.pongs()) queueMicrotask(() => !this.closed && this.say({ kind: 'pong', nonce: parsed.nonce, syncAgeMs: 0 }))
  }

  close(): void {
    this.closed = true
  }

  open(): void {
    this.#handlers.opened()
  }

  lose(failure: Parameters<LinkHandlers['lost']>[0] = 'lost'): void {
    this.#handlers.lost(failure)
  }

  /** A part of a message that is not there yet. */
  part(): void {
    this.#handlers.heard()
  }

  receive(bytes: Buffer): void {
    this.#handlers.heard()
    this.#handlers.message(bytes)
  }

  say(message: ToGateway): void {
    this.receive(printToGateway(message))
  }

  piece({ join }: { join: number }, to: number, text = `piece ${to};`): void {
    this.say({ kind: 'piece', join, to, events: Buffer.from(text) })
  }

  ready({ join, group }: Kind<'join'>, at: number, { epoch = 0, text = '' } = {}): void {
    this.say({ kind: 'ready', join, group, epoch, at, events: Buffer.from(text), ready: Buffer.from(`ready ${at};`) })
  }

  flush({ group }: { group: number }, from: number, to: number, epoch = 0): void {
    this.say({ kind: 'flush', group, epoch, from, to, events: Buffer.from(`${from}-${to};`) })
  }

  of<K extends ToEdge['kind']>(kind: K): Kind<K>[] {
    return this.sent.filter((message): message is Kind<K> => message.kind === kind)
  }

  get joins(): Kind<'join'>[] {
    return this.of('join')
  }

  /** The weights that were told of a group, in order. */
  weights({ group }: { group: number }): number[] {
    return this.of('weight').flatMap(each => (each.group === group ? [each.weight] : []))
  }
}
