import { realpathSync } from 'node:fs'
import { dirname } from 'node:path'
import { closeFile, closeFolder, holdsOwnFilesAlone } from '../../runtime/private-files.js'

/** Takes a store's files from all users but their owner: the database, its log, and the index of the log, which readers lock.
 * A folder that holds nothing but files of ours is closed as well; any other, such as /srv or a home, is left as it is.
 * @param path of a database, which need not be there
 * @returns whether any of it was open to others
 * @throws an error of the file system */
export function closeStoreFiles(path: string): boolean {
  let real: string
  try {
    real = realpathSync(path) // SQLite keeps the log beside the file that a link leads to
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
    throw error
  }
  const files = ['', '-wal', '-shm', '-journal'].map(end => closeFile(`${real}${end}`))
  const folder = dirname(real)
  return (holdsOwnFilesAlone(folder) && closeFolder(folder)) || files.includes(true)
}
