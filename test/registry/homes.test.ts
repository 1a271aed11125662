import t from 'tap'
import { Homes, homesOf } from '../../registry/homes.js'
import { parsePeers, peerConflicts, peerVariables, type PeerCluster } from '../../registry/peer-clusters.js'
import { View } from '../../registry/view.js'
import { readConfig } from '../../runtime/config.js'

const peer = (name: string): PeerCluster => ({ name, urls: [`http://${name}:9080`] })
const TOKEN = 'a-token-of-sixteen-or-more'
const read = (env: NodeJS.ProcessEnv) => readConfig(env, peerVariables, peerConflicts)
const videos = Array.from({ length: 300 }, (_, i) => `video${i}`)

t.test('all clusters agree about every home, and each has its share', async t => {
  const names = ['east', 'south', 'west']
  const seen = names.map(self => new Homes(self, names.filter(name => name !== self).map(peer), undefined, new Map()))
  for (const videoId of videos) t.equal(new Set(seen.map(homes => homes.of(videoId))).size, 1, videoId)
  for (const name of names) t.ok(videos.filter(videoId => seen[0]!.of(videoId) === name).length > 60, name)
  for (const homes of seen) t.same(homes.rule, { clusters: names, defaultHome: null })
})

t.test('the home is elsewhere exactly where it is another cluster', async t => {
  const homes = new Homes('west', [peer('east')], undefined, new Map())
  for (const videoId of videos) t.equal(homes.elsewhere(videoId)?.name, homes.of(videoId) === 'west' ? undefined : 'east')
})

t.test('an operator\'s word counts first, then DEFAULT_HOME', async t => {
  const view = new View()
  const homes = homesOf(read({ CLUSTER_NAME: 'west', PEERS: 'east=http://e:1', PEER_TOKEN: TOKEN, DEFAULT_HOME: 'east' }), view)!
  t.equal(homes.of('v'), 'east')
  t.notOk(homes.isNamed('v'))
  view.apply({ kind: 'home', id: 'v', cluster: 'west' }, 0)
  t.equal(homes.of('v'), 'west')
  t.ok(homes.isNamed('v'))
  view.apply({ kind: 'home', id: 'v', cluster: 'nowhere' }, 0)
  t.equal(homes.of('v'), 'east', 'a name that is no cluster\'s counts for nothing')
  t.notOk(homes.isNamed('v'))
  view.apply({ kind: 'home', id: 'v', cluster: undefined }, 0)
  t.equal(homes.of('v'), 'east')
  t.equal(homesOf(read({}), view), undefined, 'a cluster by itself has no such question')
  t.equal(homesOf(read({ CLUSTER_NAME: 'west' }), view), undefined)
})

t.test('PEERS names each cluster with its gateways', async t => {
  t.same(parsePeers('east=http://e1:9080, east=https://e2/,south=http://[::1]:9080'), [{ name: 'east', urls: ['http://e1:9080', 'https://e2'] }, { name: 'south', urls: ['http://[::1]:9080'] }])
  for (const [text, message] of [
    ['east', /must be NAME=URL/],
    ['', /must be NAME=URL/],
    ['East=http://e', /name "East" must be 1 to 32 of a-z 0-9 -/],
    ['east=e1:9080', /the URL of east must be an http or https URL/],
    ['east=http://e/path', /the URL of east must have a host and a port, and nothing else/],
    ['east=http://u:p@e', /the URL of east must have a host and a port/],
    ['east=http://e,east=http://e/', /the URL of east must not stand there twice/],
  ] as const) t.throws(() => parsePeers(text), { message }, text)
})

t.test('what does not fit together is said, each variable named', async t => {
  for (const [env, message] of [
    [{ PEERS: 'east=http://e' }, /^CLUSTER_NAME: must be set where PEERS is\nPEER_TOKEN: must be set where PEERS is$/],
    [{ CLUSTER_NAME: 'east', PEERS: 'east=http://e', PEER_TOKEN: TOKEN }, /^PEERS: must name the other clusters, and not CLUSTER_NAME$/],
    [{ CLUSTER_NAME: 'west', PEERS: 'east=http://e', PEER_TOKEN: 'short' }, /^PEER_TOKEN: must be at least 16 visible ASCII characters/],
    [{ CLUSTER_NAME: 'west', PEERS: 'east=http://e', PEER_TOKEN: TOKEN, DEFAULT_HOME: 'south' }, /^DEFAULT_HOME: must be CLUSTER_NAME or a name in PEERS$/],
    [{ CLUSTER_NAME: 'Über', PEERS: 'east=http://e', PEER_TOKEN: TOKEN }, /^CLUSTER_NAME: must be 1 to 32 of a-z 0-9 -$/],
    [{ PEER_TOKEN: TOKEN }, /^PEER_TOKEN: needs PEERS$/],
    [{ DEFAULT_HOME: 'west' }, /^DEFAULT_HOME: needs PEERS$/],
  ] as const) t.throws(() => read(env), { message }, JSON.stringify(env))
  t.throws(() => readConfig({ CLUSTER_NAME: 'west', PEERS: 'east=http://e', PEER_TOKEN: `old-${TOKEN},${TOKEN}` }, peerVariables, given => peerConflicts({ ...given, INTERNAL_TOKEN: TOKEN })), { message: /^PEER_TOKEN: must not be an INTERNAL_TOKEN/ })
})
