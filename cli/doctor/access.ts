import { lookup } from 'node:dns/promises'
import { BlockList, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import { everyPath } from '../../registry/secure.js'
import type { Zk } from '../../registry/zookeeper/client.js'
import { parseConnectString, parseServers, printServer, type ServerAddress } from '../../registry/zookeeper/connect-string.js'
import { isZkError } from '../../registry/zookeeper/zk-error.js'
import { inParallel } from '../../runtime/in-parallel.js'
import { isReachable } from '../../runtime/peers/reachable.js'
import type { ZookeeperAddress } from '../zookeeper-address.js'
import { note, problem, type Finding } from './finding.js'

/** This machine, and networks that are not routed on the internet: no strangers there. */
const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8)
loopback.addAddress('::1', 'ipv6')
const inside = new BlockList()
for (const [net, prefix] of [['10.0.0.0', 8], ['172.16.0.0', 12], ['192.168.0.0', 16], ['169.254.0.0', 16], ['100.64.0.0', 10]] as const) inside.addSubnet(net, prefix)
for (const [net, prefix] of [['fc00::', 7], ['fe80::', 10]] as const) inside.addSubnet(net, prefix, 'ipv6')

/** Judges who may change the registry, and who can reach ZooKeeper. */
export async function judgeAccess(zk: Zk, { connect, auth }: ZookeeperAddress): Promise<Finding[]> {
  const { servers } = parseConnectString(connect)
  const [open, reachable] = await Promise.all([openPaths(zk), Promise.all(parseServers(servers).map(reachableAt)).then(all => all.flat())])
  return [...judgeOpen(open, reachable, auth !== undefined), ...judgeReachable(reachable)]
}

/** @param reachable addresses at which other machines reach ZooKeeper */
export function* judgeOpen(paths: readonly string[], reachable: readonly Reachable[], hasCredentials: boolean): Generator<Finding> {
  const advice = hasCredentials
    ? 'Once every part has these credentials, run the command secure with them.'
    : 'Give every part the same ZOOKEEPER_AUTH (or ZOOKEEPER_AUTH_FILE) and restart it, then run the command secure with it.'
  const level = reachable.length > 0 ? problem : note
  for (const path of paths) yield level('znode_open', path, 'can be changed by anyone who reaches ZooKeeper', advice)
}

export function* judgeReachable(reachable: readonly Reachable[]): Generator<Finding> {
  for (const { at, isPublic } of reachable) {
    const level = isPublic ? problem : note
    const what = `ZooKeeper can be reached ${isPublic ? 'at a public address' : 'from other machines'}: anyone who reaches it can end any part's session, whatever the ACLs`
    yield level('zookeeper_exposed', at, what, 'Let only the machines of the parts and of operators reach its client port: clientPortAddress in zoo.cfg, a private network, a firewall.')
  }
}

export interface Reachable {
  readonly at: string
  readonly isPublic: boolean
}

async function openPaths(zk: Zk): Promise<string[]> {
  const open = await inParallel(await everyPath(zk), async path => {
    try {
      return (await zk.getAcl(path)).some(({ scheme, mayChange }) => scheme === 'world' && mayChange) ? path : undefined
    } catch (error) {
      if (isZkError(error, 'NO_NODE', 'NO_AUTH')) return undefined
      throw error
    }
  })
  return open.filter(path => path !== undefined)
}

/** The non-loopback addresses of a server. One that is named by a loopback address may listen on the others too, which is
 * ZooKeeper's default. */
async function reachableAt({ host, port }: ServerAddress): Promise<Reachable[]> {
  const { address } = await lookup(host, isIPv6(host) ? 6 : 4).catch(() => ({ address: '' }))
  if (!loopback.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')) return address === '' ? [] : [reached(address, port)]
  const own = Object.values(networkInterfaces()).flatMap(list => (list ?? []).filter(({ family, internal }) => family === 'IPv4' && !internal).map(({ address }) => address))
  const taken = await Promise.all(own.map(address => isReachable(`http://${address}:${port}`)))
  return own.filter((_, i) => taken[i]).map(address => reached(address, port))
}

const reached = (address: string, port: number): Reachable => ({ at: printServer({ host: address, port }), isPublic: !inside.check(address, isIPv6(address) ? 'ipv6' : 'ipv4') })
