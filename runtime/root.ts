import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The project's folder: the nearest one above this file with a package.json. Sources and compiled code lie at different
 * depths, so everything else finds files from here. */
export const projectRoot = find(dirname(fileURLToPath(import.meta.url)))

/** Whether this is a checkout, which setup.sh mends; an installed package has none. */
export const isCheckout = existsSync(join(projectRoot, 'setup.sh'))

function find(folder: string): string {
  if (existsSync(join(folder, 'package.json'))) return folder
  const parent = dirname(folder)
  if (parent === folder) throw new Error('package.json not found above the code')
  return find(parent)
}
