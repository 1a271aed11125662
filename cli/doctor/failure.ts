import { lossMessage, refusalMessage, refusesUs } from '../../registry/access.js'
import { parseConnectString } from '../../registry/zookeeper/connect-string.js'
import type { Loss } from '../../registry/zookeeper/loss.js'
import type { ZkError } from '../../registry/zookeeper/zk-error.js'
import type { ZookeeperAddress } from '../zookeeper-address.js'
import { problem, type Finding } from './finding.js'

const CREDENTIALS = 'Give the credentials of the parts with --zookeeper-auth-file, ZOOKEEPER_AUTH or ZOOKEEPER_AUTH_FILE.'
const HUNG_UP = 'Its log says why. A server hangs up at a call that is longer than its jute.maxbuffer: leave that at its default of 1 MB.'

/** A path's ACL keeps us out. */
export function refusedAt({ connect, auth }: ZookeeperAddress, path: string): Finding {
  return problem('zookeeper_refuses', path, refusalMessage(connect, path, auth !== undefined), CREDENTIALS)
}

/** No server has granted us a session. @param trouble how the last attempt failed, if one did */
export function noSession({ connect, source }: ZookeeperAddress, trouble: Loss | undefined): Finding {
  const { servers } = parseConnectString(connect)
  if (trouble && refusesUs(trouble.code)) return sentAway(trouble)
  const why = trouble ? `: ${lossMessage(trouble)}` : ''
  return problem('zookeeper_away', servers, `grants us no session (${source})${why}`, 'Its log says why, and so does zookeeper_lost in the parts\' logs. Until it does, the cluster goes on with its last view.')
}

/** A call that failed, whatever the error. @param trouble why the connection was lost, if it was */
export function failedCall(error: ZkError, address: ZookeeperAddress, trouble: Loss | undefined): Finding {
  if (error.code === 'NO_AUTH') return refusedAt(address, error.path)
  const { servers } = parseConnectString(address.connect)
  if (refusesUs(error.code)) return sentAway({ code: error.code, server: servers })
  if (error.retryable && trouble && refusesUs(trouble.code)) return sentAway(trouble)
  const { code, op, path } = error
  const why = error.retryable && trouble ? `: ${lossMessage(trouble)}` : ''
  const advice = trouble?.code === 'HUNG_UP' ? HUNG_UP : 'Its log says more. Until this is cured, what is in the registry cannot be examined.'
  return problem('zookeeper_fails', servers, `${op} ${path} fails with ${code}${why}`, advice)
}

/** It serves nobody like us, whatever the path. */
function sentAway(loss: Loss): Finding {
  return problem('zookeeper_refuses', loss.server, lossMessage({ code: loss.code, server: loss.server }), CREDENTIALS)
}
