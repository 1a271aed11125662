import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { end, endLeftOver, javaCommand, type ServerExit } from '../../registry/zookeeper/local-server.js'
import { findJars } from './jars.js'

export interface LocalNodeOptions {
  /** Its configuration, log and data; for this node alone. Made if missing. */
  readonly folder: string
  /** For CQL. */
  readonly port: number
  /** For other nodes; Cassandra listens there also where there are none. */
  readonly storagePort: number
  /** The loopback address where it listens; HOST by default. */
  readonly host?: string
  /** Its place among several nodes, which it does not copy anything from: those that begin together. */
  readonly ring?: { /** The address of the first. */ readonly seed: string; readonly token: string }
  /** MB; 512 by default. */
  readonly heapMb?: number
  /** Only users with passwords may do anything, and each only what it is permitted; the first is `cassandra`, with that password. */
  readonly passwords?: boolean
  /** A PKCS#12 file with its certificate and key, and its password: clients must speak TLS. */
  readonly keystore?: { readonly path: string; readonly password: string } | undefined
  /** Most time until it answers, ms; 120 s by default. */
  readonly startTimeoutMs?: number
  /** The JVM runs; it answers much later. */
  readonly onSpawn?: (pid: number) => void
}

/** A node of Cassandra on this machine, mostly the only one. */
export interface LocalNode {
  /** Of the JVM, which leads a process group of its own. */
  readonly pid: number
  /** Resolves when the process has ended. */
  readonly exited: Promise<ServerExit>
  /** Ends it, after 3 s by force. What it has acknowledged is on disk in either case. */
  stop(): Promise<void>
}

export const HOST = '127.0.0.1'
/** What SimpleSnitch, which knows no other, calls it. */
export const DATA_CENTRE = 'datacenter1'
const HEAP_MB = 512
const START_TIMEOUT_MS = 120_000
const POLL_MS = 100
/** The only version on which Cassandra 5.0 runs and that still gets updates. */
const JAVA = 17

// What Cassandra does to Java's insides, as its own start script allows it on Java 17.
const EXPORTS = 'java.base/java.lang.module java.base/jdk.internal.loader java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.util.jar jdk.management/com.sun.management.internal java.rmi/sun.rmi.registry java.sql/java.sql java.management.rmi/com.sun.jmx.remote.internal.rmi'
const OPENS = 'java.base/java.io java.base/java.lang java.base/java.lang.module java.base/java.lang.reflect java.base/java.net java.base/java.nio java.base/java.util java.base/java.util.concurrent java.base/java.util.concurrent.atomic java.base/jdk.internal.loader java.base/jdk.internal.math java.base/jdk.internal.module java.base/jdk.internal.ref java.base/jdk.internal.reflect java.base/jdk.internal.util.jar java.base/sun.nio.ch java.management.rmi/sun.rmi.transport java.rmi/sun.rmi.server java.rmi/sun.rmi.transport java.rmi/sun.rmi.transport.tcp java.sql/java.sql jdk.management/com.sun.management.internal'

