import type { Secured } from '../registry/secure.js'
import { Problem } from './output.js'
import { counted } from './table.js'
import type { ZookeeperAddress } from './zookeeper-address.js'

export function secureText({ secured, refused }: Secured): string {
  const others = refused.length === 0 ? '' : `Not ours to restrict: ${refused.join(', ')}. Whoever made it has other credentials; doctor names what it is.\n`
  return `${counted(secured.length, 'znode')} can now be read and changed only with these credentials.\n${others}`
}

/** @throws Problem without credentials: the znodes would stay open to everybody */
export function withCredentials({ auth }: ZookeeperAddress): void {
  if (!auth) throw new Problem('NO_CREDENTIALS', 'there are no credentials to secure the registry with: set ZOOKEEPER_AUTH or ZOOKEEPER_AUTH_FILE')
}
