import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { projectRoot } from '../../runtime/root.js'

/** Folders that may have a ZooKeeper server's jars, best first: setup.sh's, that of Debian's package, those of Homebrew's. */
export const JAR_FOLDERS: readonly string[] = [
  join(projectRoot, '.cache', 'zookeeper'),
  '/usr/share/java',
  '/opt/homebrew/opt/zookeeper/libexec/lib',
  '/usr/local/opt/zookeeper/libexec/lib',
  '/home/linuxbrew/.linuxbrew/opt/zookeeper/libexec/lib',
]

/** The class path of a ZooKeeper server.
 * @throws Error that says to run setup.sh, when no folder has one */
export function findJars(folders = JAR_FOLDERS): string {
  for (const folder of folders) {
    const jars = jarsIn(folder)
    if (jars.length > 0) return jars.map(jar => join(folder, jar)).join(delimiter)
  }
  throw new Error('ZooKeeper is not installed: run ./setup.sh')
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
