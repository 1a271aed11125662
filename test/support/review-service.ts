import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

interface Asked {
  readonly videoId: string
  readonly authorId: string
  readonly content: string
  readonly signedIn: boolean
}

/** A site's review. */
export class ReviewService {
  readonly asked: Asked[] = []
  /** In place of an answer. */
  instead: ((response: ServerResponse) => void) | undefined
  readonly #server: Server

  /** @param verdictOf what it says of a comment; the reason of each is `no advertising` */
  constructor(verdictOf: (content: string) => string) {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { comments } = JSON.parse(Buffer.concat(chunks).toString()) as { comments: Asked[] }
        this.asked.push(...comments)
        if (this.instead) return this.instead(response)
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ verdicts: comments.map(({ content }) => ({ verdict: verdictOf(content), reason: 'no advertising' })) }))
      })
    })
  }

  /** @returns its REVIEW_URL */
  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/review?for=demo`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}

/** One that is gone when `t` ends. @returns it, and its REVIEW_URL */
export async function startReview(t: Test, verdictOf: (content: string) => string): Promise<{ readonly review: ReviewService; readonly url: string }> {
  const review = new ReviewService(verdictOf)
  t.after(() => review.close())
  return { review, url: await review.listen() }
}
