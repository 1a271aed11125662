import type { ExpectedNodes } from '../protocol/nodes.js'
import { expectNodes } from '../registry/expected-nodes.js'
import { secure } from '../registry/secure.js'
import { amount, AUTO, clusterName, clusterNameInPeers, count, descriptors, edgesOrAuto, nodeId, positive, tokenOption, videoId } from './arguments.js'
import { clusterLine } from './cluster-at.js'
import type { CommandLine } from './command-line.js'
import { withLiveRegistry, withRegistry } from './connection.js'
import { examine } from './doctor/examination.js'
import { report } from './doctor/report.js'
import { drain, undrain } from './drain.js'
import { headcounts, headcountsTable } from './expect.js'
import { homeOf, homeText, nameHome } from './home.js'
import { withMeantCluster } from './meant-cluster.js'
import { nameCluster } from './name.js'
import { dispatcherRows, dispatchersTable, edgeRows, edgesText, gatewayRows, gatewaysTable } from './nodes.js'
import { Misuse } from './output.js'
import { PRICES } from './plan/measured.js'
import { planFor } from './plan/plan.js'
import { planText } from './plan/text.js'
import { runningCluster } from './running-cluster.js'
import { secureText, withCredentials } from './secure.js'
import { rebalance, rebalanceText, spread, spreadRows, spreadTable } from './spread.js'
import { oneVideo, VIDEOS_SHOWN, videosTable, videoTable, watchedVideos } from './videos.js'
import { newsLine, watch } from './watch.js'

