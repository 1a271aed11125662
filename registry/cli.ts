import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { drain, undrain } from './cli/drain.js'
import { dispatcherRows, dispatchersTable, edgeRows, edgesTable } from './cli/nodes.js'
import { Problem } from './cli/problem.js'
import { withRegistry, withZookeeper } from './cli/session.js'
import { oneVideo, videoRows, videosTable, videoTable } from './cli/videos.js'
import { zookeeperAddress, type ZookeeperAddress } from './cli/zookeeper-address.js'
import { checkVideoId } from './contract/comment.js'
import { isNodeId } from './contract/nodes.js'
import { ConfigError } from './node/config.js'
import { LiveError } from './node/errors.js'
import { parseConnectString } from './zookeeper/connect-string.js'

/** The operators' commands. Sets the exit status: 0, 1 for a problem found, 2 for wrong usage.
 * @param argv what follows the word `registry` */
export async function main(argv: string[], env: NodeJS.ProcessEnv): Promise<void> {
  // A reader that has seen enough, such as `head`, closes the pipe.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
  try {
    await program(env).parseAsync(argv, { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2
    else if (error instanceof ConfigError) fail(2, `bad configuration\n${error.message}`)
    else if (error instanceof Problem) fail(1, error.message)
    else throw error
  }
}

function fail(status: number, message: string): void {
  process.stderr.write(`registry: ${message}\n`)
  process.exitCode = status
}

function program(env: NodeJS.ProcessEnv): Command {
  const colour = process.stdout.isTTY && !env['NO_COLOR']
  const all = new Command('registry')
    .description('Who is in the cluster and who watches what, as ZooKeeper has it.')
    .option('--zookeeper <HOST:PORT/CHROOT>', 'where ZooKeeper is (else ZOOKEEPER_CONNECT, ./data/cluster.json, 127.0.0.1:2181/live-comments)', connectString)
    .option('--json', 'print JSON, and nothing else on stdout')
    .configureHelp({ showGlobalOptions: true })
    .showHelpAfterError('(--help lists commands and options)')
    .exitOverride()
  const options = () => all.opts<{ zookeeper?: string; json?: true }>()
  const address = (): ZookeeperAddress => zookeeperAddress(options().zookeeper, env, process.cwd())
  /** Prints `value` as JSON, or what `text` makes of it. */
  const print = <T>(value: T, text: (value: T) => string) => write(options().json ? `${JSON.stringify(value)}\n` : text(value))

  all
    .command('edges')
    .description('the edges, their state, viewers and videos')
    .action(async () => print(await withRegistry(address(), ['edges', 'holdings'], ({ view }) => edgeRows(view)), rows => edgesTable(rows, Date.now(), colour)))
  all
    .command('dispatchers')
    .description('the dispatchers and their state')
    .action(async () => print(await withRegistry(address(), ['dispatchers'], ({ view }) => dispatcherRows(view)), rows => dispatchersTable(rows, Date.now(), colour)))
  all
    .command('videos')
    .description('every watched video and where its viewers are, the most watched first')
    .option('--top <N>', 'only the first N', positive)
    .option('--edge <ID>', 'only videos that this edge holds', nodeId)
    .action(async ({ top, edge: edgeId }: { top?: number; edge?: string }) =>
      print(await withRegistry(address(), ['edges', 'holdings'], ({ view }) => videoRows(view, { top, edgeId })), rows => videosTable(rows, colour)),
    )
  all
    .command('video')
    .description('one video and where its viewers are')
    .argument('<ID>', 'the video', videoId)
    .action(async (id: string) => print(await withRegistry(address(), ['edges', 'holdings'], ({ view }) => oneVideo(view, id)), row => videoTable(row, colour)))
  all
    .command('drain')
    .description('ask an edge to hand its viewers to other edges and leave; once it starts again it takes viewers')
    .argument('<EDGE>', 'the edge', nodeId)
    .action(async (id: string) => print(await withZookeeper(address(), zk => drain(zk, id)), () => `${id} is asked to drain; the command edges shows how far it is.\n`))
  all
    .command('undrain')
    .description('take that wish back')
    .argument('<EDGE>', 'the edge', nodeId)
    .action(async (id: string) => print(await withZookeeper(address(), zk => undrain(zk, id)), () => `${id} is not asked to drain.\n`))
  return all
}

/** Resolves when stdout has taken it, or is closed. */
function write(text: string): Promise<void> {
  return new Promise(resolve => process.stdout.write(text, () => resolve()))
}

function connectString(text: string): string {
  try {
    parseConnectString(text)
    return text
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message)
  }
}

function positive(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a whole number above 0.')
  return Number(text)
}

function nodeId(text: string): string {
  if (!isNodeId(text)) throw new InvalidArgumentError('An id is 1 to 64 of A-Z a-z 0-9 _ -')
  return text
}

function videoId(text: string): string {
  try {
    return checkVideoId(text)
  } catch (error) {
    throw error instanceof LiveError ? new InvalidArgumentError(error.message) : error
  }
}
