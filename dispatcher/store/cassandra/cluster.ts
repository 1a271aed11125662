import { readFileSync } from 'node:fs'
import { checkServerIdentity, type ConnectionOptions } from 'node:tls'
import cassandra from 'cassandra-driver'
import type { CassandraAddress } from './address.js'
import { CallError, callErrorOf } from './call-error.js'
import type { Cql, Row, Statement } from './cql.js'

const { auth, Client, policies, types } = cassandra

export interface ClusterOptions {
  readonly address: CassandraAddress
  readonly password?: string | undefined
  /** PEM file of the certificates that a node's must be signed by; the system's where there is none. */
  readonly caFile?: string | undefined
}

const CONNECT_MS = 3_000
/** After a connection failed, the next is not tried sooner. */
const RETRY_MS = 500
const DRIVER_HEARTBEAT_MS = 5_000
/** A read that takes so long is also asked of another replica's node. */
const SPECULATE_MS = 150

/** Cassandra's nodes, connected to by the first call, and again by a later one while that fails; from then on the driver does. */
export class Cluster implements Cql {
  readonly #options: ClusterOptions
  #client: cassandra.Client | undefined
  #connecting: Promise<cassandra.Client> | undefined
  #failed: { readonly error: CallError; readonly at: number } | undefined
  /** All that the driver has known: it goes on trying to reach some that it has forgotten. */
  readonly #hosts = new Set<cassandra.Host>()
  #closed = false

  constructor(options: ClusterOptions) {
    this.#options = options
  }

  async read({ cql, params }: Statement, timeoutMs: number, serial = false): Promise<readonly Row[]> {
    const consistency = serial ? types.consistencies.localSerial : types.consistencies.localQuorum
    const { rows } = await this.#call(timeoutMs, client => client.execute(cql, params, { prepare: true, isIdempotent: true, consistency, readTimeout: timeoutMs }))
    return rows.map(plain)
  }

  async write({ cql, params }: Statement, timeoutMs: number): Promise<void> {
    await this.#call(timeoutMs, client => client.execute(cql, params, { prepare: true, isIdempotent: true, readTimeout: timeoutMs }))
  }

  async writeIf(statements: readonly Statement[], timeoutMs: number): Promise<Row | undefined> {
    const queries = statements.map(({ cql, params }) => ({ query: cql, params }))
    const result = await this.#call(timeoutMs, client => client.batch(queries, { prepare: true, logged: false, isIdempotent: false, readTimeout: timeoutMs, retry: new policies.retry.FallthroughRetryPolicy() }))
    const [row] = result.rows
    if (!row) throw new CallError('a conditional write was answered with nothing', true)
    return result.wasApplied() ? undefined : plain(row)
  }

  /** Defines tables and the like: waits until all nodes agree. @throws CallError */
  async define(cql: string): Promise<void> {
    await this.#call(CONNECT_MS, client => client.execute(cql, [], { readTimeout: 20_000 }))
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#connecting?.catch(() => undefined)
    await this.#client?.shutdown()
    for (const host of this.#hosts) await letGo(host)
  }

  async #call(timeoutMs: number, run: (client: cassandra.Client) => Promise<cassandra.types.ResultSet>): Promise<cassandra.types.ResultSet> {
    try {
      return await run(this.#client ?? (await within(timeoutMs, this.#connected())))
    } catch (error) {
      throw callErrorOf(error)
    }
  }

  /** @throws CallError */
  #connected(): Promise<cassandra.Client> {
    if (this.#closed) return Promise.reject(new CallError('the store is closed', false))
    if (this.#failed && performance.now() - this.#failed.at < RETRY_MS) return Promise.reject(this.#failed.error)
    return (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined)))
  }

  async #connect(): Promise<cassandra.Client> {
    let client: cassandra.Client | undefined
    try {
      client = new Client(clientOptions(this.#options))
      client.on('hostAdd', (host: cassandra.Host) => this.#hosts.add(host))
      await client.connect()
      for (const host of client.hosts.values()) this.#hosts.add(host)
      this.#failed = undefined
      return (this.#client = client)
    } catch (error) {
      const failed = callErrorOf(error)
      // Nothing but the connection was tried.
      this.#failed = { error: new CallError(failed.message, false, { cause: error }), at: performance.now() }
      if (client) abandon(client)
      throw this.#failed.error
    }
  }
}

function letGo(host: cassandra.Host): Promise<void> {
  return (host as unknown as { shutdown(waitForPending: boolean): Promise<void> }).shutdown(false)
}

/** A client that could not connect may have a connection all the same, which its own shutdown leaves open. */
function abandon(client: cassandra.Client): void {
  const { controlConnection } = client as unknown as { controlConnection: { connection?: { closeAsync(): Promise<void> }; shutdown(): void; reset(): Promise<void> } }
  const { connection } = controlConnection
  controlConnection.shutdown()
  void Promise.allSettled([controlConnection.reset(), connection?.closeAsync(), client.shutdown()])
}

/** @throws CallError where a file cannot be read */
function clientOptions({ address, password, caFile }: ClusterOptions): cassandra.ClientOptions {
  return {
    contactPoints: [...address.contactPoints],
    localDataCenter: address.dataCentre,
    ...(address.user === undefined ? {} : { authProvider: new auth.PlainTextAuthProvider(address.user, password ?? '') }),
    ...(address.tls ? { sslOptions: tlsOptions(address.hosts, caFile) } : {}),
    socketOptions: { connectTimeout: CONNECT_MS, readTimeout: CONNECT_MS, tcpNoDelay: true },
    pooling: { heartBeatInterval: DRIVER_HEARTBEAT_MS, warmup: true },
    policies: {
      reconnection: new policies.reconnection.ConstantReconnectionPolicy(RETRY_MS),
      speculativeExecution: new policies.speculativeExecution.ConstantSpeculativeExecutionPolicy(SPECULATE_MS, 1),
      // The nodes' clocks give the times, never ours.
      timestampGeneration: null as never,
    },
    encoding: { useUndefinedAsUnset: true },
    queryOptions: { consistency: types.consistencies.localQuorum, serialConsistency: types.consistencies.localSerial, prepare: true },
  }
}

/** The driver connects to addresses, but a certificate may be for a name: one of those in the URL. */
function tlsOptions(hosts: readonly string[], caFile: string | undefined): ConnectionOptions {
  return {
    rejectUnauthorized: true,
    ...(caFile === undefined ? {} : { ca: readPem(caFile) }),
    checkServerIdentity: (host, certificate) => {
      const wrong = checkServerIdentity(host, certificate)
      return wrong && hosts.some(name => checkServerIdentity(name, certificate) === undefined) ? undefined : wrong
    },
  }
}

function readPem(path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new CallError(`STORE_CA_FILE: ${path} cannot be read: ${(cause as NodeJS.ErrnoException).code}`, false, { cause })
  }
}

/** Longs become numbers: all of ours are below 2^53. */
function plain(row: cassandra.types.Row): Row {
  return Object.fromEntries(row.keys().map(name => [name, plainValue(row[name])]))
}

function plainValue(value: unknown): unknown {
  if (value instanceof types.Long) return value.toNumber()
  if (value instanceof types.Uuid) return value.toString()
  if (value instanceof Date) return value.getTime()
  return value
}

async function within<T>(timeoutMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => (timer = setTimeout(() => reject(new CallError('no connection in time', false)), timeoutMs)))
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
