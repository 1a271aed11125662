import { runningCluster } from './running-cluster.js'

export interface GatewayAddress {
  /** Without a trailing slash. */
  readonly url: string
  /** Where it comes from, for messages. */
  readonly source: string
}

/** Finds a gateway: by flag, the cluster that runs in this folder, default, in that order.
 * @throws Problem for a cluster file that cannot be read */
export function gatewayAddress(flag: string | undefined, folder: string): GatewayAddress {
  if (flag !== undefined) return { url: flag.replace(/\/+$/, ''), source: 'from --gateway' }
  const running = runningCluster(folder)?.gateways.find(({ url }) => url !== null)?.url
  if (running) return { url: running, source: 'from ./data/cluster.json' }
  return { url: 'http://127.0.0.1:8080', source: 'the default' }
}
