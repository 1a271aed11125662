import type { Paint } from '../output.js'
import { counted, named, number, table } from '../table.js'
import type { Diagnosis } from './examination.js'
import type { Finding } from './finding.js'

/** Findings of a kind that are told one by one. */
const SHOWN_OF_A_KIND = 3

/** A diagnosis for people: each finding with its advice, then a line that sums up. Where there are many of a kind, first a table
 * that counts them, and then a few of each. @param all tells each */
export function report({ healthy, cluster, zookeeper, asked, findings }: Diagnosis, paint: Paint, all = false): string {
  const problems = findings.filter(({ level }) => level === 'problem').length
  const notes = findings.length - problems
  const counts = `${counted(asked.edges, 'edge')}, ${counted(asked.dispatchers, 'dispatcher')} and ${counted(asked.gateways, 'gateway')}`
  const seen = zookeeper.readMs === null ? 'The rest cannot be examined.' : `${cluster ? `Cluster ${cluster.name} (${cluster.id}). ` : ''}ZooKeeper: session in ${zookeeper.sessionMs} ms, reads in ${zookeeper.readMs} ms. Asked ${counts}.`
  const verdict = healthy ? paint('green', 'Healthy.') : paint('red', `${counted(problems, 'problem')}.`)
  const shown = all ? findings : fewOfEach(findings)
  const many = shown.length < findings.length ? `${kindsTable(findings)}\n` : ''
  return `${many}${shown.map(finding => paragraph(finding, paint)).join('')}${many === '' ? '' : `Shown are ${number(shown.length)} of ${counted(findings.length, 'finding')}: doctor --all tells each.\n`}${verdict} ${notes > 0 ? `${counted(notes, 'note')}. ` : ''}${seen}\n`
}

/** By level and code, in the order of the findings. */
function kinds(findings: readonly Finding[]): Finding[][] {
  const kinds = new Map<string, Finding[]>()
  for (const finding of findings) {
    const kind = `${finding.level} ${finding.code}`
    const known = kinds.get(kind)
    if (known) known.push(finding)
    else kinds.set(kind, [finding])
  }
  return [...kinds.values()]
}

function fewOfEach(findings: readonly Finding[]): Finding[] {
  return kinds(findings).flatMap(kind => kind.slice(0, SHOWN_OF_A_KIND))
}

function kindsTable(findings: readonly Finding[]): string {
  const rows = kinds(findings).map(kind => {
    const subjects = kind.flatMap(({ subjects }) => subjects)
    return [kind[0]!.level, kind[0]!.code, number(subjects.length), named(subjects)]
  })
  return table([{ head: 'LEVEL' }, { head: 'FINDING' }, { head: 'NODES', align: 'right' }, { head: 'WHICH' }], rows, false)
}

function paragraph({ level, subjects, what, advice }: Finding, paint: Paint): string {
  const mark = level === 'problem' ? paint('red', 'problem') : paint('yellow', 'note   ')
  return `${mark}  ${paint('bold', named(subjects))}: ${what}\n         ${advice}\n\n`
}
