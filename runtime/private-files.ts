import { chmodSync, lstatSync, readdirSync, statSync, type Stats } from 'node:fs'
import { join } from 'node:path'

/** The rights of a file's group and of all others. */
const OTHERS = 0o077
/** Set on folders into which several users put files, such as /tmp. */
const STICKY = 0o1000
/** Another user's, or gone meanwhile. */
const NOT_OURS = new Set(['EPERM', 'EACCES', 'ENOENT'])

/** What this process and its children write from now on is for their own user alone. */
export function writePrivately(): void {
  process.umask(OTHERS)
}

/** A folder of several users cannot be made one's own. */
export class SharedFolderError extends Error {
  override readonly name = 'SharedFolderError'
}

/** Takes a folder, and the files and folders in it, from all users but their owner. Links and what another user owns are
 * left alone.
 * @returns whether anything was open to others
 * @throws SharedFolderError, or an error of the file system */
export function closeFolder(path: string): boolean {
  const stat = statSync(path)
  if (stat.mode & STICKY) throw new SharedFolderError(`${path} is a folder of several users: name one of its own`)
  const wasOpen = close(path, stat)
  return closeWithin(path) || wasOpen
}

/** The same for a file, or a folder without what lies in it, and for what a link leads to. @returns false also where there is none */
export function closeFile(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat !== undefined && close(path, stat)
}

/** Whether a folder holds plain files of this user and nothing else, so that to close it takes nothing from anyone. */
export function holdsOwnFilesAlone(folder: string): boolean {
  const uid = process.getuid?.()
  const stat = statSync(folder)
  if (stat.mode & STICKY || stat.uid !== uid) return false
  return readdirSync(folder).every(name => {
    const entry = lstatSync(join(folder, name), { throwIfNoEntry: false })
    return entry === undefined || (entry.isFile() && entry.uid === uid)
  })
}

function closeWithin(folder: string): boolean {
  let wasOpen = false
  for (const name of ours(() => readdirSync(folder)) ?? []) {
    const path = join(folder, name)
    const stat = lstatSync(path, { throwIfNoEntry: false })
    if (!stat?.isFile() && !stat?.isDirectory()) continue
    if (close(path, stat)) wasOpen = true
    if (stat.isDirectory() && closeWithin(path)) wasOpen = true
  }
  return wasOpen
}

function close(path: string, { mode }: Stats): boolean {
  if ((mode & OTHERS) === 0) return false
  return ours(() => chmodSync(path, mode & 0o7777 & ~OTHERS)) !== undefined
}

/** What `task` returns, null for nothing; undefined where it is about what is not ours. */
function ours<T>(task: () => T): T | null | undefined {
  try {
    return task() ?? null
  } catch (error) {
    if (NOT_OURS.has((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}
