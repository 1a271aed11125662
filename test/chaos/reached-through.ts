/** Loaded before a part of the cluster (`node --import`): has the others, and ZooKeeper, reached through the test's
 * proxies, while the part itself listens where its supervisor told it. */
const { NODE_ID = '', ZOOKEEPER_CONNECT, CHAOS_INTERNAL_URLS, CHAOS_ZOOKEEPER } = process.env

if (NODE_ID !== '') {
  const url = (JSON.parse(CHAOS_INTERNAL_URLS ?? '{}') as Record<string, string>)[NODE_ID]
  if (url) process.env.INTERNAL_URL = url
  if (CHAOS_ZOOKEEPER && ZOOKEEPER_CONNECT) process.env.ZOOKEEPER_CONNECT = ZOOKEEPER_CONNECT.replace(/^[^/]+/, CHAOS_ZOOKEEPER)
}
