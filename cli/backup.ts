import { existsSync, statSync } from 'node:fs'
import type { StoreContent } from '../dispatcher/store/copy.js'
import { Problem } from './output.js'
import type { StorePath } from './store-path.js'
import { counted, number } from './table.js'

/** The output of `backup --json`. */
export interface Backup extends StoreContent {
  readonly file: string
  readonly bytes: number
}

/** Copies the store into a new file. @throws Problem where it cannot be copied, or the copy is not what the store was */
export async function backUp({ path, source }: StorePath, file: string): Promise<Backup> {
  if (!existsSync(path)) throw new Problem('NO_STORE', `there is no store at ${path} (${source}): name its file by --store, on the dispatchers' machine`)
  const { copyStore } = await import('../dispatcher/store/copy.js')
  const content = orProblem(`${path} cannot be backed up`, () => copyStore(path, file))
  return { file, bytes: statSync(file).size, ...content }
}

export function backupText({ file, bytes, ...content }: Backup): string {
  return `${file}: ${contentText(content)}, ${number(Math.ceil(bytes / 1024))} KB\n`
}

export function contentText({ id, generation, comments, videos }: StoreContent): string {
  return `store ${id ?? 'without an identity'}${generation === null ? '' : `, generation ${generation}`}, ${counted(comments, 'comment')} of ${counted(videos, 'video')}`
}

/** What `task` gives. @throws Problem for what a file, a disk or its rights can do; its message begins with `what` */
export function orProblem<T>(what: string, task: () => T): T {
  try {
    return task()
  } catch (error) {
    const { code } = error as { code?: unknown }
    const isTrouble = (error as Error).name === 'CopyError' || (typeof code === 'string' && /^(SQLITE_|E[A-Z]+$)/.test(code))
    if (!isTrouble) throw error
    const reason = typeof code === 'string' && code.startsWith('SQLITE_') ? `${code}: ` : ''
    throw new Problem('STORE_UNUSABLE', `${what}: ${reason}${(error as Error).message}`, { cause: error })
  }
}
