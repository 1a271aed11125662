import { VERSION } from '../../runtime/version.js'
import { makeCertificate } from '../../test/support/certificate.js'
import { Cluster } from '../../test/support/cluster.js'
import { hostAndPort, socketRequest, streamRequest, type PostTarget, type StreamTarget } from '../load/target.js'
import { temporaryFolder } from './child.js'
import type { EdgeState, RunningSystem, ServerProcess } from './system.js'

const PROFILER = new URL('../measure/profiler.js', import.meta.url).href

export const TRANSPORTS = ['sse', 'websocket'] as const
export type LiveTransport = (typeof TRANSPORTS)[number]

export interface LiveOptions {
  /** Whether viewers connect to the edges' own ports, or to the gateways as the public does. */
  readonly via: 'edge' | 'gateway'
  /** What a delivery costs is counted in the edges, and in the gateways where viewers go through them; or in those alone. */
  readonly counted?: 'gateway'
  readonly gateways?: number
  readonly dispatchers?: number
  readonly edges?: number
  readonly gzip?: boolean
  /** How viewers watch; by server-sent events without. */
  readonly transport?: LiveTransport
  /** Whether the public ports speak TLS, with a certificate of this run. */
  readonly tls?: boolean
  /** Most viewers that one edge takes. */
  readonly capacity?: number
  /** Of the parts, besides. */
  readonly env?: Readonly<Record<string, string>>
  /** Where the parts write their CPU profiles when they stop. */
  readonly profile?: string | undefined
}

/** A whole cluster of ours: real processes, a real ZooKeeper. */
export class LiveSystem implements RunningSystem {
  readonly name: string
  readonly about: string
  readonly streams: readonly StreamTarget[]
  readonly posts: readonly PostTarget[]
  readonly stampsAccepted = true
  readonly promisesDelivery = true
  readonly cluster: Cluster
  readonly #delivering: RegExp
  readonly #via: LiveOptions['via']
  readonly #remove: () => void

  private constructor(cluster: Cluster, remove: () => void, { via, counted, gzip = false, tls = false, transport = 'sse' }: LiveOptions) {
    this.cluster = cluster
    this.#remove = remove
    this.#via = via
    this.#delivering = counted === 'gateway' ? /^gateway/ : via === 'gateway' ? /^(edge|gateway)/ : /^edge/
    const { edges, gateways, dispatchers } = cluster.record()
    this.name = `live-comments, ${via}${transport === 'websocket' ? ', WebSocket' : ''}${tls ? ', TLS' : ''}${gzip ? ', gzip' : ''}`
    this.about = `${VERSION}; ${edges.length} edge, ${gateways.length} gateway, ${dispatchers.length} dispatcher, SQLite with synchronous=FULL, ZooKeeper`
    const path = '/comments/{video}'
    const stream: Pick<StreamTarget, 'request' | 'protocol' | 'ready'> = transport === 'sse'
      ? { request: streamRequest(path, gzip ? { 'accept-encoding': 'gzip' } : {}), protocol: 'sse', ready: 'event: ready' }
      : { request: socketRequest(path), protocol: 'websocket', ready: '"event":"ready"' }
    this.streams = (via === 'edge' ? edges : gateways).map(({ url }) => ({ ...hostAndPort(url!), ...stream }))
    this.posts = gateways.map(({ url }) => ({
      ...hostAndPort(url!),
      line: 'POST /comments/{video}',
      headers: { 'content-type': 'application/json' },
      payload: 'draft',
      prefix: '',
      suffix: '',
      form: false,
    }))
  }

  static async start(options: LiveOptions): Promise<LiveSystem> {
    const { gateways = 1, dispatchers = 1, edges = 1, capacity = 19_000, env = {}, tls = false, profile } = options
    const folder = temporaryFolder()
    const files = tls ? makeCertificate(folder.path) : undefined
    const secure = files ? { TLS_CERT_FILE: files.certificate, TLS_KEY_FILE: files.key } : {}
    const flags = ['--gateways', gateways, '--dispatchers', dispatchers, '--edges', edges].map(String)
    const profiling = profile === undefined ? {} : { BENCH_PROFILE: profile, NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import=${PROFILER}`.trim() }
    // Viewers come at the benchmark's own rate, and none that is told to come back would. Its hundreds of connections that all post
    // are a proxy's: of a single client's, those that have sent nothing yet could hide a flood, and would be ended with their answers.
    const cluster = new Cluster(folder.path, flags, { LOG_LEVEL: 'warn', JOIN_RATE: '1000000', EDGE_CAPACITY: String(capacity), EDGE_VIDEO_SHARE: String(capacity), TRUSTED_PROXIES: '127.0.0.1', ...secure, ...env, ...profiling })
    try {
      await cluster.ready()
      return new LiveSystem(cluster, folder.remove, options)
    } catch (error) {
      await cluster.stop()
      folder.remove()
      throw error
    }
  }

  processes(): ServerProcess[] {
    return this.cluster.members().flatMap(({ id, pid }) => (pid === null ? [] : [{ name: id, pid, delivers: this.#delivering.test(id) }]))
  }

  async edgeState(): Promise<EdgeState> {
    // Of the part that writes to the viewers.
    const { id } = this.#via === 'gateway' ? this.cluster.record().gateways[0]! : this.cluster.record().edges[0]!
    // This first: the reading begins anew with every scrape.
    const loopDelay = await this.cluster.metric(id, 'nodejs_eventloop_lag_p99_seconds')
    return { loopDelayMs: loopDelay * 1000, flushIntervalMs: (await this.cluster.metric(id, `live_${this.#via}_flush_interval_seconds`)) * 1000 }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stop()
    this.#remove()
  }
}
