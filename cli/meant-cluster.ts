import { DIRECTORIES } from '../registry/access.js'
import type { Zk } from '../registry/zookeeper/client.js'
import { clusterAt, clusterLine } from './cluster-at.js'
import { withZookeeper, type Reading } from './connection.js'
import { Misuse, Problem } from './output.js'
import type { ZookeeperAddress } from './zookeeper-address.js'

const WHICH_CLUSTER =
  'which cluster is meant? This command changes it. Name it by one of\n' +
  '  --data FOLDER                     the data folder of a local cluster\n' +
  '  --zookeeper HOST:PORT/CHROOT\n' +
  '  ZOOKEEPER_CONNECT                 in the environment\n' +
  'or do it where the ./data of a running cluster is.'

/** Runs `task`, which changes the registry of the cluster that the operator means, and says before which one that is.
 * @param mayBegin throws a Problem if the command cannot succeed anyway
 * @throws Misuse when nobody said which; Problem when ZooKeeper is away, there is no registry, or it is another cluster's */
export async function withMeantCluster<T>({ address, note }: Reading, task: (zk: Zk) => Promise<T>, mayBegin: (address: ZookeeperAddress) => void = () => {}): Promise<T> {
  if (address.isDefault) throw new Misuse(WHICH_CLUSTER)
  mayBegin(address)
  return withZookeeper(address, async zk => {
    const cluster = await clusterAt(zk, address)
    if (!(await isRegistry(zk))) throw new Problem('NO_REGISTRY', `there is no registry at ${address.connect} (${address.source}): the address or the chroot is another, or no part has ever run`)
    note(clusterLine(cluster, address))
    return task(zk)
  })
}

async function isRegistry(zk: Zk): Promise<boolean> {
  const [, ...ours] = DIRECTORIES
  return (await Promise.all(ours.map(path => zk.exists(path)))).some(stat => stat !== null)
}
