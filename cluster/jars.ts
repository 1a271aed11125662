import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { FETCHED_FOLDER, findJars } from '../registry/zookeeper/jars.js'
import { javaCommand, noJava } from '../registry/zookeeper/local-server.js'
import { projectRoot } from '../runtime/root.js'

const FETCH = join(projectRoot, 'registry', 'zookeeper', 'fetch.sh')
/** Lines of Maven's that are shown where it fails. */
const SHOWN_LINES = 5

/** Has Maven fetch ZooKeeper's jars where no folder has them; `stopped` ends that.
 * @throws Error, its message for people, where Java or Maven is missing, or Maven could not fetch them */
export async function provideJars(say: (line: string) => void, stopped: AbortSignal): Promise<void> {
  try {
    findJars()
  } catch (missing) {
    if (spawnSync(javaCommand(), ['-version'], { stdio: 'ignore' }).error) throw new Error(noJava())
    if (spawnSync('mvn', ['--version'], { stdio: 'ignore' }).status !== 0) throw missing
    say(`fetching ZooKeeper with Maven into ${FETCHED_FOLDER}`)
    await fetchInto(FETCHED_FOLDER, stopped)
  }
}

async function fetchInto(folder: string, stopped: AbortSignal): Promise<void> {
  const fetch = spawn('sh', [FETCH, folder], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  const end = () => process.kill(-fetch.pid!, 'SIGTERM')
  stopped.addEventListener('abort', end)
  let said = ''
  for (const stream of [fetch.stdout, fetch.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (said += text))
  const [status] = (await once(fetch, 'close')) as [number | null]
  stopped.removeEventListener('abort', end)
  if (status !== 0) throw new Error(`Maven could not fetch ZooKeeper:\n${said.trim().split('\n').slice(-SHOWN_LINES).join('\n')}`)
}
