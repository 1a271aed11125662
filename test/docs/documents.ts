import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../../runtime/root.js'

/** A block between two lines of three backticks. */
export interface Fence {
  /** What stands behind the opening backticks, '' for nothing. */
  readonly language: string
  readonly text: string
  /** Of its first line, from 1. */
  readonly line: number
}

export interface Document {
  /** From the project's root. */
  readonly path: string
  readonly text: string
  /** `text` without what is fenced. */
  readonly prose: string
  readonly fences: readonly Fence[]
}

const SKIPPED = new Set(['node_modules', 'dist', 'data'])

/** Every file of the project, by its path from the root; what is generated, installed or hidden is none. */
export function* projectFiles(folder = ''): Generator<string> {
  for (const entry of readdirSync(join(projectRoot, folder), { withFileTypes: true })) {
    if (entry.name.startsWith('.') || SKIPPED.has(entry.name)) continue
    const path = join(folder, entry.name)
    if (entry.isDirectory()) yield* projectFiles(path)
    else yield path
  }
}

export function readDocument(path: string): Document {
  const text = readFileSync(join(projectRoot, path), 'utf8')
  const fences: Fence[] = []
  const prose: string[] = []
  let open: { language: string; indent: number; line: number; lines: string[] } | undefined
  for (const [i, line] of text.split('\n').entries()) {
    const mark = /^( *)```(.*)$/.exec(line)
    if (!mark) (open?.lines ?? prose).push(line.slice(open?.indent ?? 0))
    else if (!open) open = { language: mark[2]!.trim(), indent: mark[1]!.length, line: i + 2, lines: [] }
    else {
      fences.push({ language: open.language, line: open.line, text: open.lines.map(each => `${each}\n`).join('') })
      open = undefined
    }
  }
  if (open) throw new Error(`${path}: the block of line ${open.line} has no end`)
  return { path, text, prose: prose.join('\n'), fences }
}

/** Every document of the project. */
export const documents: readonly Document[] = [...projectFiles()].filter(path => path.endsWith('.md')).map(readDocument)

/** What stands between single backticks. */
export function codeOf(prose: string): string[] {
  return Array.from(prose.matchAll(/`([^`\n]+)`/g), ([, code]) => code!)
}

/** The anchors that GitHub gives a document's headings. */
export function anchorsOf({ prose }: Document): Set<string> {
  const anchors = new Set<string>()
  for (const [, heading] of prose.matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = heading!.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase().replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '').replaceAll(' ', '-')
    let anchor = slug
    for (let n = 1; anchors.has(anchor); n++) anchor = `${slug}-${n}`
    anchors.add(anchor)
  }
  return anchors
}

/** The commands of a shell block: a line each, comments and empty lines left out, continued lines joined. */
export function commandsOf({ text }: Fence): string[] {
  return text
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .map(line => line.replace(/(^|\s+)#\s.*$/, '').trim())
    .filter(line => line !== '')
}
