import Database from 'better-sqlite3'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import type { ClusterIdentity } from '../protocol/nodes.js'
import { newClusterId } from '../registry/cluster-identity.js'
import { readCredentials, type Credentials } from '../registry/zookeeper/credentials.js'
import { ConfigError } from '../runtime/config.js'
import { closeFolder } from '../runtime/private-files.js'

/** A process of the cluster in DATA/cluster.json. */
export interface Member {
  readonly id: string
  /** Null while it is down, and for a ZooKeeper that is not ours. */
  readonly pid: number | null
  readonly url: string | null
  readonly internalUrl: string | null
}

/** DATA/cluster.json: the running processes, kept current. ZooKeeper's url is a value of ZOOKEEPER_CONNECT. */
export interface ClusterRecord {
  /** As its registry has it. */
  readonly cluster?: ClusterIdentity
  /** The file of the parts' credentials for ZooKeeper, relative to the folder; absent where there is none. */
  readonly zookeeperAuthFile?: string | undefined
  readonly zookeeper: readonly Member[]
  /** Where the cluster has one of its own; its url is a value of STORE_URL. */
  readonly cassandra?: readonly Member[] | undefined
  readonly gateways: readonly Member[]
  readonly dispatchers: readonly Member[]
  readonly edges: readonly Member[]
}

const identitySchema = z.object({ id: z.string(), name: z.string(), chroot: z.string() })
/** Which cluster's the folder is, and where its registry is in a ZooKeeper of its own: DATA/identity.json. It is written
 * once, so that two clusters never share a registry by default. */
export type FolderIdentity = z.infer<typeof identitySchema>

/** Where the registry was before each folder had a place of its own. */
export const FORMER_CHROOT = '/live-comments'
const MAX_LOG_BYTES = 10_000_000

export class FolderInUseError extends Error {}

/** The data folder of one cluster, owned by one supervisor at a time, and closed to other users of the machine. */
export class DataFolder {
  /** Other users could read it, or parts of it, before. */
  readonly wasOpen: boolean
  readonly comments: string
  readonly zookeeper: string
  readonly cassandra: string
  readonly identity: FolderIdentity
  readonly #lock: Database.Database
  readonly #path: string

  /** @throws FolderInUseError if another supervisor uses it; SharedFolderError; ConfigError if identity.json is damaged; Error
   * if it cannot be written */
  constructor(path: string) {
    this.#path = path
    mkdirSync(path, { recursive: true, mode: 0o700 })
    this.wasOpen = closeFolder(path)
    mkdirSync(join(path, 'logs'), { recursive: true, mode: 0o700 })
    this.comments = join(path, 'comments.db')
    this.zookeeper = join(path, 'zookeeper')
    this.cassandra = join(path, 'cassandra')
    // A kernel lock, taken through SQLite: it disappears with its holder, however that ends.
    this.#lock = new Database(join(path, 'supervisor.lock'), { timeout: 0 })
    try {
      this.#lock.exec('BEGIN EXCLUSIVE')
    } catch (cause) {
      if ((cause as { code?: string }).code !== 'SQLITE_BUSY') throw cause
      const url = this.readRecord()?.gateways[0]?.url
      throw new FolderInUseError(`a cluster is already running on ${path}${url ? `: ${url}` : ''}`, { cause })
    }
    this.identity = this.#identify()
  }

  /** The last record that this supervisor or a former one wrote. */
  readRecord(): ClusterRecord | undefined {
    try {
      return JSON.parse(readFileSync(join(this.#path, 'cluster.json'), 'utf8')) as ClusterRecord
    } catch {
      return undefined
    }
  }

  writeRecord(record: ClusterRecord): void {
    this.#replace('cluster.json', `${JSON.stringify(record, undefined, 2)}\n`)
  }

  /** Removes what is of use only while the cluster runs. */
  removeRecord(): void {
    for (const name of ['cluster.json', 'author-token']) rmSync(join(this.#path, name), { force: true })
  }

  /** The internal token of a former supervisor's parts. */
  readToken(): string | undefined {
    try {
      return readFileSync(join(this.#path, 'internal-token'), 'utf8').trim()
    } catch {
      return undefined
    }
  }

  newToken(): string {
    const token = newSecret()
    this.#replace('internal-token', `${token}\n`)
    return token
  }

  /** The file of the credentials for the folder's own ZooKeeper, made once: its entries belong to them for good. */
  zookeeperAuthFile(): string {
    const file = join(this.#path, 'zookeeper-auth')
    if (!existsSync(file)) this.#replace('zookeeper-auth', `live-comments:${newSecret()}\n`)
    return file
  }

  /** Those credentials; none where the file has never been made. @throws ConfigError when it cannot be read */
  zookeeperAuth(): Credentials {
    const file = join(this.#path, 'zookeeper-auth')
    try {
      return existsSync(file) ? readCredentials(file) : []
    } catch (cause) {
      throw new ConfigError(`--data: ${file}: ${(cause as Error).message}`, { cause })
    }
  }

  /** The file of the password for the folder's own Cassandra, made once. */
  cassandraPasswordFile(): string {
    const file = join(this.#path, 'cassandra-password')
    if (!existsSync(file)) this.#replace('cassandra-password', `${newSecret()}\n`)
    return file
  }

  /** Keeps a token that names an author, for whoever tries the cluster. @returns its path */
  writeAuthorToken(token: string): string {
    this.#replace('author-token', `${token}\n`)
    return join(this.#path, 'author-token')
  }

  /** The path of a part's log, without the suffix. A large log is rotated; one old log is kept. */
  logFile(id: string): string {
    const file = join(this.#path, 'logs', id)
    const size = statSync(`${file}.log`, { throwIfNoEntry: false })?.size ?? 0
    if (size > MAX_LOG_BYTES) renameSync(`${file}.log`, `${file}.log.1`)
    return file
  }

  unlock(): void {
    this.#lock.close()
  }

  /** A folder that is older than identities keeps its chroot: parts elsewhere may use it. */
  #identify(): FolderIdentity {
    const file = join(this.#path, 'identity.json')
    if (existsSync(file)) {
      try {
        return identitySchema.parse(JSON.parse(readFileSync(file, 'utf8')))
      } catch (cause) {
        throw new ConfigError(`--data: ${file} was not written by a local cluster`, { cause })
      }
    }
    const id = newClusterId()
    const isOlder = existsSync(this.comments) || existsSync(this.zookeeper)
    const identity = { id, name: nameOf(this.#path), chroot: isOlder ? FORMER_CHROOT : `${FORMER_CHROOT}-${id}` }
    this.#replace('identity.json', `${JSON.stringify(identity)}\n`)
    return identity
  }

  /** Replaces a file atomically, with mode 0600. */
  #replace(name: string, text: string): void {
    const file = join(this.#path, name)
    rmSync(`${file}.new`, { force: true })
    const descriptor = openSync(`${file}.new`, 'wx', 0o600)
    try {
      writeFileSync(descriptor, text)
    } finally {
      closeSync(descriptor)
    }
    renameSync(`${file}.new`, file)
  }
}

function newSecret(): string {
  return randomBytes(24).toString('base64url')
}

/** What people call a folder: `live` for /srv/live and for /srv/live/data. */
function nameOf(path: string): string {
  const name = basename(path) === 'data' ? basename(dirname(path)) : basename(path)
  return name.replace(/[^\x20-\x7e]/g, '-').slice(0, 64) || 'live-comments'
}
