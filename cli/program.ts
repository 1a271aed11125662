import { resolve } from 'node:path'
import { Argument, Command, InvalidArgumentError, Option } from 'commander'
import { checkVideoId } from '../protocol/comment.js'
import { MAX_SLOW_MODE_SECONDS, type Settings } from '../protocol/entry.js'
import { LiveError } from '../protocol/errors.js'
import { MAX_RECENT } from '../protocol/limits.js'
import { parseCursor } from '../protocol/id.js'
import { isNodeId, MAX_EXPECTED, type ExpectedNodes } from '../protocol/nodes.js'
import { expectNodes } from '../registry/expected-nodes.js'
import { secure } from '../registry/secure.js'
import { STORE_ACTIONS, type StoreAction } from '../protocol/store.js'
import { parseConnectString } from '../registry/zookeeper/connect-string.js'
import { completion, SHELLS, type Shell } from './completion.js'
import { calledAs } from '../runtime/called-as.js'
import { readConfig } from '../runtime/config.js'
import type { InternalClient } from '../runtime/peers/client.js'
import type { ProofRule } from '../runtime/peers/proven-peers.js'
import { internalProof } from '../runtime/variables.js'
import { backUp, backupText } from './backup.js'
import { clusterLine } from './cluster-at.js'
import { copiedText, copyStore } from './copy/copy-store.js'
import { withLiveRegistry, withRegistry, withZookeeper, type Reading } from './connection.js'
import { examine } from './doctor/examination.js'
import { report } from './doctor/report.js'
import { drain, undrain } from './drain.js'
import { exportVideo } from './export.js'
import { headcounts, headcountsTable } from './expect.js'
import { gatewayAddress, meantGateway, type GatewayAddress } from './gateway-address.js'
import { postComment } from './gateway-client.js'
import { withMeantCluster } from './meant-cluster.js'
import { doneText, erasedText, Moderator, settingsText } from './moderate.js'
import { nameCluster } from './name.js'
import { dispatcherRows, dispatchersTable, edgeRows, edgesText, gatewayRows, gatewaysTable } from './nodes.js'
import { harmlessIn, harmlessJson, Misuse, type Output, type Surroundings } from './output.js'
import { personToken, type PersonFlags } from './person-token.js'
import { initializedText, initStore, parseReplication } from './init-store.js'
import { planFor } from './plan/plan.js'
import { planText } from './plan/text.js'
import { restore, restoredText } from './restore.js'
import { AUTHOR_TOKEN, dataFolder, INTERNAL_TOKEN, readFrom, runningCluster } from './running-cluster.js'
import { secureText, withCredentials } from './secure.js'
import { rebalance, rebalanceText, spread, spreadRows, spreadTable } from './spread.js'
import { storePath } from './store-path.js'
import { adoptStore, stores, storesText } from './store.js'
import { counted, number } from './table.js'
import { actLine, commentLine, tail } from './tail.js'
import { duration } from './token.js'
import { oneVideo, VIDEOS_SHOWN, videosTable, videoTable, watchedVideos } from './videos.js'
import { newsLine, watch } from './watch.js'
import { zookeeperAddress, type ZookeeperAddress, type ZookeeperFlags } from './zookeeper-address.js'

interface GatewayFlags extends PersonFlags {
  readonly gateway?: string
}

interface SettingsFlags {
  readonly slowMode?: number
  readonly closed?: true
  readonly open?: true
  readonly signedInOnly?: true
  readonly anyone?: true
}

interface StoreFlags {
  readonly token?: string
  readonly replication?: ReadonlyMap<string, number>
  readonly from?: string
  readonly to?: string
}

/** What store does beside what it has a dispatcher do. */
const INIT = 'init'
const COPY = 'copy'
/** Where a video is placed without anybody's wish. */
const AUTO = 'auto'

