import { existsSync, realpathSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { closeFile, closeFolder, holdsOwnFilesAlone } from '../../runtime/private-files.js'

/** In every data folder of `npm start`. */
const DATA_FOLDER_LOCK = 'supervisor.lock'

/** Takes a store's files from all users but their owner: the database, its log, and the index of the log, which readers lock.
 * Their folder is closed as well where it holds nothing but files of ours, or is a data folder of `npm start`; any other, such as
 * /srv or a home, is left as it is.
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
  const folderWasOpen = holdsOwnFilesAlone(folder) ? closeFolder(folder) : existsSync(join(folder, DATA_FOLDER_LOCK)) && closeFile(folder)
  return folderWasOpen || files.includes(true)
}
