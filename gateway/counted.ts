import { LiveError } from '../protocol/errors.js'
import type { Reply } from '../runtime/http/reply.js'

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
