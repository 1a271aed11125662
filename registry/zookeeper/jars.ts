import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { isCheckout, projectRoot } from '../../runtime/root.js'
import { VERSION } from '../../runtime/version.js'

/** Where a cluster that finds no jars has fetch.sh put them: of this user, for this version of ours. */
export const FETCHED_FOLDER = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'live-comments', VERSION, 'zookeeper')

/** Folders of Debian's package and of Homebrew's. */
export const PACKAGED_FOLDERS: readonly string[] = [
  '/usr/share/java',
  '/opt/homebrew/opt/zookeeper/libexec/lib',
  '/usr/local/opt/zookeeper/libexec/lib',
  '/home/linuxbrew/.linuxbrew/opt/zookeeper/libexec/lib',
]

/** Folders that may have a ZooKeeper server's jars, best first: setup.sh's, a cluster's own, those of packages. */
const JAR_FOLDERS: readonly string[] = [join(projectRoot, '.cache', 'zookeeper'), FETCHED_FOLDER, ...PACKAGED_FOLDERS]

/** What to do where Java or ZooKeeper is missing. */
export function howToGet(what: 'Java' | 'ZooKeeper', inCheckout = isCheckout): string {
  if (inCheckout) return 'run ./setup.sh'
  const install = what === 'Java' ? 'install Java 17 or later (apt-get install default-jre-headless, brew install openjdk@17)' : 'install Maven, with which this command fetches it (apt-get install maven, brew install maven)'
  return `${install}, or name a ZooKeeper that runs with --zookeeper HOST:PORT/CHROOT`
}

/** The class path of a ZooKeeper server.
 * @throws Error that says what to do when no folder has one */
export function findJars(folders = JAR_FOLDERS): string {
  for (const folder of folders) {
    const jars = jarsIn(folder)
    if (jars.length > 0) return jars.map(jar => join(folder, jar)).join(delimiter)
  }
  throw new Error(`ZooKeeper is not installed: ${howToGet('ZooKeeper')}`)
}

function jarsIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  const jars = readdirSync(folder).filter(name => name.endsWith('.jar'))
  // Debian's jar names its own dependencies, and its folder has the jars of every other package too.
  if (jars.includes('zookeeper.jar')) return jars.filter(name => name === 'zookeeper.jar' || name === 'slf4j-simple.jar')
  if (!jars.some(name => /^zookeeper-\d/.test(name))) return []
  // Without a configuration, logback writes every debug line.
  return jars.filter(name => !name.startsWith('logback'))
}
