import { linkSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parse } from 'yaml'
import { projectRoot } from '../../runtime/root.js'

export interface Service {
  readonly image: string
  readonly command?: readonly string[]
  readonly environment: Readonly<Record<string, string | number>>
  readonly ports?: readonly string[]
  readonly networks: readonly string[]
  readonly volumes?: readonly string[]
  readonly depends_on?: readonly string[] | Readonly<Record<string, { readonly condition: string; readonly required?: boolean }>>
  readonly restart?: string
  readonly sysctls?: Readonly<Record<string, number>>
  readonly ulimits?: { readonly nofile: number }
  readonly stop_grace_period?: string
  readonly healthcheck?: { readonly test: readonly string[] }
}

export interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
  readonly volumes: Readonly<Record<string, null>>
}

/** compose.yaml, or another, as Compose reads it. @param env what `${NAME}` stands for
 * @throws Error for a `${NAME:?why}` that is not in `env` */
export function readCompose(env: Readonly<Record<string, string>>, file = 'compose.yaml'): Compose {
  const compose = parse(readFileSync(join(projectRoot, file), 'utf8'), { merge: true }) as Compose
  return JSON.parse(JSON.stringify(compose), (_, value: unknown) => (typeof value === 'string' ? interpolate(value, env) : value)) as Compose
}

/** The variables that a compose file takes from its caller. */
export function composeVariables(file = 'compose.yaml'): string[] {
  const text = readFileSync(join(projectRoot, file), 'utf8')
  return [...new Set(Array.from(text.matchAll(/(?<!\$)\$\{(\w+)/g), ([, name]) => name!))]
}

function interpolate(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\{(\w+)(?::([-?])([^}]*))?\}/g, (whole, name: string | undefined, rule: string | undefined, rest: string | undefined) => {
    if (name === undefined) return '$'
    if (env[name]) return env[name]
    if (rule === '-') return rest ?? ''
    throw new Error(`${name}: ${rest ?? whole}`)
  })
}

export interface Image {
  readonly env: Readonly<Record<string, string>>
  readonly entrypoint: readonly string[]
  /** The command of its health check. */
  readonly healthcheck: readonly string[]
  /** What its last stage copies, in the folder /app: from the build context, or from what the first stage made. */
  readonly copies: readonly { readonly built: boolean; readonly source: string; readonly target: string }[]
  /** What the first stage builds and throws away again. */
  readonly removed: readonly string[]
}

/** The Dockerfile: just what this project's own uses of that language. */
export function readImage(): Image {
  const instructions = readFileSync(join(projectRoot, 'Dockerfile'), 'utf8').split('\n').filter(line => line !== '' && !line.startsWith('#'))
  const last = instructions.slice(instructions.findLastIndex(line => line.startsWith('FROM ')))
  const all = (name: string) => last.filter(line => line.startsWith(`${name} `)).map(line => line.slice(name.length + 1))
  const array = (text: string | undefined) => JSON.parse(text?.slice(text.indexOf('[')) ?? '[]') as string[]
  return {
    env: Object.fromEntries(all('ENV').flatMap(line => line.split(' ')).map(pair => pair.split('=') as [string, string])),
    entrypoint: array(all('ENTRYPOINT')[0]),
    healthcheck: array(all('HEALTHCHECK')[0]),
    copies: all('COPY').flatMap(line => {
      const built = line.startsWith('--from=build ')
      const names = line.replace('--from=build ', '').split(' ')
      const target = names.pop()!
      return names.map(name => {
        const source = name.replace('/app/', '')
        return { built, source, target: target === './' ? source : target }
      })
    }),
    removed: instructions.flatMap(line => /rm -rf ((?:\S+ )+)/.exec(line)?.[1]?.trim().split(' ') ?? []),
  }
}

/** The image's /app, of links to this project's files, in `folder`, which must be on the same disk. */
export function stageImage(folder: string): void {
  const { copies, removed } = readImage()
  for (const { built, source, target } of copies) {
    if (built && source === 'node_modules') for (const path of runtimePackages()) link(path, join(folder, path), [])
    else link(source, join(folder, target), removed)
  }
}

/** Folders of the packages that `npm prune --omit=dev` keeps, as far as they are for this machine. */
function runtimePackages(): string[] {
  const { packages } = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')) as { packages: Record<string, { dev?: boolean }> }
  const kept = Object.keys(packages).filter(path => path !== '' && !packages[path]!.dev)
  const here = kept.filter(path => statSync(join(projectRoot, path), { throwIfNoEntry: false }))
  return here.filter(path => !here.some(other => path.startsWith(`${other}/`))) // those come with the package that holds them
}

function link(source: string, target: string, except: readonly string[]): void {
  if (except.includes(source)) return
  const from = join(projectRoot, source)
  if (statSync(from).isDirectory()) for (const name of readdirSync(from)) link(join(source, name), join(target, name), except)
  else {
    mkdirSync(dirname(target), { recursive: true })
    linkSync(from, target)
  }
}
