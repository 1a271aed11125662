import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readFileSync, statSync, writevSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Guard } from '../../cluster/guard.js'
import type { Comment, Draft } from '../../protocol/comment.js'
import { parseResults, printPosts } from '../../protocol/posts.js'
import { InternalClient } from '../../runtime/peers/client.js'
import { ENTRY, plainNode } from '../support/program.js'
import { Random } from '../support/random.js'
import { until } from '../support/until.js'
import { acknowledgement, Disk, entriesOf, type Entry } from './disk.js'
import { recorded } from './recorder.js'

/** A post that was answered with a comment. */
export interface Acknowledged {
  readonly draft: Draft
  readonly comment: Comment
}

export interface Dispatcher {
  readonly url: string
  /** What it has logged. */
  readonly log: () => string
  readonly process: ChildProcess
}

const TIMEOUT_MS = 30_000

/** Dispatchers that share one store, under posts, with everything written down that they do to its files and every
 * acknowledgement that they give. */
export class Recording {
  /** The store's folder is not there before the first dispatcher makes it. */
  readonly folder: string
  readonly path: string
  readonly acknowledged: Acknowledged[] = []
  /** Posts that were answered otherwise before the cut. */
  readonly refused: unknown[] = []
  readonly dispatchers: Dispatcher[] = []
  readonly #t: Test
  readonly #env: NodeJS.ProcessEnv
  readonly #journal: string
  readonly #client = new InternalClient(undefined)
  readonly #had: { path: string; inode: bigint; bytes: Buffer }[] = []
  readonly #posters: Promise<void>[] = []
  #isCut = false

  /** @param place a folder that goes when `t` ends */
  constructor(t: Test, place: string) {
    this.#t = t
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
  async start(path = this.path, entry = ENTRY): Promise<Dispatcher> {
    const dispatcher = await startDispatcher(this.#t, path, { env: this.#env, entry })
    this.dispatchers.push(dispatcher)
    return dispatcher
  }

  /** Posts comments of all lengths to these videos until the cut, one after the other. */
  post({ url }: Dispatcher, videoIds: readonly string[], seed: number): void {
    const random = new Random(seed)
    const run = async () => {
      for (let i = 0; ; i++) {
        const draft = { videoId: random.pick(videoIds), authorId: `author-${seed}`, content: `${random.pick(['.', 'ü', '😀']).repeat(random.below(400))} ${i}`.trim(), key: `key-${seed}-${i}` }
        try {
          this.#acknowledge({ draft, comment: await postTo(this.#client, url, draft) })
        } catch (error) {
          if (!this.#isCut) this.refused.push(error)
          return
        }
      }
    }
    this.#posters.push(run())
  }

  /** Posts one comment. */
  async say(dispatcher: Dispatcher, videoId: string): Promise<void> {
    const draft = { videoId, authorId: 'ann', content: 'hello', key: `said-${this.acknowledged.length}` }
    this.#acknowledge({ draft, comment: await postTo(this.#client, dispatcher.url, draft) })
  }

  /** Ends all of them as a power cut does. @returns what they did until then */
  async cut(): Promise<Entry[]> {
    this.#isCut = true
    await Promise.all(this.dispatchers.map(({ process }) => killed(process)))
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

/** Starts a dispatcher without ZooKeeper: it stores what it is sent. */
export async function startDispatcher(t: Test, path: string, { env = {}, entry = ENTRY }: { env?: NodeJS.ProcessEnv; entry?: string } = {}): Promise<Dispatcher> {
  const child = spawn('env', [...plainNode(), entry, 'dispatcher'], {
    env: { PATH: process.env['PATH'], STORE_URL: `sqlite:${path}`, INTERNAL_PORT: '0', ZOOKEEPER_CONNECT: '127.0.0.1:1/none', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const guard = new Guard()
  guard.protect([child.pid!])
  t.teardown(async () => {
    await killed(child)
    guard.close()
  })
  let log = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text))
  const url = await until(() => /"internalUrl":"(http[^"]+)"/.exec(log)?.[1], { what: 'a dispatcher listens' })
  return { url, log: () => log, process: child }
}

/** Posts to a dispatcher, as a gateway does. @throws when it is answered otherwise */
export async function postTo(client: InternalClient, url: string, draft: Draft): Promise<Comment> {
  const [result] = parseResults(await client.call(url, { path: '/internal/posts', body: printPosts({ passedOn: false, posts: [draft] }), timeoutMs: TIMEOUT_MS }))
  if (!result || 'error' in result) throw new Error(`not stored: ${JSON.stringify(result)}`)
  return result.comment
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}
