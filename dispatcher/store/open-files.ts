import { realpathSync, statSync } from 'node:fs'

/** Another file is at a path of an open database, or none: what is written goes where nobody will look for it. */
export class FileMovedError extends Error {
  /** @param code `FILE_MOVED`: the database itself; `LOG_MOVED`: its log, or the log's index */
  constructor(
    readonly code: 'FILE_MOVED' | 'LOG_MOVED',
    path: string,
  ) {
    super(`${path} was removed, moved or replaced while it was open`)
  }
}

/** Where the files of an open database are, by device and inode: the database, its log, and the index of the log that
 * all connections share. Files are never opened for it: closing one would drop
 * every lock that this process has on it (https://sqlite.org/howtocorrupt.html, section 2.2). */
export class OpenFiles {
  readonly #files: readonly { readonly path: string; readonly place: string | undefined }[]

  /** @param path of a database that was opened and read from, so that its log is there
   * @throws an error of the file system */
  constructor(path: string) {
    const real = realpathSync(path) // SQLite keeps the log beside the file that a link leads to
    this.#files = [path, `${real}-wal`, `${real}-shm`].map(path => ({ path, place: placeOf(path) }))
  }

  /** Device and inode of the database, as `device:inode`. */
  get place(): string {
    return this.#files[0]!.place ?? ''
  }

  /** @throws FileMovedError, or an error of the file system */
  check(): void {
    for (const [i, { path, place }] of this.#files.entries()) if (placeOf(path) !== place) throw new FileMovedError(i === 0 ? 'FILE_MOVED' : 'LOG_MOVED', path)
  }

  /** The log is gone, and nobody has made another. */
  get logRemoved(): boolean {
    const [database, log] = this.#files
    return placeOf(database!.path) === database!.place && placeOf(log!.path) === undefined
  }
}

/** Undefined where there is no file. @throws an error of the file system */
export function placeOf(path: string): string | undefined {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat && `${stat.dev.toString(16)}:${stat.ino}`
}