/** The operators' commands. A command whose check fails sets the status of `out`. */
export function program({ env, folder, stdout, stderr }: Surroundings, out: Output): Command {
  const self = calledAs('registry', env)
  const all = new Command(self)
    .description('Inspects the cluster: its nodes and watched videos by ZooKeeper, and comments as a viewer sees them.')
    .option('--data <FOLDER>', 'data folder of a local cluster, for its addresses and its secrets')
    .option('--zookeeper <HOST:PORT/CHROOT>', 'ZooKeeper\'s address (else --data, ZOOKEEPER_CONNECT, ./data; only for reading: 127.0.0.1:2181/live-comments)', connectString)
    .option('--zookeeper-auth-file <FILE>', 'file with the USER:PASSWORD for it (else ZOOKEEPER_AUTH, ZOOKEEPER_AUTH_FILE, ./data/zookeeper-auth)')
    .option('--json', 'print only JSON: the answer on stdout, an error on stderr')
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({ writeOut: text => stdout.write(text), writeErr: text => out.json || stderr.write(text), getOutHelpWidth: () => stdout.columns ?? 80 })
    .showHelpAfterError('(--help lists commands and options)')
    .helpCommand(false)
    .exitOverride()
  const options = () => all.opts<ZookeeperFlags & { json?: true; data?: string }>()
  const data = () => dataFolder(options().data, folder)
  const note = (line: string) => out.note(line)
  const address = (): ZookeeperAddress => zookeeperAddress(options(), env, data())
  const reading = (): Reading => ({ address: address(), note })
  const jsonLine = (value: unknown) => `${harmlessJson(value)}\n`
  /** Prints `value` as JSON, or what `text` makes of it. Its texts may be other people's. */
  const print = <T>(value: T, text: (value: T) => string) => out.write(options().json ? jsonLine(value) : text(harmlessIn(value)))
  /** @param examples arguments of the command, each of which works against `npm start` */
  const command = (name: string, description: string, ...examples: string[]) =>
    all.command(name).description(description).addHelpText('after', examplesOf(examples.map(example => `${name} ${example}`.trimEnd())))
  const examplesOf = (lines: readonly string[]) => `\nExamples:\n${lines.map(line => `  ${self} ${line}\n`).join('')}`
  const gatewayOption = ['--gateway <URL>', 'the gateway\'s URL (else --data, ./data; only for reading: http://127.0.0.1:8080)', httpUrl] as const
  const personOption = ['--token <TOKEN>', 'a person\'s token, where identity is on; other users of this machine can see it here'] as const
  const personFileOption = ['--token-file <FILE>', 'file with that token (else LIVE_COMMENTS_TOKEN, ./data/author-token)'] as const
  /** The gateway, to be asked in a person's name. */
  const gatewayOf = ({ gateway, token, tokenFile }: GatewayFlags): GatewayAddress => {
    const address = gatewayAddress(gateway, data())
    return { ...address, token: personToken({ token, tokenFile: tokenFile && resolve(folder, tokenFile) }, env) ?? (address.isOfFolder ? readFrom(data(), AUTHOR_TOKEN) : undefined) }
  }
  const readingGateway = (flags: GatewayFlags) => {
    const address = gatewayOf(flags)
    if (address.isDefault) note(`the gateway at ${address.url} (the default)`)
    return address
  }
  const storeOption = ['--store <FILE>', 'the store\'s file, on the dispatchers\' machine (else --data, STORE_URL, ./data)'] as const
  const storeOf = (flag: string | undefined) => storePath(flag, env, data(), folder)
  const tokenOption = ['--token <TOKEN>', 'the internal token (else INTERNAL_TOKEN, ./data/internal-token)'] as const
  /** Runs `task` with what calls the parts. A cluster of npm start proves itself, unless told otherwise. */
  const calling = <T>(flag: string | undefined, task: (client: InternalClient) => Promise<T>): Promise<T> => {
    const { INTERNAL_PROOF } = readConfig(env, { INTERNAL_PROOF: internalProof.optional() })
    const given = flag ?? env['INTERNAL_TOKEN']
    return withCaller(given || readFrom(data(), INTERNAL_TOKEN), INTERNAL_PROOF ?? (given ? 'prefer' : 'require'), task)
  }

  command('edges', 'list the edges with their state, viewers and videos; of many, what sums them up', '', '--all', '--json')
    .option('--all', 'every edge, however many they are, as --json has them')
    .action(async ({ all = false }: { all?: boolean }) => print(await withRegistry(reading(), ['edges', 'holdings'], ({ view }) => edgeRows(view)), rows => edgesText(rows, Date.now(), { all, colour: out.colour })))
  command('dispatchers', 'list the dispatchers with their state', '', '--json')
    .action(async () => print(await withRegistry(reading(), ['dispatchers'], ({ view }) => dispatcherRows(view)), rows => dispatchersTable(rows, Date.now(), out.colour)))
  command('gateways', 'list the gateways with their state and viewers', '', '--json')
    .action(async () => print(await withRegistry(reading(), ['gateways'], ({ view }) => gatewayRows(view)), rows => gatewaysTable(rows, Date.now(), out.colour)))
  command('videos', 'list the most watched videos and the edges of their viewers', '--top 10', '--all', '--edge edge-1 --json')
    .option('--top <N>', `only the first N (${VIDEOS_SHOWN} for people, all with --json)`, positive)
    .option('--all', 'every video')
    .option('--edge <ID>', 'only videos that this edge holds', nodeId)
    .action(async ({ top, all, edge: edgeId }: { top?: number; all?: true; edge?: string }) => {
      const most = top ?? (all || options().json ? Infinity : VIDEOS_SHOWN)
      const found = await withRegistry(reading(), ['edges', 'holdings'], ({ view }) => watchedVideos(view, { top: most, edgeId }))
      await print(found.rows, rows => videosTable({ ...found, rows }, out.colour))
    })
  command('video', 'show one video and the edges of its viewers', 'demo')
    .argument('<ID>', 'the video\'s id', videoId)
    .action(async (id: string) => print(await withRegistry(reading(), ['edges', 'holdings'], ({ view }) => oneVideo(view, id)), row => videoTable(row, out.colour)))
  command('watch', 'print nodes that join or leave, and changes of holdings, until Ctrl-C', '', '--json')
    .action(() =>
      out.untilInterrupted(signal =>
        withLiveRegistry(reading(), async (zk, registry) => {
          out.note('watching; press Ctrl-C to end')
          await watch(zk, registry, news => {
            const at = Date.now()
            void out.write(options().json ? jsonLine({ at, ...news }) : newsLine(news, at, out.paint))
          }, signal)
        }),
      ),
    )
  command('drain', 'ask an edge to hand its viewers to other edges, or a gateway to send them away; after a restart it takes viewers again', 'edge-1', 'gateway-1')
    .argument('<NODE>', 'the id of the edge or gateway', nodeId)
    .action(async (id: string) => print(await withMeantCluster(reading(), zk => drain(zk, id)), () => `${id} is asked to drain; the commands edges and gateways show its progress.\n`))
  command('undrain', 'withdraw a drain', 'edge-1', 'gateway-1')
    .argument('<NODE>', 'the id of the edge or gateway', nodeId)
    .action(async (id: string) => print(await withMeantCluster(reading(), zk => undrain(zk, id)), () => `${id} is not asked to drain.\n`))
  command('spread', 'have a video\'s viewers on so many edges, in equal parts; auto: on as few as carry it; without a video, list those that are spread', '', 'demo 2', 'demo auto')
    .argument('[VIDEO]', 'the video\'s id', videoId)
    .argument('[EDGES]', 'how many edges, or auto', edgesOrAuto)
    .action(async (id: string | undefined, edges: number | typeof AUTO | undefined) => {
      if (id !== undefined && edges === undefined) throw new Misuse(`on how many edges is it to be? ${self} spread ${id} EDGES, or ${self} spread ${id} ${AUTO}`)
      if (id !== undefined) await withMeantCluster(reading(), zk => spread(zk, id, edges === AUTO ? undefined : edges))
      await print(await withRegistry(reading(), ['edges', 'holdings', 'placement'], ({ view }) => spreadRows(view)), rows => spreadTable(rows, out.colour))
    })
  command('rebalance', 'give every edge its share of the viewers now, however little it is off by', '')
    .action(async () => print(await withMeantCluster(reading(), rebalance), rebalanceText))
  command('secure', 'restrict all our znodes in ZooKeeper to these credentials', '--zookeeper-auth-file ./zookeeper-auth')
    .action(async () => print(await withMeantCluster(reading(), secure, withCredentials), secureText))
  command('name', 'set the cluster\'s name, which commands print before they change the cluster', 'production')
    .argument('<NAME>', '1 to 64 visible ASCII characters and blanks', clusterName)
    .action(async (name: string) => print(await withMeantCluster(reading(), zk => nameCluster(zk, name)), ({ id }) => `The name of cluster ${id} is ${name}.\n`))
  command('expect', 'set how many nodes of each kind should be there, which doctor compares with those that are; without a count, print both', '', '--gateways 1 --edges 2 --dispatchers 1')
    .option('--gateways <N>', 'expected gateways', count)
    .option('--edges <N>', 'expected edges', count)
    .option('--dispatchers <N>', 'expected dispatchers', count)
    .action(async (counts: ExpectedNodes) => {
      if (Object.keys(counts).length > 0) await withMeantCluster(reading(), zk => expectNodes(zk, counts))
      await print(await withRegistry(reading(), ['edges', 'dispatchers', 'gateways'], headcounts), rows => headcountsTable(rows, out.colour))
    })
  command('store', 'show which store is expected and what each dispatcher has; or make what is at a dispatcher\'s path the store; or make the tables in Cassandra; or copy a store', '', 'accept dispatcher-1', 'restore dispatcher-1')
    .addArgument(new Argument('[ACTION]', 'accept: the file as it is; restore: a backup, which may lack what was stored; create: a new file, where there is none; init: the keyspace and tables that a cassandra: STORE_URL names; copy: all of a store into another').choices([...STORE_ACTIONS, INIT, COPY]))
    .argument('[DISPATCHER]', 'the id of the dispatcher', nodeId)
    .option(...tokenOption)
    .option('--replication <DATA_CENTRE=REPLICAS>', 'for init: how many replicas each data centre has, separated by commas', replication)
    .option('--from <URL>', 'for copy: the store to be read, as STORE_URL names it; dispatchers may use it')
    .option('--to <URL>', 'for copy: the store to be written: a file, made if it is missing, or a Cassandra after init')
    .action(async (action: StoreAction | typeof INIT | typeof COPY | undefined, id: string | undefined, { token, replication, from, to }: StoreFlags) => {
      if (action === COPY) return print(await out.untilStopped(signal => copyStore({ from, to, env, signal, write: text => out.writeNote(text), isTerminal: out.notesToTerminal })), copiedText)
      if (action === INIT) return print(await initStore(env, replication), initializedText)
      if (action === undefined) return print(await calling(token, client => withLiveRegistry(reading(), (zk, { view }) => stores(zk, view, client))), found => storesText(found, out.colour))
      if (id === undefined) throw new Misuse(`which dispatcher's file is meant? Name it: ${self} store ${action} DISPATCHER`)
      await print(await calling(token, client => withMeantCluster(reading(), zk => adoptStore(zk, client, id, action))), ({ path }) => `${path}, the file of ${id}, is the store now.\n`)
    })
  command('doctor', 'examine the whole cluster; name each problem and what to do about it (exit status 1 if there is one)', '', '--json')
    .option(...tokenOption)
    .option('--all', 'each finding, however many there are of a kind, as --json has them')
    .action(async ({ token, all = false }: { token?: string; all?: boolean }) => {
      const where = address()
      const diagnosis = await calling(token, client => examine({ address: where, client, cluster: runningCluster(data()) }))
      if (where.isDefault) note(clusterLine(diagnosis.cluster ?? undefined, where))
      await print(diagnosis, diagnosis => report(diagnosis, out.paint, all))
      if (!diagnosis.healthy) out.status = 1
    })
  command('plan', 'say how many processes, cores and bits a second a demand takes, from measured figures; asks no cluster', '--viewers 1000000 --rate 100', '--viewers 1000000 --rate 100 --core-hour 0.04 --gb-egress 0.05 --json')
    .requiredOption('--viewers <N>', 'viewers at a time', positive)
    .requiredOption('--rate <N>', 'comments a second, of all videos', amount)
    .option('--videos <N>', 'videos that are watched at a time', positive, 1)
    .option('--plain', 'viewers that do not accept gzip')
    .option('--descriptors <N>', 'descriptors of a gateway', descriptors, 20_000)
    .option('--core-hour <DOLLARS>', 'price of a core for an hour', amount)
    .option('--gb-egress <DOLLARS>', 'price of a GB to the public', amount)
    .option('--sources', 'also say where each figure was measured')
    .action(async ({ viewers, rate, videos, plain, descriptors, coreHour, gbEgress, sources = false }: { viewers: number; rate: number; videos: number; plain?: true; descriptors: number; coreHour?: number; gbEgress?: number; sources?: boolean }) =>
      print(planFor({ viewers, rate, videos, gzip: !plain, descriptors, coreHour, gbEgress }), plan => planText(plan, sources, out.colour)),
    )
  command('backup', 'copy the store into a new file, while dispatchers use it, and check the copy', './backup.db', './backup-2.db --json')
    .argument('<FILE>', 'the new file')
    .option(...storeOption)
    .action(async (file: string, { store }: { store?: string }) => print(await backUp(await storeOf(store), resolve(folder, file)), backupText))
  command('restore', 'put a backup in the store\'s place, on the dispatchers\' machine; they may run', './backup.db')
    .argument('<FILE>', 'what backup has made, or another copy of the store')
    .option(...storeOption)
    .action(async (file: string, { store }: { store?: string }) => {
      const meant = reading()
      const restored = await restore({
        backup: resolve(folder, file),
        store: await storeOf(store),
        before: task => withMeantCluster(meant, task),
        after: task => withZookeeper(meant.address, task),
      })
      await print(restored, restoredText)
    })
  command('export', 'print a video\'s comments, oldest first, as lines of JSON', 'demo', 'demo --after 0')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .option('--after <ID>', 'begin after this comment: the last one of an earlier export', cursor, '0')
    .option(...gatewayOption)
    .option(...personOption)
    .option(...personFileOption)
    .action(async (videoId: string, { after, ...flags }: GatewayFlags & { after: string }) => {
      const { comments, last } = await exportVideo({ gateway: readingGateway(flags), videoId, after, write: lines => out.write(lines), isUnread: () => out.isUnread })
      note(`${counted(comments, 'comment')}; what comes later: --after ${last}`)
    })
  command('tail', 'print a video\'s comments as they arrive, until Ctrl-C', 'demo', 'demo --recent 20 --json')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .option('--recent <N>', `begin with the last N comments, at most ${MAX_RECENT}`, recent, 10)
    .option(...gatewayOption)
    .option(...personOption)
    .option(...personFileOption)
    .action((videoId: string, { recent, ...flags }: GatewayFlags & { recent: number }) =>
      out.untilInterrupted(async signal =>
        tail({
          gateway: readingGateway(flags),
          videoId,
          recent,
          signal,
          show: comment => print(comment, comment => commentLine(comment, out.paint)),
          showAct: act => print(act, act => actLine(act, out.paint)),
          notice: note,
        }),
      ),
    )
  command('post', 'post a comment', 'demo \'hello from a terminal\'', 'demo \'on air in five\' --author studio --json')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<TEXT>', 'the comment')
    .option('--author <NAME>', 'the author (else anonymous; a token names its own)')
    .option(...gatewayOption)
    .option(...personOption)
    .option(...personFileOption)
    .action(async (videoId: string, content: string, { author: authorId, ...flags }: GatewayFlags & { author?: string }) => {
      const to = meantGateway(gatewayOf(flags))
      note(`the gateway at ${to.url} (${to.source})`)
      await print(await postComment(to, videoId, { content, ...(authorId === undefined ? {} : { authorId }) }), ({ id }) => `posted: ${id}\n`)
    })
  const moderating = <T>(token: string | undefined, task: (moderator: Moderator) => Promise<T>): Promise<T> =>
    calling(token, async client => {
      await withMeantCluster(reading(), () => Promise.resolve())
      return withRegistry(reading(), ['dispatchers'], ({ view }) => task(new Moderator(view, client)))
    })
  command('pin', 'show a comment above all others, or none', 'demo 243901510635520', 'demo none')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<ID>', 'the comment\'s id; none: what is pinned is not any longer', text => (text === 'none' ? undefined : commentId(text)))
    .option(...tokenOption)
    .action(async (videoId: string, target: number | undefined, { token }: { token?: string }) =>
      print(await moderating(token, moderator => moderator.act(videoId, { type: 'pinned', target })), doneText(target === undefined ? 'nothing is pinned' : `${target} is pinned`)),
    )
  command('delete', 'delete a comment for good, for viewers and in the store', 'demo 243901510635520')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<ID>', 'the comment\'s id', commentId)
    .option(...tokenOption)
    .action(async (videoId: string, target: number, { token }: { token?: string }) => print(await moderating(token, moderator => moderator.act(videoId, { type: 'deleted', target })), doneText(`${target} is deleted`)))
  command('settings', 'set who may post to a video, and how often; without a setting, print what is set', 'demo', 'demo --slow-mode 10', 'demo --closed', 'demo --open --anyone --slow-mode 0')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .option('--slow-mode <SECONDS>', 'the least time between two comments of an author; 0: none', slowMode)
    .addOption(new Option('--closed', 'nobody may post').conflicts('open'))
    .option('--open', 'posting is allowed again')
    .addOption(new Option('--signed-in-only', 'only authors with a token may post').conflicts('anyone'))
    .option('--anyone', 'a token is not needed')
    .option(...tokenOption)
    .action(async (videoId: string, { token, ...flags }: SettingsFlags & { token?: string }) => {
      const change = changeOf(flags)
      const answer =
        Object.keys(change).length > 0
          ? await moderating(token, moderator => moderator.set(videoId, change))
          : await calling(token, client => withRegistry(reading(), ['dispatchers'], ({ view }) => new Moderator(view, client).state(videoId)))
      await print(answer, settingsText)
    })
  command('ban', 'keep an author from posting to a video for a time', 'demo troll', 'demo troll --for 7d')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<AUTHOR>', 'the author\'s id')
    .option('--for <TIME>', 'for how long: 90s, 30m, 1h, 7d', duration, 3_600)
    .option(...tokenOption)
    .action(async (videoId: string, authorId: string, { for: seconds, token }: { for: number; token?: string }) =>
      print(await moderating(token, moderator => moderator.act(videoId, { type: 'author-banned', authorId, until: Date.now() + seconds * 1_000 })), doneText(`${authorId} is banned`)),
    )
  command('unban', 'lift a ban', 'demo troll')
    .argument('<VIDEO>', 'the video\'s id', videoId)
    .argument('<AUTHOR>', 'the author\'s id')
    .option(...tokenOption)
    .action(async (videoId: string, authorId: string, { token }: { token?: string }) => print(await moderating(token, moderator => moderator.act(videoId, { type: 'author-banned', authorId, until: 0 })), doneText(`${authorId} is not banned`)))
  command('erase', 'delete all comments of an author in all videos for good, for a person who asks to be forgotten', '--author ann --yes')
    .requiredOption('--author <ID>', 'the author\'s id')
    .option('--yes', 'do not ask first')
    .option(...tokenOption)
    .action(async ({ author, yes, token }: { author: string; yes?: true; token?: string }) => {
      if (!yes && !(await out.confirms(`All comments of ${author} in all videos will be deleted for good. To go on, type the author's id again: `, author))) {
        throw new Misuse('nothing was deleted: to delete an author\'s comments, type the id when asked, or give --yes')
      }
      await print(await moderating(token, moderator => moderator.erase(author)), erasedText)
    })
  command('completion', 'print a script with which a shell completes the live-comments command', ...SHELLS)
    .addArgument(new Argument('<SHELL>', 'bash: source <(live-comments registry completion bash)').choices(SHELLS))
    .action((shell: Shell) => out.write(completion(shell, all)))
  return all.addHelpText('after', examplesOf(['doctor', 'videos --top 10', 'tail demo', 'post demo \'hello\'']))
}

