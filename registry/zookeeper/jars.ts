import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { projectRoot } from '../../runtime/root.js'

/** Where a ZooKeeper server's jars may lie, best first: what setup.sh fetched, Debian's package, Homebrew's. */
export const jarFolders: readonly string[] = [
  join(projectRoot, '.cache', 'zookeeper'),
  '/usr/share/java',
  '/opt/homebrew/opt/zookeeper/libexec/lib',
  '/usr/local/opt/zookeeper/libexec/lib',
  '/home/linuxbrew/.linuxbrew/opt/zookeeper/libexec/lib',
]

/** The class path of a ZooKeeper server.
 * @throws Error that says to run setup.sh, when no folder has one. */
export function findJars(folders = jarFolders): string {
  for (const folder of folders) {
    const jars = jarsIn(folder)
    if (jars.length > 0) return jars.map(jar => join(folder, jar)).join(delimiter)
  }
  throw new Error('ZooKeeper is not installed: run ./setup.sh')
}

function jarsIn(folder: string): string[] {
  if (!existsSync(folder)) return []
  const jars = readdirSync(folder).filter(name => name.endsWith('.jar'))
  // Debian's jar names its dependencies itself, and the folder holds those of every other package too.
  if (jars.includes('zookeeper.jar')) return jars.filter(name => name === 'zookeeper.jar' || name === 'slf4j-simple.jar')
  if (!jars.some(name => /^zookeeper-\d/.test(name))) return []
  // Unconfigured, logback writes every debug line.
  return jars.filter(name => !name.startsWith('logback'))
}
