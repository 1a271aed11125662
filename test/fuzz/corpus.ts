import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../../runtime/root.js'

/** What was found, a file an input, in a folder for each target: played again at every `npm test`. */
const FOLDER = join(projectRoot, 'test', 'fuzz', 'corpus')

export function corpusOf(target: string): { readonly file: string; readonly input: Buffer }[] {
  try {
    return readdirSync(join(FOLDER, target)).sort().map(file => ({ file, input: readFileSync(join(FOLDER, target, file)) }))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

/** @returns where it is, from the project's root */
export function keep(target: string, input: Buffer): string {
  const name = createHash('sha256').update(input).digest('hex').slice(0, 12)
  mkdirSync(join(FOLDER, target), { recursive: true })
  writeFileSync(join(FOLDER, target, name), input)
  return join('test', 'fuzz', 'corpus', target, name)
}
