import { existsSync, readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { isCheckout, projectRoot } from '../../runtime/root.js'
import { VERSION } from '../../runtime/version.js'

/** The folder with the pom by which the jars are fetched, and their hashes. */
export const DESCRIBED = join(projectRoot, 'cluster', 'cassandra')
/** Where a cluster that finds no jars has them put: of this user, for this version of ours. */
export const FETCHED_FOLDER = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'live-comments', VERSION, 'cassandra')

/** Folders that may have a Cassandra's jars: setup.sh's, and a cluster's own. */
const JAR_FOLDERS: readonly string[] = [join(projectRoot, '.cache', 'cassandra'), FETCHED_FOLDER]

/** A folder with all jars of a Cassandra. @throws Error that says what to do when no folder has them */
export function findJars(folders = JAR_FOLDERS): string {
  const folder = folders.find(each => existsSync(each) && readdirSync(each).some(name => name.startsWith('cassandra-all-')))
  if (folder !== undefined) return folder
  const maven = isCheckout ? 'run ./setup.sh --for-long-tests, or install Maven' : 'install Maven (apt-get install maven, brew install maven)'
  throw new Error(`Cassandra is not here, and there is no Maven to fetch it with: ${maven}, or name a Cassandra that runs by STORE_URL`)
}
