import { LiveError } from '../protocol/errors.js'
import type { Reply } from '../runtime/http/reply.js'
import type { Gateway } from './gateway.js'
import type { GatewayMetrics } from './metrics.js'

/** Counts the outcome of a call by its HTTP status, whether it is answered or throws. */
export async function counted(work: Promise<Reply>, count: (status: number) => void): Promise<Reply> {
  try {
    const reply = await work
    count(reply.status)
    return reply
  } catch (error) {
    count(error instanceof LiveError ? error.status : 500)
    throw error
  }
}

export interface CountedPostDeps {
  readonly gateway: Pick<Gateway, 'clock'>
  readonly metrics: Pick<GatewayMetrics, 'posts' | 'postSeconds'>
}

/** Counts a post, and how long one took that was stored. @param since monotonic ms, when it came */
export function countedPost({ gateway, metrics }: CountedPostDeps, since: number, post: Promise<Reply>): Promise<Reply> {
  return counted(post, status => {
    metrics.posts.inc({ status })
    if (status === 201) metrics.postSeconds.observe((gateway.clock.now() - since) / 1000)
  })
}
