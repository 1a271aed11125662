import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse, parseAllDocuments } from 'yaml'
import type { z } from 'zod'
import { dispatcherVariables } from '../../dispatcher/config.js'
import { edgeVariables } from '../../edge/config.js'
import { gatewayVariables } from '../../gateway/config.js'
import { parseConnectString, parseServers } from '../../registry/zookeeper/connect-string.js'
import { readConfig } from '../../runtime/config.js'
import { projectRoot } from '../../runtime/root.js'
import { readDocument } from '../docs/documents.js'
import { readImage } from '../support/container.js'

type Labels = Readonly<Record<string, string>>
interface Probe {
  readonly httpGet?: { readonly path: string; readonly port: string }
  readonly exec?: { readonly command: readonly string[] }
  readonly terminationGracePeriodSeconds?: number
}
interface Container {
  readonly image: string
  readonly args?: readonly string[]
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[]
  readonly envFrom?: readonly { readonly configMapRef?: { readonly name: string }; readonly secretRef?: { readonly name: string } }[]
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[]
  readonly resources: { readonly requests: Labels; readonly limits: Labels }
  readonly securityContext: { readonly readOnlyRootFilesystem: boolean; readonly allowPrivilegeEscalation: boolean }
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
  readonly lifecycle?: { readonly preStop: { readonly exec: { readonly command: readonly string[] } } }
}
interface Pod {
  readonly automountServiceAccountToken: boolean
  readonly enableServiceLinks: boolean
  readonly terminationGracePeriodSeconds: number
  readonly securityContext: { readonly runAsNonRoot: boolean }
  readonly affinity?: { readonly podAntiAffinity: object }
  readonly containers: readonly [Container]
}
interface Workload {
  readonly replicas: number
  readonly serviceName?: string
  readonly strategy?: { readonly rollingUpdate: object }
  readonly selector: { readonly matchLabels: Labels }
  readonly template: { readonly metadata: { readonly labels: Labels }; readonly spec: Pod }
}
interface Resource {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly data?: Labels
  readonly spec: unknown
}

const folder = join(projectRoot, 'deploy', 'kubernetes')
const kustomization = parse(readFileSync(join(folder, 'kustomization.yaml'), 'utf8')) as { resources: string[]; images: { name: string }[] }
const resources = kustomization.resources.flatMap(file => parseAllDocuments(readFileSync(join(folder, file), 'utf8')).map(document => document.toJS() as Resource))
const find = (kind: string, name: string) => resources.find(resource => resource.kind === kind && resource.metadata.name === name)
const workload = (kind: string, name: string) => find(kind, name)!.spec as Workload
const podOf = (name: string) => workload('Deployment', name).template.spec
const containerOf = (name: string) => podOf(name).containers[0]
const zookeeper = workload('StatefulSet', 'zookeeper')
const shapes: Readonly<Record<string, z.ZodRawShape>> = { gateway: gatewayVariables, edge: edgeVariables, dispatcher: dispatcherVariables }
const parts = Object.keys(shapes)
/** What the Secrets of deploy/README.md hold. */
const secrets: Readonly<Record<string, Labels>> = {
  'live-comments': { INTERNAL_TOKEN: 'a-token-for-this-test-alone', ZOOKEEPER_AUTH: 'live:secret' },
  'live-comments-store': { STORE_PASSWORD: 'secret' },
}

/** As a container finds it. */
function environment(part: string): Record<string, string> {
  const { env = [], envFrom = [] } = containerOf(part)
  const values: Record<string, string> = { POD_IP: '10.1.2.3' }
  for (const { configMapRef, secretRef } of envFrom) Object.assign(values, configMapRef ? find('ConfigMap', configMapRef.name)!.data : secrets[secretRef!.name])
  for (const { name, value } of env) values[name] = value?.replace(/\$\((\w+)\)/g, (_, other: string) => values[other]!) ?? (name === 'NODE_ID' ? `${part}-7d9f8b6c5-abcde` : values[name]!)
  return values
}