/** The commands about nodes and what they hold. */
export function addClusterCommands(line: CommandLine): void {
  line.command('edges', 'list the edges with their state, viewers and videos; if there are many, a summary', '', '--all', '--json')
    .option('--all', 'every edge, however many there are (as --json does)')
    .action(async ({ all = false }: { all?: boolean }) => line.print(await withRegistry(line.reading(), ['edges', 'holdings'], ({ view }) => edgeRows(view)), rows => edgesText(rows, Date.now(), { all, colour: line.out.colour })))
  line.command('dispatchers', 'list the dispatchers with their state', '', '--json')
    .action(async () => line.print(await withRegistry(line.reading(), ['dispatchers'], ({ view }) => dispatcherRows(view)), rows => dispatchersTable(rows, Date.now(), line.out.colour)))
  line.command('gateways', 'list the gateways with their state and viewers', '', '--json')
    .action(async () => line.print(await withRegistry(line.reading(), ['gateways'], ({ view }) => gatewayRows(view)), rows => gatewaysTable(rows, Date.now(), line.out.colour)))
  line.command('videos', 'list the most watched videos and the edges of their viewers', '--top 10', '--all', '--edge edge-1 --json')
    .option('--top <N>', `only the first N (default: ${VIDEOS_SHOWN}; all with --json)`, positive)
    .option('--all', 'every video')
    .option('--edge <ID>', 'only videos that this edge holds', nodeId)
    .action(async ({ top, all, edge: edgeId }: { top?: number; all?: true; edge?: string }) => {
      const most = top ?? (all || line.json ? Infinity : VIDEOS_SHOWN)
      const found = await withRegistry(line.reading(), ['edges', 'holdings'], ({ view }) => watchedVideos(view, { top: most, edgeId }))
      await line.print(found.rows, rows => videosTable({ ...found, rows }, line.out.colour))
    })
  line.command('video', 'show one video and the edges of its viewers', 'demo')
    .argument('<ID>', 'the video\'s id', videoId)
    .action(async (id: string) => line.print(await withRegistry(line.reading(), ['edges', 'holdings'], ({ view }) => oneVideo(view, id)), row => videoTable(row, line.out.colour)))
  line.command('watch', 'print nodes that join or leave, and changes of holdings, until Ctrl-C', '', '--json')
    .action(() =>
      line.out.untilInterrupted(signal =>
        withLiveRegistry(line.reading(), async (zk, registry) => {
          line.note('watching; press Ctrl-C to end')
          await watch(zk, registry, news => {
            const at = Date.now()
            void line.out.write(line.json ? line.jsonLine({ at, ...news }) : newsLine(news, at, line.out.paint))
          }, signal)
        }),
      ),
    )
  line.command('drain', 'ask an edge to hand its viewers to other edges, or a gateway to send them away; after a restart it takes viewers again', 'edge-1', 'gateway-1')
    .argument('<NODE>', 'the id of the edge or gateway', nodeId)
    .action(async (id: string) => line.print(await withMeantCluster(line.reading(), zk => drain(zk, id)), () => `${id} is asked to drain; the commands edges and gateways show its progress.\n`))
  line.command('undrain', 'withdraw a drain', 'edge-1', 'gateway-1')
    .argument('<NODE>', 'the id of the edge or gateway', nodeId)
    .action(async (id: string) => line.print(await withMeantCluster(line.reading(), zk => undrain(zk, id)), () => `${id} is not asked to drain.\n`))
  line.command('spread', 'spread a video\'s viewers evenly over this many edges; auto: over as few as can hold them; without a video, list the videos that are spread', '', 'demo 2', 'demo auto')
    .argument('[VIDEO]', 'the video\'s id', videoId)
    .argument('[EDGES]', 'how many edges, or auto', edgesOrAuto)
    .action(async (id: string | undefined, edges: number | typeof AUTO | undefined) => {
      if (id !== undefined && edges === undefined) throw new Misuse(`on how many edges is it to be? ${line.self} spread ${id} EDGES, or ${line.self} spread ${id} ${AUTO}`)
      if (id !== undefined) await withMeantCluster(line.reading(), zk => spread(zk, id, edges === AUTO ? undefined : edges))
      await line.print(await withRegistry(line.reading(), ['edges', 'holdings', 'placement'], ({ view }) => spreadRows(view)), rows => spreadTable(rows, line.out.colour))
    })
  line.command('rebalance', 'give every edge its share of the viewers now, even if the imbalance is small', '')
    .action(async () => line.print(await withMeantCluster(line.reading(), rebalance), rebalanceText))
  line.command('home', 'show which of several clusters is a video\'s home; with a cluster, make it the home, provided that no other cluster has comments of the video', 'demo', 'demo --json')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('[CLUSTER]', 'its CLUSTER_NAME', clusterNameInPeers)
    .option(...tokenOption)
    .action(async (id: string, cluster: string | undefined, { token }: { token?: string }) => {
      const answer = await line.calling(token, client => {
        const read = () => withRegistry(line.reading(), ['dispatchers'], ({ view }) => homeOf(view, client, id))
        return cluster === undefined ? read() : withMeantCluster(line.reading(), async zk => nameHome(zk, cluster, await read()))
      })
      await line.print(answer, homeText)
    })
  line.command('secure', 'restrict all our znodes in ZooKeeper to these credentials', '--zookeeper-auth-file ./zookeeper-auth')
    .action(async () => line.print(await withMeantCluster(line.reading(), secure, withCredentials), secureText))
  line.command('name', 'set the cluster\'s name, which commands print before they change the cluster', 'production')
    .argument('<NAME>', '1 to 64 visible ASCII characters and blanks', clusterName)
    .action(async (name: string) => line.print(await withMeantCluster(line.reading(), zk => nameCluster(zk, name)), ({ id }) => `The name of cluster ${id} is ${name}.\n`))
  line.command('expect', 'set how many nodes of each kind should be there, for doctor to check; without a count, print how many should be there and how many are', '', '--gateways 1 --edges 2 --dispatchers 1')
    .option('--gateways <N>', 'expected gateways', count)
    .option('--edges <N>', 'expected edges', count)
    .option('--dispatchers <N>', 'expected dispatchers', count)
    .action(async (counts: ExpectedNodes) => {
      if (Object.keys(counts).length > 0) await withMeantCluster(line.reading(), zk => expectNodes(zk, counts))
      await line.print(await withRegistry(line.reading(), ['edges', 'dispatchers', 'gateways'], headcounts), rows => headcountsTable(rows, line.out.colour))
    })
  line.command('doctor', 'examine the whole cluster; name each problem and what to do about it (exit status 1 if there is one)', '', '--json')
    .option(...tokenOption)
    .option('--all', 'every finding, however many there are of a kind (as --json does)')
    .action(async ({ token, all = false }: { token?: string; all?: boolean }) => {
      const where = line.address()
      const diagnosis = await line.calling(token, client => examine({ address: where, client, cluster: runningCluster(line.data()) }))
      if (where.isDefault) line.note(clusterLine(diagnosis.cluster ?? undefined, where))
      await line.print(diagnosis, diagnosis => report(diagnosis, line.out.paint, all))
      if (!diagnosis.healthy) line.out.status = 1
    })
  line.command('plan', 'estimate how many processes, cores, bits per second and dollars a load takes, from measured figures; contacts no cluster', '--viewers 1000000 --rate 100', '--viewers 1000000 --rate 100 --core-hour 0.03 --gb-egress 0.02 --json')
    .requiredOption('--viewers <N>', 'viewers at a time', positive)
    .requiredOption('--rate <N>', 'comments a second, of all videos', amount)
    .option('--videos <N>', 'videos watched at the same time', positive, 1)
    .option('--plain', 'assume that no viewer accepts gzip')
    .option('--descriptors <N>', 'file descriptors that a gateway may open', descriptors, 20_000)
    .option('--core-hour <DOLLARS>', 'price of a core for an hour', amount, PRICES.coreHour.dollars)
    .option('--gb-egress <DOLLARS>', 'price of a GB to the public', amount, PRICES.gbEgress.dollars)
    .option('--sources', 'also print where each figure was measured')
    .action(async ({ viewers, rate, videos, plain, descriptors, coreHour, gbEgress, sources = false }: { viewers: number; rate: number; videos: number; plain?: true; descriptors: number; coreHour: number; gbEgress: number; sources?: boolean }) =>
      line.print(planFor({ viewers, rate, videos, gzip: !plain, descriptors, coreHour, gbEgress }), plan => planText(plan, sources, line.out.colour)),
    )
}
