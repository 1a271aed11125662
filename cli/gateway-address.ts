import { Misuse } from './output.js'
import { runningCluster, type DataFolder } from './running-cluster.js'

export interface GatewayAddress {
  /** Without a trailing slash. */
  readonly url: string
  /** Where it comes from, for messages. */
  readonly source: string
  /** Nobody named it. */
  readonly isDefault?: true
  /** Of the data folder's cluster, not named by a flag. */
  readonly isOfFolder?: true
  /** The person's token that requests carry. */
  readonly token?: string | undefined
}

/** Finds a gateway: by flag, the cluster that runs on the data folder, default, in that order.
 * @throws Problem for a cluster file that cannot be read */
export function gatewayAddress(flag: string | undefined, data: DataFolder): GatewayAddress {
  if (flag !== undefined) return { url: flag.replace(/\/+$/, ''), source: 'from --gateway' }
  const running = runningCluster(data)?.gateways.find(({ url }) => url !== null)?.url
  if (running) return { url: running, source: `from ${data.name}/cluster.json`, isOfFolder: true }
  return { url: 'http://127.0.0.1:8080', source: 'the default', isDefault: true }
}

/** The gateway to post to. @throws Misuse where nobody said which */
export function meantGateway(address: GatewayAddress): GatewayAddress {
  if (!address.isDefault) return address
  throw new Misuse(
    'which gateway is meant? Name it by one of\n' +
      '  --gateway URL\n' +
      '  --data FOLDER    the data folder of a local cluster\n' +
      'or do it where the ./data of a running cluster is.',
  )
}
