import { z } from 'zod'
import { LiveError } from '../protocol/errors.js'
import { STORE_ACTIONS } from '../protocol/store.js'
import { ZkError } from '../registry/zookeeper/zk-error.js'
import { json } from '../runtime/http/reply.js'
import type { Router } from '../runtime/http/server.js'
import type { Standing } from './standing.js'
import { isDamaged } from './store/damage.js'
import { StoreUnavailableError } from './store/store.js'

const CHECK_MS = 2_000
const MAX_ORDER_BYTES = 1024

const order = z.object({ adopt: z.enum(STORE_ACTIONS) })

export interface StoreDesk {
  readonly standing: Pick<Standing, 'report' | 'adopt'>
  /** 'ok', or the first damage found; undefined when it takes longer than `limitMs`. @throws StoreUnavailableError */
  readonly check: (limitMs: number) => Promise<string | undefined>
}

/** For operators: which store a dispatcher has, how it is, and their word on it. */
export function routeStore(router: Router, { standing, check }: StoreDesk): void {
  router.route('GET', '/internal/store', async exchange => {
    const found = exchange.query.get('check') === 'no' ? null : await checked(check)
    return json({ ...standing.report, check: found })
  })
  router.route('POST', '/internal/store', async exchange => {
    // No page of another origin can send that without being asked for first.
    if (!exchange.header('content-type').startsWith('application/json')) throw new LiveError('UNSUPPORTED_MEDIA_TYPE', 'content-type must be application/json')
    const { adopt } = orderOf(await exchange.body(MAX_ORDER_BYTES))
    try {
      await standing.adopt(adopt)
    } catch (error) {
      if (error instanceof ZkError) throw new LiveError('NOT_READY', 'ZooKeeper cannot be reached', { cause: error })
      throw error
    }
    return json({ ...standing.report, check: null })
  })
}

/** 'unfinished' where it takes too long, or cannot be made now. */
async function checked(check: StoreDesk['check']): Promise<string> {
  try {
    return (await check(CHECK_MS)) ?? 'unfinished'
  } catch (error) {
    if (error instanceof StoreUnavailableError) return isDamaged(error.reason) ? error.reason : 'unfinished'
    throw error
  }
}

/** @throws LiveError BAD_REQUEST */
function orderOf(body: Buffer): z.infer<typeof order> {
  try {
    return order.parse(JSON.parse(body.toString()))
  } catch (cause) {
    throw new LiveError('BAD_REQUEST', 'the body must be {"adopt":"accept"}, "restore" or "create"', { cause })
  }
}
