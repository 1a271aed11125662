import t from 'tap'
import { homeText, refusalToName } from '../../cli/home.js'
import { parseVideoHome, parseVideoHomes, type VideoHome, type VideoHomes } from '../../protocol/homes.js'

const clusters = ['east', 'west']
const said = (cluster: string, home: string, head = '0'): VideoHome => ({ cluster, clusters, home, named: false, head })
const west = (home: string, peer: VideoHome | null, head = '0'): VideoHomes => ({ ...said('west', home, head), peers: { east: peer } })
const refused = (cluster: string, homes: VideoHomes) => refusalToName(cluster, 'demo', homes)?.code

t.test('a home is named first where it is another cluster, and at the home itself once all others have been told', async t => {
  t.equal(refused('east', west('west', said('east', 'west'))), undefined)
  t.equal(refused('west', west('east', said('east', 'east'))), 'HOME_ELSEWHERE')
  t.equal(refused('west', west('east', said('east', 'west'))), undefined)
})

t.test('a video with entries stays where they are, and can be named to be there', async t => {
  t.equal(refused('east', west('west', said('east', 'west'), '7')), 'HAS_ENTRIES')
  t.equal(refused('west', west('east', said('east', 'west', '7'))), 'HAS_ENTRIES')
  t.equal(refused('west', west('west', said('east', 'west'), '7')), undefined)
  t.equal(refused('east', west('west', said('east', 'east', '7'))), undefined)
})

t.test('without the word of every cluster nothing is named, nor is what is no cluster', async t => {
  t.equal(refused('east', west('west', null)), 'PEER_AWAY')
  t.equal(refused('south', west('west', said('east', 'west'))), 'NOT_FOUND')
})

t.test('what is shown names the clusters that say otherwise', async t => {
  t.equal(homeText({ videoId: 'demo', home: null, named: false }), 'This cluster is by itself: it is the home of every video.\n')
  t.equal(homeText({ videoId: 'demo', home: 'west', named: true, said: west('west', said('east', 'west')) }), 'The home of demo is west, by an operator\'s word.\n')
  t.match(homeText({ videoId: 'demo', home: 'west', named: false, said: west('west', said('east', 'east')) }), /by DEFAULT_HOME or the hash\.\nfor cluster east it is east:/)
  t.match(homeText({ videoId: 'demo', home: 'west', named: false, said: west('west', null) }), /cluster east does not answer/)
})

t.test('the answers of dispatchers are read as they are sent', async t => {
  const homes = west('east', said('east', 'east', '129171456000000'))
  t.same(parseVideoHomes(Buffer.from(JSON.stringify(homes))), homes)
  t.equal(parseVideoHomes(Buffer.from('null')), null)
  t.same(parseVideoHome(Buffer.from(JSON.stringify(said('west', 'east')))), said('west', 'east'))
  t.throws(() => parseVideoHome(Buffer.from('{"home":"x"}')), { code: 'BAD_REQUEST' })
})
