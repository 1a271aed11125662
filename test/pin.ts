import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { projectRoot } from '../runtime/root.js'

interface Entry {
  readonly version: string
  readonly integrity?: string
  readonly link?: boolean
  readonly inBundle?: boolean
}

export interface Lock {
  readonly packages: Readonly<Record<string, Entry>>
}

/** The lock with the hashes that it lacks, where `ask` knows them. @param ask the hash of `name@version`, undefined for unknown */
export function pinned(lock: Lock, ask: (name: string, version: string) => string | undefined): Lock {
  const pin = ([path, entry]: [string, Entry]): [string, Entry] => {
    if (!isUnpinned(path, entry)) return [path, entry]
    const { version, ...rest } = entry
    const integrity = ask(path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length), version)
    return [path, integrity === undefined ? entry : { version, integrity, ...rest }]
  }
  return { ...lock, packages: Object.fromEntries(Object.entries(lock.packages).map(pin)) }
}

/** Whether a package comes by itself, and without a hash. */
export function isUnpinned(path: string, { integrity, link, inBundle }: Entry): boolean {
  return path !== '' && !link && !inBundle && integrity === undefined
}

function askRegistry(name: string, version: string): string | undefined {
  try {
    const said = execFileSync('npm', ['view', `${name}@${version}`, 'dist.integrity'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    return /^sha512-[A-Za-z0-9+/]{86}==$/.test(said) ? said : undefined
  } catch {
    return undefined
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const file = join(projectRoot, 'package-lock.json')
  const lock = pinned(JSON.parse(readFileSync(file, 'utf8')) as Lock, askRegistry)
  writeFileSync(file, `${JSON.stringify(lock, undefined, 2)}\n`)
  const left = Object.entries(lock.packages).filter(each => isUnpinned(...each)).map(([path]) => path)
  process.stdout.write(left.length === 0 ? 'pin: every package has its hash\n' : `pin: the registry does not have\n${left.map(path => `  ${path}\n`).join('')}`)
  process.exitCode = left.length === 0 ? 0 : 1
}
