import Database from 'better-sqlite3'
import { randomBytes } from 'node:crypto'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import type { ClusterIdentity } from '../protocol/nodes.js'
import { ConfigError } from '../runtime/config.js'

/** One process of the cluster, as DATA/cluster.json has it. */
export interface Member {
  readonly id: string
  /** Null while it is down, and of a ZooKeeper that is not ours. */
  readonly pid: number | null
  readonly url: string | null
  readonly internalUrl: string | null
}

/** What runs, kept current: DATA/cluster.json. A zookeeper's url is what ZOOKEEPER_CONNECT takes. */
export interface ClusterRecord {
  /** As its registry has it. */
  readonly cluster?: ClusterIdentity
  readonly zookeeper: readonly Member[]
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

/** The folder of one cluster's data, owned by one supervisor at a time. */
export class DataFolder {
  readonly comments: string
  readonly zookeeper: string
  readonly identity: FolderIdentity
  readonly #lock: Database.Database
  readonly #path: string

  /** @throws FolderInUseError when another supervisor runs on it, ConfigError when it is not as we left it, Error when it
   * cannot be written */
  constructor(path: string) {
    this.#path = path
    mkdirSync(join(path, 'logs'), { recursive: true })
    this.comments = join(path, 'comments.db')
    this.zookeeper = join(path, 'zookeeper')
    // A lock of the kernel's, taken through SQLite: it is gone when its holder is, whatever became of it.
    this.#lock = new Database(join(path, 'supervisor.lock'), { timeout: 0 })
    try {
      this.#lock.exec('BEGIN EXCLUSIVE')
    } catch (cause) {
      if ((cause as { code?: string }).code !== 'SQLITE_BUSY') throw cause
      const url = this.readRecord()?.gateways[0]?.url
      throw new FolderInUseError(`a cluster runs on ${path} already${url ? `: ${url}` : ''}`, { cause })
    }
    this.identity = this.#identify()
  }

  /** The last record written, by us or by a supervisor before us. */
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

  removeRecord(): void {
    rmSync(join(this.#path, 'cluster.json'), { force: true })
  }

  /** The token of the parts that a former supervisor started. */
  readToken(): string | undefined {
    try {
      return readFileSync(join(this.#path, 'internal-token'), 'utf8').trim()
    } catch {
      return undefined
    }
  }

  newToken(): string {
    const token = randomBytes(24).toString('base64url')
    this.#replace('internal-token', `${token}\n`)
    return token
  }

  /** Where a part logs, without the file's ending. A log that has grown large is set aside; one former log is kept. */
  logFile(id: string): string {
    const file = join(this.#path, 'logs', id)
    const size = statSync(`${file}.log`, { throwIfNoEntry: false })?.size ?? 0
    if (size > MAX_LOG_BYTES) renameSync(`${file}.log`, `${file}.log.1`)
    return file
  }

  unlock(): void {
    this.#lock.close()
  }

  /** Data that are older than identities keep their place in ZooKeeper: parts elsewhere may know it. */
  #identify(): FolderIdentity {
    const file = join(this.#path, 'identity.json')
    if (existsSync(file)) {
      try {
        return identitySchema.parse(JSON.parse(readFileSync(file, 'utf8')))
      } catch (cause) {
        throw new ConfigError(`--data: ${file} is not what npm start writes`, { cause })
      }
    }
    const id = randomBytes(4).toString('hex')
    const isOlder = existsSync(this.comments) || existsSync(this.zookeeper)
    const identity = { id, name: nameOf(this.#path), chroot: isOlder ? FORMER_CHROOT : `${FORMER_CHROOT}-${id}` }
    this.#replace('identity.json', `${JSON.stringify(identity)}\n`)
    return identity
  }

  /** A reader sees the old file or the new one, never half of one; only its owner reads it. */
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

/** What people call a folder: `live` for /srv/live and for /srv/live/data. */
function nameOf(path: string): string {
  const name = basename(path) === 'data' ? basename(dirname(path)) : basename(path)
  return name.replace(/[^\x20-\x7e]/g, '-').slice(0, 64) || 'live-comments'
}
