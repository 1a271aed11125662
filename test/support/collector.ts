import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A span as it came. */
export interface CollectedSpan {
  readonly service: string
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly { readonly key: string; readonly value: { readonly stringValue?: string; readonly intValue?: string } }[]
}

interface Export {
  readonly resourceSpans: readonly {
    readonly resource: Pick<CollectedSpan, 'attributes'>
    readonly scopeSpans: readonly { readonly spans: readonly Omit<CollectedSpan, 'service'>[] }[]
  }[]
}

/** A collector of OpenTelemetry, as far as its clients see it: OTLP over HTTP, JSON. */
export class Collector {
  readonly spans: CollectedSpan[] = []
  /** Of the last request. */
  headers: NodeJS.Dict<string | string[]> = {}
  /** The status of its answers. */
  status = 200
  readonly #server: Server

  private constructor() {
    this.#server = createServer((request, response) => {
      void text(request).then(body => {
        this.headers = request.headers
        const isTaken = this.status === 200 && request.method === 'POST' && request.url === '/v1/traces' && request.headers['content-type'] === 'application/json'
        if (isTaken) this.#take(JSON.parse(body) as Export)
        response.writeHead(isTaken ? 200 : this.status === 200 ? 400 : this.status, { 'content-type': 'application/json' }).end('{}')
      })
    })
  }

  static async start(): Promise<Collector> {
    const collector = new Collector()
    collector.#server.listen(0, '127.0.0.1')
    await once(collector.#server, 'listening')
    return collector
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  #take({ resourceSpans }: Export): void {
    for (const { resource, scopeSpans } of resourceSpans) {
      const service = resource.attributes.find(({ key }) => key === 'service.name')!.value.stringValue!
      for (const { spans } of scopeSpans) this.spans.push(...spans.map(span => ({ service, ...span })))
    }
  }
}
