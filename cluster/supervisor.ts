import { readFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ClusterIdentity } from '../protocol/nodes.js'
import { zookeeperAuth, zookeeperAuthVariables } from '../registry/variables.js'
import type { Credentials } from '../registry/zookeeper/credentials.js'
import { ZkError } from '../registry/zookeeper/zk-error.js'
import { ConfigError, readConfig } from '../runtime/config.js'
import { urlOf } from '../runtime/variables.js'
import { Cassandra } from './cassandra/member.js'
import { unfitJava } from './cassandra/local-node.js'
import { describe } from './description.js'
import { Ensemble } from './ensemble.js'
import type { DataFolder, Member } from './folder.js'
import { Guard } from './guard.js'
import { CASSANDRA, provideJars, ZOOKEEPER } from './jars.js'
import { endLeftOver } from './left-over.js'
import type { Options } from './options.js'
import { Part, StartError } from './part.js'
import { isFree, Ports, reachable } from './ports.js'
import { PortClaim, sharePort } from './shared-port.js'

type Role = 'gateway' | 'dispatcher' | 'edge'

const ENTRY = fileURLToPath(new URL('../live-comments.js', import.meta.url))
const LOOPBACK = '127.0.0.1'
/** Time from the order to stop until each kind is killed: all are gone within 5 s. */
const STOP_BY_MS = { gateways: 1_800, edges: 2_800, dispatchers: 3_800, servers: 4_600 }

/** Starts, watches and stops the processes of one cluster. */
export class Supervisor {
  readonly #options: Options
  readonly #env: NodeJS.ProcessEnv
  readonly #folder: DataFolder
  readonly #say: (line: string) => void
  readonly #ports = new Ports()
  readonly #guard = new Guard()
  readonly #stopped = new AbortController()
  #cluster: ClusterIdentity
  /** Undefined where a ZooKeeper is used that runs already. */
  readonly #ensemble: Ensemble | undefined
  /** Undefined where the store is a file, or a Cassandra that runs already. */
  readonly #cassandra: Cassandra | undefined
  /** The parts' credentials for ZooKeeper: the environment's, and without them, for a ZooKeeper of its own, the folder's. */
  readonly #zookeeperEnv: Partial<Record<'ZOOKEEPER_AUTH' | 'ZOOKEEPER_AUTH_FILE', string | undefined>>
  /** The gateways' SHARE_PORT. */
  readonly #sharePort: string
  #claim: PortClaim | undefined
  readonly #parts: Record<Role, Part[]> = { gateway: [], dispatcher: [], edge: [] }
  #stopping = false

  constructor(options: Options, env: NodeJS.ProcessEnv, folder: DataFolder, say: (line: string) => void) {
    this.#options = options
    this.#env = env
    this.#folder = folder
    const { id, name } = folder.identity
    this.#cluster = { id, name }
    this.#say = say
    const { zookeeper, zookeepers: servers, restart, gateways } = options
    this.#sharePort = sharePort(gateways, env['SHARE_PORT'], process.platform)
    const { ZOOKEEPER_AUTH, ZOOKEEPER_AUTH_FILE } = env
    this.#zookeeperEnv = zookeeper !== undefined || ZOOKEEPER_AUTH || ZOOKEEPER_AUTH_FILE ? { ZOOKEEPER_AUTH, ZOOKEEPER_AUTH_FILE } : { ZOOKEEPER_AUTH_FILE: folder.zookeeperAuthFile() }
    if (zookeeper === undefined) this.#ensemble = new Ensemble({ servers, folder: folder.zookeeper, chroot: folder.identity.chroot, ports: this.#ports, restart, say, changed: this.#changed })
    if (options.store === 'cassandra' && !env['STORE_URL']) this.#cassandra = new Cassandra({ folder: folder.cassandra, password: readFileSync(folder.cassandraPasswordFile(), 'utf8').trim(), ports: this.#ports, restart, say, changed: this.#changed })
  }

