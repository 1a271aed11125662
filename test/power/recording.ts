import { closeSync, mkdirSync, openSync, readFileSync, statSync, writevSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import type { Comment, Draft } from '../../protocol/comment.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { kill, startDispatcher, storeAt, type RunningDispatcher } from '../support/dispatcher.js'
import { ENTRY } from '../support/program.js'
import { Random } from '../support/random.js'
import { acknowledgement, Disk, entriesOf, type Entry } from './disk.js'
import { recorded } from './recorder.js'

/** A post that was answered with a comment. */
export interface Acknowledged {
  readonly draft: Draft
  readonly comment: Comment
}

/** Dispatchers that share one store, under posts, with everything written down that they do to its files and every
 * acknowledgement that they give. */
export class Recording {
  /** The store's folder is not there before the first dispatcher makes it. */
  readonly folder: string
  readonly path: string
  readonly acknowledged: Acknowledged[] = []
  /** Posts that were answered otherwise before the cut. */
  readonly refused: unknown[] = []
  readonly dispatchers: RunningDispatcher[] = []
  readonly #t: Test
  readonly #env: NodeJS.ProcessEnv
  readonly #journal: string
  readonly #client = new InternalClient(undefined)
  readonly #had: { path: string; inode: bigint; bytes: Buffer }[] = []
  readonly #posters: Promise<void>[] = []
  #isCut = false

  readonly #zookeeper: string

  /** @param place a folder that goes when `t` ends @param zookeeper with a chroot of its own */
  constructor(t: Test, place: string, zookeeper: string) {
    this.#t = t
    this.#zookeeper = zookeeper
    this.folder = join(place, 'disk')
    mkdirSync(this.folder)
    this.path = join(this.folder, 'data', 'comments.db')
    this.#journal = join(place, 'journal')
    this.#env = recorded(place, this.folder, this.#journal)
    t.teardown(() => this.#client.close())
  }

  /** What lies there is on the disk already. */
  has(...names: string[]): void {
    for (const name of names) {
      const path = join(this.folder, name)
      this.#had.push({ path, inode: statSync(path, { bigint: true }).ino, bytes: readFileSync(path) })
    }
  }

  /** @param entry the program, where it is not ours as it is */
  async start(path = this.path, entry = ENTRY): Promise<RunningDispatcher> {
    const dispatcher = await startDispatcher(this.#t, path, { env: this.#env, entry, id: `d${this.dispatchers.length + 1}`, zookeeper: this.#zookeeper })
    this.dispatchers.push(dispatcher)
    return dispatcher
  }

  /** Posts comments of all lengths to these videos until the cut, one after the other. */
  post({ url }: RunningDispatcher, videoIds: readonly string[], seed: number): void {
    const random = new Random(seed)
    const run = async () => {
      for (let i = 0; ; i++) {
        const draft = { videoId: random.pick(videoIds), authorId: `author-${seed}`, content: `${random.pick(['.', 'ü', '😀']).repeat(random.below(400))} ${i}`.trim(), key: `key-${seed}-${i}` }
        try {
          this.#acknowledge({ draft, comment: await storeAt(this.#client, url, draft) })
        } catch (error) {
          if (!this.#isCut) this.refused.push(error)
          return
        }
      }
    }
    this.#posters.push(run())
  }

  /** Posts one comment. */
  async say(dispatcher: RunningDispatcher, videoId: string): Promise<void> {
    const draft = { videoId, authorId: 'ann', content: 'hello', key: `said-${this.acknowledged.length}` }
    this.#acknowledge({ draft, comment: await storeAt(this.#client, dispatcher.url, draft) })
  }

  /** Ends all of them as a power cut does. @returns what they did until then */
  async cut(): Promise<Entry[]> {
    this.#isCut = true
    await Promise.all(this.dispatchers.map(({ process }) => kill(process)))
    await Promise.all(this.#posters)
    return entriesOf(readFileSync(this.#journal))
  }

  /** The disk as it was before the first of them started. */
  disk(): Disk {
    const disk = new Disk(this.folder)
    for (const { path, inode, bytes } of this.#had) disk.had(path, inode, bytes)
    return disk
  }

  #acknowledge(acknowledged: Acknowledged): void {
    this.acknowledged.push(acknowledged)
    const journal = openSync(this.#journal, 'a')
    writevSync(journal, acknowledgement(Buffer.from(JSON.stringify(acknowledged))))
    closeSync(journal)
  }
}