t.test('every manifest is applied', async t => {
  t.same(readdirSync(folder).filter(name => name.endsWith('.yaml') && name !== 'kustomization.yaml').sort(), [...kustomization.resources].sort())
  const names = resources.map(({ kind, metadata }) => `${kind} ${metadata.name}`)
  t.equal(new Set(names).size, names.length)
})

t.test('every variable is one that its part reads, with a value that it takes, and secrets stand in Secrets alone', async t => {
  for (const part of parts) {
    const { POD_IP: _, ...env } = environment(part)
    t.same(Object.keys(env).filter(name => !(name in shapes[part]!)), [], part)
    t.doesNotThrow(() => readConfig({ ...readImage().env, ...env }, shapes[part]!), part)
    t.equal(env['INTERNAL_URL'], 'http://10.1.2.3:9080')
  }
  t.equal(environment('gateway')['STORE_PASSWORD'], undefined, 'the password of the store is for dispatchers')
  const text = kustomization.resources.map(file => readFileSync(join(folder, file), 'utf8')).join('\n')
  t.notMatch(text, /INTERNAL_TOKEN|ZOOKEEPER_AUTH|STORE_PASSWORD/)
  const readme = readDocument('deploy/README.md').text
  for (const [name, values] of Object.entries(secrets)) {
    t.match(readme, new RegExp(`create secret generic ${name}\\b`))
    for (const variable of Object.keys(values)) t.match(readme, `--from-literal=${variable}=`)
  }
})

t.test('a part is upgraded one at a time, the new one first, and is given longer to stop than it takes at most', async t => {
  for (const part of parts) {
    const { strategy } = workload('Deployment', part)
    t.same(strategy, { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } }, part)
    const deadline = Number(/STOP_DEADLINE_MS = ([\d_]+)/.exec(readFileSync(join(projectRoot, part, 'main.ts'), 'utf8'))![1]!.replaceAll('_', ''))
    const before = Number(containerOf(part).lifecycle?.preStop.exec.command[1] ?? 0)
    t.ok(podOf(part).terminationGracePeriodSeconds * 1_000 > before * 1_000 + deadline, part)
    t.same(find('PodDisruptionBudget', part)!.spec, { maxUnavailable: 1, selector: { matchLabels: workload('Deployment', part).selector.matchLabels } }, part)
  }
  t.ok(containerOf('gateway').lifecycle, 'nobody is sent to a gateway any more when it begins to stop')
})

t.test('a part runs under the watchdog of the image, is probed on its internal port, and is never ended for not being ready', async t => {
  t.equal(readImage().entrypoint.at(-1), 'watchdog')
  for (const part of parts) {
    const { args, ports, startupProbe, livenessProbe, readinessProbe } = containerOf(part)
    t.same(args, [part])
    t.equal(ports!.find(({ name }) => name === 'internal')!.containerPort, Number(readImage().env['INTERNAL_PORT']))
    t.same([startupProbe, livenessProbe, readinessProbe].map(probe => probe!.httpGet), [{ path: '/healthz', port: 'internal' }, { path: '/healthz', port: 'internal' }, { path: '/readyz', port: 'internal' }], part)
    t.equal(livenessProbe!.terminationGracePeriodSeconds, 1, 'what is frozen is not waited for')
  }
})

t.test('pods may do no more than they need, and stand on different machines', async t => {
  const pods = [...parts.map(part => workload('Deployment', part)), zookeeper]
  for (const { template, selector } of pods) {
    const { spec, metadata } = template
    t.match(metadata.labels, selector.matchLabels)
    t.match(spec, { automountServiceAccountToken: false, enableServiceLinks: false, securityContext: { runAsNonRoot: true } })
    t.match(spec.containers[0].securityContext, { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false })
    t.ok(spec.affinity?.podAntiAffinity)
    const { requests, limits } = spec.containers[0].resources
    t.ok(requests['cpu'] && requests['memory'] && limits['memory'])
    t.notOk(limits['cpu'], 'a part that may not run when it has to is late')
    t.ok(kustomization.images.some(({ name }) => name === spec.containers[0].image))
  }
})