  /** Starts everything and waits until every part is ready.
   * @returns PUBLIC_URL, or that of the first gateway; undefined if it was stopped meanwhile
   * @throws StartError if a part cannot be started or the port is taken */
  async start(): Promise<string | undefined> {
    const options = this.#options
    const host = publicHost(this.#env)
    if (options.port !== 0 && !((await this.#claims(host, options.port)) && (await isFree(host, options.port)))) throw new StartError(`--port: ${host}:${options.port} is taken`, 1)
    if (options.gateways > 1 && this.#sharePort === 'false') this.#say(`gateways     each has a port of its own${process.platform === 'linux' ? ': SHARE_PORT is false' : ', since only Linux spreads connections over processes that share one'}`)
    const leftOver = endLeftOver(this.#folder)
    if (leftOver > 0) this.#say(`killed ${leftOver} processes left over from a former run`)
    await this.#startServers()
    if (this.#stopping) return undefined
    let { port } = options
    while (port === 0) {
      const free = await this.#ports.take(host)
      if (await this.#claims(host, free)) port = free
    }
    const token = this.#folder.newToken()
    for (const role of ['dispatcher', 'edge', 'gateway'] as const) {
      for (let number = 1; number <= options[`${role}s`]; number++) this.#parts[role].push(await this.#part(role, number, port, token))
    }
    if (this.#stopping) return undefined
    const described = this.#describe()
    // A registry of our own is closed before a part looks at it.
    if (this.#ensemble) await described
    if (this.#stopping) return undefined
    await Promise.all([described, ...this.#all().map(part => part.start())])
    return `${this.#env['PUBLIC_URL']?.replace(/\/+$/, '') || this.#parts.gateway[0]!.url}/`
  }

  /** Stops gateways, edges, dispatchers, and then ZooKeeper and Cassandra. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#stopped.abort()
    const began = performance.now()
    const left = (by: number) => Math.max(0, by - (performance.now() - began))
    const { gateway, edge, dispatcher } = this.#parts
    await Promise.all(gateway.map(part => part.stop(left(STOP_BY_MS.gateways))))
    await Promise.all(edge.map(part => part.stop(left(STOP_BY_MS.edges))))
    await Promise.all(dispatcher.map(part => part.stop(left(STOP_BY_MS.dispatchers))))
    await Promise.all([this.#ensemble?.stop(left(STOP_BY_MS.servers)), this.#cassandra?.stop(left(STOP_BY_MS.servers))])
    this.#guard.close()
    this.#claim?.close()
    this.#folder.removeRecord()
  }

  /** Kills everything at once. */
  kill(): void {
    this.#stopping = true
    for (const part of this.#all()) part.kill()
    this.#ensemble?.kill()
    this.#cassandra?.kill()
    this.#folder.removeRecord()
  }

  /** The value for ZOOKEEPER_CONNECT. */
  get zookeeperConnect(): string {
    return this.#options.zookeeper ?? this.#ensemble!.connect
  }

  /** ZooKeeper and Cassandra, as far as they are the cluster's own. */
  async #startServers(): Promise<void> {
    try {
      const lacksJava = this.#cassandra && unfitJava()
      if (lacksJava !== undefined) throw new Error(lacksJava)
      if (this.#ensemble) await provideJars(ZOOKEEPER, this.#say, this.#stopped.signal)
      if (this.#cassandra) await provideJars(CASSANDRA, this.#say, this.#stopped.signal)
      if (this.#stopping) return
      await Promise.all([this.#ensemble?.start(), this.#cassandra?.start()])
    } catch (cause) {
      if (this.#stopping) return
      throw new StartError((cause as Error).message, 1)
    }
  }

  /** Whose registry it is, and how many parts should be there. What keeps us from writing it keeps the parts from starting,
   * and they say it better. */
  async #describe(): Promise<void> {
    const own = this.#cluster
    try {
      const { gateways, edges, dispatchers } = this.#options
      const isOwn = this.#ensemble !== undefined
      this.#cluster = await describe({ connect: this.zookeeperConnect, auth: this.#zookeeperAuth(), isOwn, identity: own, nodes: { gateways, edges, dispatchers }, signal: this.#stopped.signal })
    } catch (error) {
      if (error instanceof ConfigError || this.#stopping) return
      if (!(error instanceof ZkError)) throw error
      return this.#say(`the registry is not told which cluster it is of: ${error.message}`)
    }
    const { id, name } = this.#cluster
    this.#say(`${'cluster'.padEnd(12)} ${id === own.id ? '' : 'joined: '}${name}, ${this.zookeeperConnect}`)
    this.#changed()
  }

  /** All the credentials that may open the registry: those of the environment, and those of the folder, which it may belong to.
   * @throws ConfigError */
  #zookeeperAuth(): Credentials | undefined {
    const { ZOOKEEPER_AUTH, ZOOKEEPER_AUTH_FILE } = this.#zookeeperEnv
    const given = zookeeperAuth(readConfig({ ZOOKEEPER_AUTH, ZOOKEEPER_AUTH_FILE }, zookeeperAuthVariables))
    return this.#ensemble && given ? [...new Set([...given, ...this.#folder.zookeeperAuth()])] : given
  }

  /** @returns false if another supervisor has that port */
  async #claims(host: string, port: number): Promise<boolean> {
    this.#claim = await PortClaim.of(host, port)
    return this.#claim !== undefined
  }

  /** @param gatewayPort the first gateway's, which the others may share */
  async #part(role: Role, number: number, gatewayPort: number, token: string): Promise<Part> {
    const options = this.#options
    const id = `${role}-${number}`
    const internalPort = await this.#ports.take(LOOPBACK)
    const internalUrl = urlOf(LOOPBACK, internalPort)
    const host = publicHost(this.#env)
    const isAtGatewayPort = role === 'gateway' && (number === 1 || this.#sharePort === 'true')
    const port = role === 'dispatcher' ? undefined : isAtGatewayPort ? gatewayPort : await this.#ports.take(host)
    return new Part({
      id,
      args: [ENTRY, role],
      env: {
        ...this.#env,
        ...this.#zookeeperEnv,
        NODE_ID: id,
        INTERNAL_HOST: LOOPBACK,
        INTERNAL_PORT: String(internalPort),
        INTERNAL_URL: internalUrl,
        INTERNAL_TOKEN: token,
        INTERNAL_PROOF: this.#env['INTERNAL_PROOF'] || 'require',
        PORT: port === undefined ? undefined : String(port),
        SHARE_PORT: role === 'gateway' ? this.#sharePort : undefined,
        PUBLIC_URL: role === 'gateway' ? this.#env['PUBLIC_URL'] : undefined, // of all gateways together
        TLS_REDIRECT_PORT: isAtGatewayPort ? this.#env['TLS_REDIRECT_PORT'] : undefined,
        ZOOKEEPER_CONNECT: this.zookeeperConnect,
        ...this.#storeEnv(),
      },
      url: port === undefined ? null : urlOf(reachable(host), port, this.#env['TLS_CERT_FILE'] ? 'https' : 'http'),
      internalUrl,
      logFile: this.#folder.logFile(id),
      restart: options.restart,
      watchdogMs: options.watchdogMs,
      say: this.#say,
      changed: this.#changed,
    })
  }

  /** A store of STORE_URL is named by the environment alone. */
  #storeEnv(): NodeJS.ProcessEnv {
    if (this.#options.store === 'sqlite') return { STORE_URL: `sqlite:${this.#folder.comments}` }
    if (!this.#cassandra) return {}
    return { STORE_URL: this.#cassandra.url!, STORE_PASSWORD_FILE: this.#folder.cassandraPasswordFile(), STORE_PASSWORD: undefined, STORE_CA_FILE: undefined }
  }

  #all(): Part[] {
    return [...this.#parts.dispatcher, ...this.#parts.edge, ...this.#parts.gateway]
  }

  readonly #changed = (): void => {
    const { gateway, dispatcher, edge } = this.#parts
    const zookeeper = this.#ensemble?.members ?? [{ id: 'zookeeper', pid: null, url: this.zookeeperConnect, internalUrl: null }]
    const cassandra = this.#cassandra && [this.#cassandra]
    this.#guard.protect([...[...zookeeper, ...(cassandra ?? [])].flatMap(({ pid }) => pid ?? []), ...this.#all().flatMap(({ groups }) => groups)])
    const plain = ({ id, pid, url, internalUrl }: Member): Member => ({ id, pid, url, internalUrl })
    const { ZOOKEEPER_AUTH, ZOOKEEPER_AUTH_FILE: file } = this.#zookeeperEnv
    const zookeeperAuthFile = file && !ZOOKEEPER_AUTH ? relative(this.#options.data, resolve(file)) : undefined
    try {
      this.#folder.writeRecord({ cluster: this.#cluster, zookeeperAuthFile, zookeeper: zookeeper.map(plain), cassandra: cassandra?.map(plain), gateways: gateway.map(plain), dispatchers: dispatcher.map(plain), edges: edge.map(plain) })
    } catch (error) {
      this.#say(`cluster.json cannot be written: ${(error as Error).message}`) // a full disk stops no viewer
    }
  }
}

function publicHost(env: NodeJS.ProcessEnv): string {
  return env.HOST || LOOPBACK
}
