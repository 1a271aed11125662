import { setTimeout as sleep } from 'node:timers/promises'
import type { Api } from './api.js'

/** Posts to one video without pause, one comment after the other. */
export class Poster {
  /** Ids of what was answered 201, in that order. */
  readonly acknowledged: string[] = []
  /** Answers that were no 201. */
  readonly refused: string[] = []
  #posting = true
  readonly #done: Promise<void>

  constructor(cluster: Api, videoId: string, everyMs = 20) {
    this.#done = this.#run(cluster, videoId, everyMs)
  }

  async stop(): Promise<void> {
    this.#posting = false
    await this.#done
  }

  async #run(cluster: Api, videoId: string, everyMs: number): Promise<void> {
    for (let number = 1; this.#posting; number++) {
      try {
        this.acknowledged.push((await cluster.say(videoId, `comment ${number}`)).id)
      } catch (error) {
        this.refused.push((error as Error).message)
      }
      await sleep(everyMs)
    }
  }
}