async function withCaller<T>(token: string | undefined, proof: ProofRule, task: (client: InternalClient) => Promise<T>): Promise<T> {
  // Only few commands need the HTTP client, a third of all code that would be loaded.
  const { InternalClient } = await import('../runtime/peers/client.js')
  const client = new InternalClient(token, { proof })
  try {
    return await task(client)
  } finally {
    await client.close()
  }
}

function connectString(text: string): string {
  try {
    parseConnectString(text)
    return text
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

function httpUrl(text: string): string {
  if (!/^https?:\/\/[^/]/.test(text) || !URL.canParse(text)) throw new InvalidArgumentError('It must be an http or https URL.')
  return text
}

function positive(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.')
  return Number(text)
}

function descriptors(text: string): number {
  if (!/^[0-9]{4,8}$/.test(text) || Number(text) < 1_000) throw new InvalidArgumentError('It must be a whole number from 1,000 on.')
  return Number(text)
}

function amount(text: string): number {
  if (!/^[0-9]{1,9}(\.[0-9]{1,6})?$/.test(text)) throw new InvalidArgumentError('It must be a number, 0 or more.')
  return Number(text)
}

function count(text: string): number {
  if (!/^[0-9]{1,5}$/.test(text) || Number(text) > MAX_EXPECTED) throw new InvalidArgumentError(`It must be a whole number from 0 to ${number(MAX_EXPECTED)}.`)
  return Number(text)
}

function edgesOrAuto(text: string): number | typeof AUTO {
  if (text === AUTO) return AUTO
  if (!/^[1-9][0-9]{0,4}$/.test(text) || Number(text) > MAX_EXPECTED) throw new InvalidArgumentError(`It must be a whole number from 1 to ${number(MAX_EXPECTED)}, or ${AUTO}.`)
  return Number(text)
}

function recent(text: string): number {
  if (!/^[0-9]{1,3}$/.test(text) || Number(text) > MAX_RECENT) throw new InvalidArgumentError(`It must be a whole number from 0 to ${MAX_RECENT}.`)
  return Number(text)
}

function changeOf({ slowMode, closed, open, signedInOnly, anyone }: SettingsFlags): Partial<Settings> {
  return {
    ...(slowMode === undefined ? {} : { slowModeSeconds: slowMode }),
    ...(closed || open ? { closed: closed === true } : {}),
    ...(signedInOnly || anyone ? { signedInOnly: signedInOnly === true } : {}),
  }
}

function slowMode(text: string): number {
  if (!/^[0-9]{1,4}$/.test(text) || Number(text) > MAX_SLOW_MODE_SECONDS) throw new InvalidArgumentError(`It must be a whole number from 0 to ${number(MAX_SLOW_MODE_SECONDS)}.`)
  return Number(text)
}

function commentId(text: string): number {
  const id = parseCursor(text)
  if (!id) throw new InvalidArgumentError('It must be a comment\'s id.')
  return id
}

function cursor(text: string): string {
  if (parseCursor(text) === undefined) throw new InvalidArgumentError('It must be a comment\'s id, or 0.')
  return text
}

function nodeId(text: string): string {
  if (!isNodeId(text)) throw new InvalidArgumentError('An id is 1 to 64 of A-Z a-z 0-9 _ -')
  return text
}

function replication(text: string): ReadonlyMap<string, number> {
  try {
    return parseReplication(text)
  } catch (error) {
    throw new InvalidArgumentError(`It ${(error as Error).message}.`)
  }
}

function clusterName(text: string): string {
  if (!/^[\x20-\x7e]{1,64}$/.test(text) || text.trim() !== text) throw new InvalidArgumentError('A name is 1 to 64 visible ASCII characters, and blanks between them.')
  return text
}

function videoId(text: string): string {
  try {
    return checkVideoId(text)
  } catch (error) {
    throw error instanceof LiveError ? new InvalidArgumentError(error.message) : error
  }
}
