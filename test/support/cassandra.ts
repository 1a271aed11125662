import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Guard } from '../../cluster/guard.js'
import { javaCommand } from '../../registry/zookeeper/local-server.js'
import { projectRoot } from '../../runtime/root.js'
import { until } from './until.js'

/** Where setup.sh puts Cassandra's jars, for the long tests. */
const JARS = join(projectRoot, '.cache', 'cassandra')
const HOST = '127.0.0.1'
const HEAP_MB = 512
const START_MS = 120_000
export const DATA_CENTRE = 'datacenter1'

// What Cassandra does to Java's insides, as its own start script allows it on Java 17.
const EXPORTS = 'java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.util.jar jdk.management/com.sun.management.internal java.rmi/sun.rmi.registry java.sql/java.sql java.management.rmi/com.sun.jmx.remote.internal.rmi'
const OPENS = 'java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.net java.base/java.nio java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/jdk.internal.loader java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.util.jar java.base/sun.nio.ch java.management.rmi/sun.rmi.transport java.rmi/sun.rmi.server java.rmi/sun.rmi.transport java.rmi/sun.rmi.transport.tcp java.sql/java.sql jdk.management/com.sun.management.internal'

/** Why there can be no Cassandra here, or false: the `skip` of a test. */
export const noCassandra: string | false = missing()

function missing(): string | false {
  if (!existsSync(JARS) || !readdirSync(JARS).some(name => /^cassandra-all-/.test(name))) return 'Cassandra\'s jars are not in .cache/cassandra: ./setup.sh --for-long-tests fetches them, with Maven'
  if (spawnSync(javaCommand(), ['-version'], { stdio: 'ignore' }).status !== 0) return 'Cassandra needs Java 17, and there is none: run ./setup.sh'
  return false
}

export interface TestCassandraOptions {
  /** A PKCS#12 file with its certificate and key, and its password: it takes TLS alone, and users with passwords alone, at first
   * `cassandra` with the password `cassandra`. */
  readonly keystore?: { readonly path: string; readonly password: string }
}

/** A real Cassandra of a test's own: one node, whose acknowledged writes are on disk. */
export class TestCassandra {
  readonly folder: string
  readonly port: number
  readonly #storagePort: number
  readonly #options: TestCassandraOptions
  readonly #guard = new Guard()
  #process: ChildProcess | undefined

  private constructor(folder: string, port: number, storagePort: number, options: TestCassandraOptions) {
    this.#options = options
    this.folder = folder
    this.port = port
    this.#storagePort = storagePort
  }

  static async launch(folder: string, options: TestCassandraOptions = {}): Promise<TestCassandra> {
    const [port, storagePort] = await freePorts(2)
    const cassandra = new TestCassandra(folder, port!, storagePort!, options)
    await cassandra.start()
    return cassandra
  }

  /** For a keyspace. @param port of a proxy, where it is reached through one */
  url(keyspace: string, port = this.port): string {
    return `cassandra://${HOST}:${port}/${keyspace}?dc=${DATA_CENTRE}`
  }

  /** With the data it had. */
  async start(): Promise<void> {
    mkdirSync(join(this.folder, 'conf'), { recursive: true })
    const configuration = join(this.folder, 'conf', 'cassandra.yaml')
    writeFileSync(configuration, this.#configuration())
    const log = openSync(join(this.folder, 'cassandra.log'), 'a')
    const java = spawn(javaCommand(), [...this.#flags(configuration), 'org.apache.cassandra.service.CassandraDaemon'], { detached: true, stdio: ['ignore', log, log], cwd: this.folder })
    closeSync(log)
    await once(java, 'spawn')
    this.#process = java
    this.#guard.protect([java.pid!])
    await until(async () => {
      if (java.exitCode !== null) throw new Error(`Cassandra ended while starting:\n${readFileSync(join(this.folder, 'cassandra.log'), 'utf8').slice(-2_000)}`)
      return listens(this.port)
    }, { what: 'Cassandra serves', timeoutMs: START_MS })
  }

  /** It keeps its connections and says nothing, until {@link thaw}. */
  freeze(): void {
    this.#process!.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process!.kill('SIGCONT')
  }

  /** SIGKILL: no farewell. */
  async kill(): Promise<void> {
    const process = this.#process!
    const ended = once(process, 'exit')
    process.kill('SIGKILL')
    await ended
    this.#process = undefined
  }

  async close(): Promise<void> {
    if (this.#process) await this.kill()
    this.#guard.close()
  }

  #configuration(): string {
    const { folder } = this
    return [
      'cluster_name: live-comments-test',
      'num_tokens: 1',
      'partitioner: org.apache.cassandra.dht.Murmur3Partitioner',
      'commitlog_sync: batch',
      'commitlog_segment_size: 8MiB',
      'seed_provider:',
      '  - class_name: org.apache.cassandra.locator.SimpleSeedProvider',
      `    parameters: [{ seeds: "${HOST}:${this.#storagePort}" }]`,
      `listen_address: ${HOST}`,
      `storage_port: ${this.#storagePort}`,
      `rpc_address: ${HOST}`,
      'start_native_transport: true',
      `native_transport_port: ${this.port}`,
      'endpoint_snitch: SimpleSnitch',
      'auto_snapshot: false',
      `data_file_directories: [${folder}/data]`,
      ...['commitlog', 'saved_caches', 'hints', 'cdc_raw'].map(name => `${name}_directory: ${folder}/${name}`),
      ...this.#secure(),
      '',
    ].join('\n')
  }

  #secure(): string[] {
    const { keystore } = this.#options
    if (!keystore) return []
    return [
      'authenticator: { class_name: PasswordAuthenticator }',
      'client_encryption_options:',
      '  enabled: true',
      '  optional: false',
      `  keystore: ${keystore.path}`,
      `  keystore_password: ${keystore.password}`,
      '  store_type: PKCS12',
    ]
  }

  #flags(configuration: string): string[] {
    const agent = readdirSync(JARS).find(name => /^jamm-/.test(name))!
    return [
      ...EXPORTS.split(' ').flatMap(each => ['--add-exports', `${each}=ALL-UNNAMED`]),
      ...OPENS.split(' ').flatMap(each => ['--add-opens', `${each}=ALL-UNNAMED`]),
      `-Xms${HEAP_MB}m`,
      `-Xmx${HEAP_MB}m`,
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1', // it does not live long enough for the optimizing compiler to pay
      `-javaagent:${join(JARS, agent)}`,
      `-Dcassandra.config=file://${configuration}`,
      `-Dcassandra.storagedir=${this.folder}`,
      '-Dcassandra-foreground=yes',
      '-Djdk.attach.allowAttachSelf=true',
      '-Dio.netty.tryReflectionSetAccessible=true',
      '-Dcassandra.skip_wait_for_gossip_to_settle=0',
      '-Dcassandra.ring_delay_ms=0',
      '-Dcassandra.superuser_setup_delay_ms=0',
      '-cp',
      `${join(this.folder, 'conf')}:${JARS}/*`,
    ]
  }
}

/** Starts one in a folder of its own; both are gone when `t` ends. */
export async function startCassandra(t: Test, options: TestCassandraOptions = {}): Promise<TestCassandra> {
  const folder = mkdtempSync(join(tmpdir(), 'cassandra-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const cassandra = await TestCassandra.launch(folder, options)
  t.after(() => cassandra.close())
  return cassandra
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  for (const server of servers) await once(server.listen(0, HOST), 'listening')
  const ports = servers.map(server => (server.address() as AddressInfo).port)
  for (const server of servers) server.close()
  return ports
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, HOST)
    socket.once('connect', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })
}
