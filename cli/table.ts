import Table from 'cli-table3'

export interface Column {
  readonly head: string
  readonly align?: 'left' | 'right'
}

const NO_BORDERS = Object.fromEntries(
  ['top', 'top-mid', 'top-left', 'top-right', 'bottom', 'bottom-mid', 'bottom-left', 'bottom-right', 'left', 'left-mid', 'mid', 'mid-mid', 'right', 'right-mid'].map(part => [part, '']),
)

/** Aligned columns without lines, which other tools can split.
 * @param colour whether to print the heads in bold */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[], colour: boolean): string {
  const drawn = new Table({
    head: columns.map(({ head }) => head),
    colAligns: columns.map(({ align = 'left' }) => align),
    chars: { ...NO_BORDERS, middle: '  ' },
    style: { head: colour ? ['bold'] : [], border: [], 'padding-left': 0, 'padding-right': 0 },
  })
  drawn.push(...rows.map(row => [...row]))
  return drawn.toString().replace(/ +$/gm, '') + '\n'
}

/** 12,345 */
export function number(value: number): string {
  return value.toLocaleString('en-US')
}

export function counted(count: number, noun: string): string {
  return `${number(count)} ${noun}${count === 1 ? '' : 's'}`
}

const NAMED = 5

/** The first of the names, and how many more there are. */
export function named(names: readonly string[]): string {
  const shown = names.slice(0, NAMED).join(', ')
  return names.length > NAMED ? `${shown} and ${number(names.length - NAMED)} more` : shown
}

/** `3d 4h`, `2h 5m`, `12m 3s` or `9s`. A clock behind the node's counts as 0 s. */
export function uptime(startedAt: number, now: number): string {
  const seconds = Math.max(0, Math.floor((now - startedAt) / 1000))
  const [d, h, m, s] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60]
  if (d > 0) return `${d}d ${h}h`
  if (h > 0) return `${h}h ${m}m`
  return m > 0 ? `${m}m ${s}s` : `${s}s`
}
