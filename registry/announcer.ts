import { systemClock } from '../runtime/clock.js'
import type { Log } from '../runtime/log.js'
import { CalmLog } from './calm-log.js'
import type { Zk } from './zookeeper/client.js'
import { PersistentNode } from './zookeeper/persistent-node.js'

export interface AnnouncerOptions {
  readonly zk: Zk
  readonly log: Log
  readonly path: string
  readonly data: Buffer
  /** Whether ours may take the place of another session's node at the path, which holds `data`: see claim.ts. */
  readonly mayReplace: (data: Buffer) => Promise<boolean>
}

/** Keeps one ephemeral node of ours present and current, through lost sessions and restarts of ZooKeeper, and logs what
 * happens to it. */
export class Announcer {
  readonly #node: PersistentNode

  /** @throws ZkError when `data` is over the limit of a node */
  constructor({ zk, log, path, data, mayReplace }: AnnouncerOptions) {
    const calm = new CalmLog({ log, clock: systemClock })
    this.#node = new PersistentNode({
      zk,
      path,
      data,
      mayReplace,
      onUp: () => log.info({ path }, 'announced'),
      onDown: () => calm.warn({ path }, 'announcement_gone'),
      onConflict: () => log.error({ path }, 'announcement_conflict'),
      onWarning: err => calm.warn({ path, code: err.code, err }, 'announcement_refused'),
    })
  }

  /** The node stood when we last heard of it. Its data may still be older than what was set last. */
  get up(): boolean {
    return this.#node.up
  }

  /** The node stands with the data that was set last. */
  get current(): boolean {
    return this.#node.current
  }

  /** Announces `data` with the next write. It must not be changed afterwards.
   * @throws ZkError when it is over the limit of a node */
  set(data: Buffer): void {
    this.#node.set(data)
  }

  /** Leaves the registry. */
  close(): Promise<void> {
    return this.#node.close()
  }
}