t.test('ZooKeeper is three servers that stay who they are, where the parts look for them', async t => {
  t.match(zookeeper, { replicas: 3, serviceName: 'zookeeper' })
  const hosts = Array.from({ length: zookeeper.replicas }, (_, i) => `zookeeper-${i}.zookeeper`)
  const servers = zookeeper.template.spec.containers[0].env!.find(({ name }) => name === 'ZOOKEEPER_SERVERS')!.value!.split(' ')
  t.same(servers, hosts.map(host => `${host}:2888:3888`))
  t.same(parseServers(parseConnectString(environment('gateway')['ZOOKEEPER_CONNECT']!).servers).map(({ host }) => host), hosts)
  t.match(find('Service', 'zookeeper')!.spec, { clusterIP: 'None', publishNotReadyAddresses: true })
  t.match(find('PodDisruptionBudget', 'zookeeper')!.spec, { maxUnavailable: 1 })
  t.match(zookeeper.template.spec.affinity?.podAntiAffinity, { requiredDuringSchedulingIgnoredDuringExecution: [{ topologyKey: 'kubernetes.io/hostname' }] })
  t.match(zookeeper.template.spec.containers[0].readinessProbe!.exec!.command.join(' '), 'srvr Mode: ')
})

t.test('as many parts are expected as there are', async t => {
  const [container] = (find('Job', 'expect')!.spec as Workload).template.spec.containers
  const count = (part: string) => String(workload('Deployment', part).replicas)
  t.same(container.args, ['registry', 'expect', '--gateways', count('gateway'), '--edges', count('edge'), '--dispatchers', count('dispatcher')])
})

t.test('nothing but a public port of a gateway is reached from outside', async t => {
  interface Policy { readonly podSelector: { readonly matchLabels?: Labels }; readonly ingress?: readonly { readonly ports: readonly { readonly port: string }[]; readonly from?: readonly object[] }[] }
  const policies = resources.filter(({ kind }) => kind === 'NetworkPolicy').map(({ spec }) => spec as Policy)
  t.ok(policies.some(({ podSelector, ingress }) => Object.keys(podSelector).length === 0 && ingress === undefined), 'by default nobody reaches anybody')
  const open = policies.flatMap(({ podSelector, ingress = [] }) => ingress.filter(({ from }) => from === undefined).flatMap(({ ports }) => ports.map(({ port }) => `${podSelector.matchLabels?.['app.kubernetes.io/component']} ${port}`)))
  t.same(open, ['gateway public'])
})

t.test('ZooKeeper\'s image is made of pinned jars on the base images of our own, and of what is sent to its build', async t => {
  const read = (...path: string[]) => readFileSync(join(projectRoot, ...path), 'utf8').split('\n')
  const bases = (lines: string[]) => lines.flatMap(line => /^FROM (\S+)/.exec(line)?.[1] ?? [])
  const recipe = read('deploy', 'zookeeper', 'Dockerfile')
  t.same(bases(recipe), bases(read('Dockerfile')))
  const sent = read('deploy', 'zookeeper', 'Dockerfile.dockerignore').flatMap(line => (line.startsWith('!') ? line.slice(1) : []))
  const copied = recipe.flatMap(line => /^COPY (?!--from)(.+) \S+$/.exec(line)?.[1]?.split(' ') ?? [])
  t.ok(copied.length > 0)
  for (const path of copied) t.ok(existsSync(join(projectRoot, path)) && sent.some(folder => path === folder || path.startsWith(`${folder}/`)), path)
  t.ok(recipe.some(line => line === 'RUN sh /described/fetch.sh /zookeeper/lib'), 'which holds the jars to their hashes')
})