/** Why there is no Java that runs a Cassandra, for people; undefined where there is one. */
export function unfitJava(): string | undefined {
  const { error, stderr } = spawnSync(javaCommand(), ['-version'], { encoding: 'utf8' })
  const how = `install Java ${JAVA} and name its folder in JAVA_HOME, or name a Cassandra that runs by STORE_URL`
  if (error) return `Cassandra needs Java ${JAVA}, and '${javaCommand()}' cannot be run: ${how}`
  const version = Number(/ version "(\d+)/.exec(stderr)?.[1])
  return version === JAVA ? undefined : `Cassandra needs Java ${JAVA}, and '${javaCommand()}' is Java ${Number.isNaN(version) ? 'of an unknown version' : version}: ${how}`
}

/** Starts a Cassandra on loopback, with the data that its folder has, and resolves once it answers. Its acknowledged writes are
 * on disk. First it ends one that a crash of ours has left running on the same folder.
 * @throws Error that says what to do when Java or Cassandra is missing; when it does not start, one with the end of its log */
export async function startLocalNode(options: LocalNodeOptions): Promise<LocalNode> {
  const jars = findJars()
  const folder = resolve(options.folder)
  const files = { conf: join(folder, 'conf'), log: join(folder, 'cassandra.log'), pid: join(folder, 'cassandra.pid') }
  mkdirSync(files.conf, { recursive: true })
  await endLeftOver(files.pid, storageFlag(folder))
  const configuration = join(files.conf, 'cassandra.yaml')
  writeFileSync(configuration, yaml(folder, options))
  writeFileSync(join(files.conf, 'logback.xml'), LOGBACK)

  const log = openSync(files.log, 'w')
  const java = spawn(javaCommand(), [...flags(jars, folder, configuration, options.heapMb ?? HEAP_MB), 'org.apache.cassandra.service.CassandraDaemon'], { detached: true, stdio: ['ignore', log, log], cwd: folder })
  closeSync(log)
  try {
    await once(java, 'spawn')
  } catch (cause) {
    throw new Error(unfitJava() ?? (cause as Error).message, { cause })
  }
  const pid = java.pid!
  options.onSpawn?.(pid)
  writeFileSync(files.pid, `${pid}\n`)
  const exited = new Promise<ServerExit>(done => {
    java.once('exit', (code, signal) => {
      rmSync(files.pid, { force: true })
      done({ code, signal })
    })
  })

  const deadline = performance.now() + (options.startTimeoutMs ?? START_TIMEOUT_MS)
  while (!(await answers(options.host ?? HOST, options.port))) {
    const hasEnded = java.exitCode !== null || java.signalCode !== null
    if (!hasEnded && performance.now() < deadline) {
      await sleep(POLL_MS)
      continue
    }
    await end(pid, exited)
    const tail = readFileSync(files.log, 'utf8').trim().split('\n').slice(-5).join('\n')
    throw new Error(`Cassandra ${hasEnded ? 'ended while starting' : 'did not answer in time'}; its log, ${files.log}, ends:\n${tail}`)
  }
  return { pid, exited, stop: () => end(pid, exited) }
}

/** The blank at its end keeps it from being part of another folder's. */
function storageFlag(folder: string): string {
  return `-Dcassandra.storagedir=${folder} `
}

function flags(jars: string, folder: string, configuration: string, heapMb: number): string[] {
  const agent = readdirSync(jars).find(name => name.startsWith('jamm-'))!
  return [
    ...EXPORTS.split(' ').flatMap(each => ['--add-exports', `${each}=ALL-UNNAMED`]),
    ...OPENS.split(' ').flatMap(each => ['--add-opens', `${each}=ALL-UNNAMED`]),
    `-Xms${heapMb}m`,
    `-Xmx${heapMb}m`,
    '-XX:+UseSerialGC',
    // Without the optimising compiler it starts with half of the processor time.
    '-XX:TieredStopAtLevel=1',
    '-XX:+ExitOnOutOfMemoryError',
    `-javaagent:${join(jars, agent)}`,
    `-Dcassandra.config=${pathToFileURL(configuration).href}`,
    storageFlag(folder).trimEnd(),
    '-Dcassandra-foreground=yes',
    '-Djdk.attach.allowAttachSelf=true',
    '-Dio.netty.tryReflectionSetAccessible=true',
    '-Dcassandra.skip_wait_for_gossip_to_settle=0',
    '-Dcassandra.ring_delay_ms=0',
    '-Dcassandra.superuser_setup_delay_ms=0',
    // Our password is of 192 random bits: many rounds would only make each connection slow.
    '-Dcassandra.auth_bcrypt_gensalt_log2_rounds=4',
    '-cp',
    `${join(folder, 'conf')}:${jars}/*`,
  ]
}

function yaml(folder: string, { host = HOST, port, storagePort, ring, passwords = false, keystore }: LocalNodeOptions): string {
  const path = (name: string) => JSON.stringify(join(folder, name))
  return [
    'cluster_name: live-comments',
    'num_tokens: 1',
    ...(ring ? [`initial_token: ${ring.token}`, 'auto_bootstrap: false'] : []),
    'partitioner: org.apache.cassandra.dht.Murmur3Partitioner',
    'commitlog_sync: batch',
    'commitlog_segment_size: 8MiB',
    'seed_provider:',
    '  - class_name: org.apache.cassandra.locator.SimpleSeedProvider',
    `    parameters: [{ seeds: "${ring?.seed ?? host}:${storagePort}" }]`,
    `listen_address: ${host}`,
    `storage_port: ${storagePort}`,
    `rpc_address: ${host}`,
    'start_native_transport: true',
    `native_transport_port: ${port}`,
    'endpoint_snitch: SimpleSnitch',
    'auto_snapshot: false',
    `data_file_directories: [${path('data')}]`,
    ...['commitlog', 'saved_caches', 'hints', 'cdc_raw'].map(name => `${name}_directory: ${path(name)}`),
    ...(passwords ? ['authenticator: { class_name: PasswordAuthenticator }', 'authorizer: { class_name: CassandraAuthorizer }'] : []),
    ...(keystore
      ? ['client_encryption_options:', '  enabled: true', '  optional: false', `  keystore: ${keystore.path}`, `  keystore_password: ${keystore.password}`, '  store_type: PKCS12']
      : []),
    '',
  ].join('\n')
}

const LOGBACK = `<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date{ISO8601} %-5level %logger{0} %msg%n</pattern></encoder>
  </appender>
  <root level="WARN"><appender-ref ref="OUT" /></root>
</configuration>
`

function answers(host: string, port: number): Promise<boolean> {
  return new Promise(done => {
    const socket = connect(port, host)
    const end = (is: boolean) => {
      socket.destroy()
      done(is)
    }
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}
