import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import * as zookeeper from '../registry/zookeeper/jars.js'
import { javaCommand, noJava } from '../registry/zookeeper/local-server.js'
import { projectRoot } from '../runtime/root.js'
import * as cassandra from './cassandra/jars.js'
import { unfitJava } from './cassandra/local-node.js'

/** A server that runs from jars, which Maven can fetch. */
export interface JarServer {
  readonly name: string
  /** For people; undefined where it is not worth a word. */
  readonly size?: string
  /** @throws Error that says what to do when no folder has its jars */
  readonly findJars: () => unknown
  /** Why no Java here runs it; undefined where one does. */
  readonly lacksJava: () => string | undefined
  /** Where they are put. */
  readonly fetchedFolder: string
  /** The folder of the server-pom.xml and jars.sha256 that describe them. */
  readonly described: string
}

export const ZOOKEEPER: JarServer = {
  name: 'ZooKeeper',
  findJars: zookeeper.findJars,
  lacksJava: () => (spawnSync(javaCommand(), ['-version'], { stdio: 'ignore' }).error ? noJava() : undefined),
  fetchedFolder: zookeeper.FETCHED_FOLDER,
  described: join(projectRoot, 'registry', 'zookeeper'),
}
export const CASSANDRA: JarServer = {
  name: 'Cassandra',
  size: '66 MB',
  findJars: cassandra.findJars,
  lacksJava: unfitJava,
  fetchedFolder: cassandra.FETCHED_FOLDER,
  described: cassandra.DESCRIBED,
}

const FETCH = join(projectRoot, 'registry', 'zookeeper', 'fetch.sh')
/** Lines of Maven's that are shown where it fails. */
const SHOWN_LINES = 5

/** Has Maven fetch a server's jars where no folder has them; `stopped` ends that.
 * @throws Error, its message for people, where Java or Maven is missing, or Maven could not fetch them */
export async function provideJars(server: JarServer, say: (line: string) => void, stopped: AbortSignal): Promise<void> {
  try {
    server.findJars()
  } catch (missing) {
    const lacksJava = server.lacksJava()
    if (lacksJava !== undefined) throw new Error(lacksJava)
    if (spawnSync('mvn', ['--version'], { stdio: 'ignore' }).status !== 0) throw missing
    say(`fetching ${server.name}${server.size === undefined ? '' : ` (${server.size})`} with Maven into ${server.fetchedFolder}`)
    await fetchJars(server, stopped)
  }
}

async function fetchJars({ name, fetchedFolder, described }: JarServer, stopped: AbortSignal): Promise<void> {
  const fetch = spawn('sh', [FETCH, fetchedFolder, described], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const end = () => process.kill(-fetch.pid!, 'SIGTERM')
  stopped.addEventListener('abort', end)
  let said = ''
  for (const stream of [fetch.stdout, fetch.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  const [status] = (await once(fetch, 'close')) as [number | null]
  stopped.removeEventListener('abort', end)
  if (status !== 0) throw new Error(`Maven could not fetch ${name}:\n${said.trim().split('\n').slice(-SHOWN_LINES).join('\n')}`)
}
