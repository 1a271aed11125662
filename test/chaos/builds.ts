import { cpSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { projectRoot } from '../../runtime/root.js'

/** The compiled project that this file belongs to. */
const THIS_BUILD = dirname(dirname(dirname(fileURLToPath(import.meta.url))))

/** Runs the build that is named in the file beside it; the supervisor is always this one's. */
const STUB = `import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
const own = new URL('./own.js', import.meta.url).href
const build = () => pathToFileURL(readFileSync(new URL('./build', import.meta.url), 'utf8') + '/live-comments.js').href
await import(process.argv[2] === 'cluster' ? own : build())
`

/** A program whose parts run this build or another one: whichever is in use when a part starts. */
export class Builds {
  /** What to run. */
  readonly entry: string
  readonly #folder: string
  readonly #other: string

  /** @param other the folder of another compiled build of this project, with its node_modules in reach */
  constructor(other: string) {
    this.#other = other
    this.#folder = join(projectRoot, '.build', `builds-${process.pid}`)
    copyBuild(THIS_BUILD, this.#folder)
    renameSync(join(this.#folder, 'live-comments.js'), join(this.#folder, 'own.js'))
    this.entry = join(this.#folder, 'live-comments.js')
    writeFileSync(this.entry, STUB)
    this.use('other')
  }

  /** Parts that start from now on are of this build. */
  use(which: 'this' | 'other'): void {
    writeFileSync(join(this.#folder, 'build'), which === 'this' ? THIS_BUILD : this.#other)
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Copies a compiled build without its tests. */
export function copyBuild(from: string, to: string): void {
  mkdirSync(to, { recursive: true })
  for (const name of readdirSync(from)) if (!['test', 'bench'].includes(name) && !name.startsWith('.')) cpSync(join(from, name), join(to, name), { recursive: true })
}
