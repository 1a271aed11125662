import type { Hook } from '../../dispatcher/hooks/hooks.js'
import { parseSecrets } from '../../dispatcher/hooks/signature.js'
import type { VideoId } from '../../protocol/comment.js'
import type { CommentId } from '../../protocol/id.js'
import type { Checker } from './checker.js'
import type { Disk } from './disk.js'
import type { Process } from './process.js'
import type { World } from './world.js'

const SECRETS = parseSecrets(`whsec_${Buffer.alloc(32, 1).toString('base64')}`)
/** Share of calls that meet each trouble, as long as there is any. */
const TROUBLE = 0.1

/** The receiver of the web hook: it loses calls and answers, refuses, and hangs, until all is well. */
export class Receiver {
  /** Until then there is trouble, virtual ms. */
  readonly #troubledUntil: number
  readonly #world: World
  readonly #disk: Disk
  /** Entries of each video in the order in which they were first seen. */
  readonly #seen = new Map<VideoId, Set<CommentId>>()
  /** The newest of each video before there was a hook. */
  #began: ReadonlyMap<VideoId, CommentId> = new Map()

  constructor(world: World, disk: Disk, troubledUntil: number) {
    this.#world = world
    this.#disk = disk
    this.#troubledUntil = troubledUntil
  }

  /** From now on what the disk stores is for the hook. */
  begin(): void {
    const { model } = this.#disk
    this.#began = new Map(Array.from(model.videos, ([videoId, entries]) => [videoId, entries.at(-1)?.comment.id ?? 0]))
    model.isHooked = true
  }

  /** As a dispatcher reaches it. */
  hook(process: Process): Hook {
    return { secrets: SECRETS, onTrouble: () => {}, post: (body, _, timeoutMs) => this.#post(process, body, timeoutMs) }
  }

  #post(process: Process, body: string, timeoutMs: number): Promise<number> {
    const { random, now } = this.#world
    const trouble = now < this.#troubledUntil ? random.next() / TROUBLE : Infinity
    const answer = (ms: number, say: () => void) => void this.#world.after(ms, () => process.run(say))
    return new Promise((resolve, reject) => {
      const fail = (ms: number) => answer(ms, () => reject(new Error('as the simulation wishes')))
      if (trouble < 1) return fail(random.between(1, 50))
      this.#world.after(random.between(1, 30), () => {
        if (trouble >= 1 && trouble < 2) return answer(1, () => resolve(503))
        this.#take(body)
        if (trouble >= 2 && trouble < 3) return fail(random.between(1, 50))
        if (trouble >= 3 && trouble < 4) return fail(timeoutMs)
        answer(random.between(1, 30), () => resolve(200))
      })
    })
  }

  #take(body: string): void {
    const { events } = JSON.parse(body) as { events: { videoId: VideoId; id: string }[] }
    for (const { videoId, id } of events) {
      const seen = this.#seen.get(videoId) ?? new Set()
      this.#seen.set(videoId, seen.add(Number(id)))
    }
    this.#world.tell?.(`the hook has taken ${events.map(({ videoId, id }) => `${videoId} ${id}`).join(', ')}`)
  }

  /** Once all is quiet: it has seen every entry since it began, and no entry before one that is older. */
  check(checker: Checker): void {
    for (const [videoId, entries] of this.#disk.model.videos) {
      const began = this.#began.get(videoId) ?? 0
      const seen = [...(this.#seen.get(videoId) ?? [])]
      const missed = entries.find(({ comment: { id } }) => id > began && !seen.includes(id))
      if (missed) checker.violate('hook', `${missed.comment.id} was not sent to the web hook`, { videoId, id: missed.comment.id })
      const early = seen.find((id, i) => i > 0 && id < seen[i - 1]!)
      if (early !== undefined) checker.violate('hook', `${early} was sent to the web hook after a newer one`, { videoId, id: early })
      const old = seen.find(id => id <= began)
      if (old !== undefined) checker.violate('hook', `${old} was sent to the web hook, and is older than that`, { videoId, id: old })
    }
  }
}
