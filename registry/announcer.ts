import type { Log } from '../runtime/log.js'
import type { Zk } from './zookeeper/client.js'
import { PersistentNode } from './zookeeper/persistent-node.js'

export interface AnnouncerOptions {
  readonly zk: Zk
  readonly log: Log
  readonly path: string
  readonly data: Buffer
  /** Whether a node at our path, kept by another session, may give way to ours: see claim.ts. */
  readonly mayReplace: (data: Buffer) => Promise<boolean>
}

/** Keeps one ephemeral node of ours present and current, across lost sessions and restarts of ZooKeeper. */
export class Announcer {
  readonly #node: PersistentNode

  /** @throws ZkError when `data` is over the limit of a node */
  constructor({ zk, log, path, data, mayReplace }: AnnouncerOptions) {
    this.#node = new PersistentNode(zk, path, data, { mayReplace })
    this.#node.on('up', () => log.info({ path }, 'announced'))
    this.#node.on('down', () => log.warn({ path }, 'announcement_gone'))
    this.#node.on('conflict', () => log.error({ path }, 'announcement_conflict'))
    this.#node.on('warn', err => log.warn({ path, err }, 'announcement_refused'))
  }

  /** The node stands, as last known; what was set last may still be on its way. */
  get up(): boolean {
    return this.#node.up
  }

  /** What was set last stands. */
  get current(): boolean {
    return this.#node.current
  }

  /** Announces `data`, which must not be changed afterwards, in the next write.
   * @throws ZkError when it is over the limit of a node */
  set(data: Buffer): void {
    this.#node.set(data)
  }

  /** Leaves the registry. */
  async close(): Promise<void> {
    this.#node.removeAllListeners('down') // gone is what it should be
    await this.#node.close()
  }
}
