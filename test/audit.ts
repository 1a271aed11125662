import { spawnSync } from 'node:child_process'
import { pathToFileURL } from 'node:url'
import { z } from 'zod'
import { projectRoot } from '../runtime/root.js'

const LIMIT_MS = 60_000

const report = z.object({ metadata: z.object({ vulnerabilities: z.object({ total: z.number() }) }), vulnerabilities: z.record(z.string(), z.object({ severity: z.string() })) })

/** What npm's advisories say of what runs in production. A service that cannot be asked has not found anything: it says so
 * and fails nobody. @param json what `npm audit --json` printed */
export function judgeAudit(json: string): { readonly fails: boolean; readonly says: string } {
  const parsed = report.safeParse(objectOf(json))
  if (!parsed.success) return { fails: false, says: 'the advisories could not be asked: nothing is known of the dependencies' }
  const { metadata, vulnerabilities } = parsed.data
  if (metadata.vulnerabilities.total === 0) return { fails: false, says: 'no advisory on what runs in production' }
  return { fails: true, says: `advisories: ${Object.entries(vulnerabilities).map(([name, { severity }]) => `${name} (${severity})`).join(', ')}; npm audit --omit=dev tells more` }
}

function objectOf(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const flags = ['audit', '--omit=dev', '--json', '--fetch-retries=1', '--fetch-timeout=20000']
  const { fails, says } = judgeAudit(spawnSync('npm', flags, { cwd: projectRoot, encoding: 'utf8', timeout: LIMIT_MS }).stdout ?? '')
  process.stdout.write(`audit: ${says}\n`)
  process.exitCode = fails ? 1 : 0
}
