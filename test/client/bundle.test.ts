import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import ts from 'typescript'
import { projectRoot } from '../../runtime/root.js'

const folder = join(projectRoot, 'client')
const source = (name: string) => readFileSync(join(folder, `${name}.ts`), 'utf8')

t.setTimeout(100_000)

t.test('the bundle is one small module, and exports what the package does', async t => {
  const { bundle } = (await import(join(folder, 'bundle.js'))) as { bundle: (read: (name: string) => string) => string }
  const text = bundle(source)
  t.ok(gzipSync(text, { level: 9 }).length < 5_050, `${gzipSync(text, { level: 9 }).length} bytes`)
  t.same(text.match(/\bimport\b[^;]{0,30}/g), [`import('./event-source.js')`], 'what few need is loaded by itself')
  const module = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as Record<string, unknown>
  t.same(Object.keys(module), ['Comments', 'Failure', 'Refusal'])
})

t.test('the client compiles with the types of a browser and no others', async t => {
  const { config } = ts.readConfigFile(join(folder, 'tsconfig.json'), path => readFileSync(path, 'utf8')) as { config: unknown }
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, folder)
  t.ok(fileNames.some(path => path.endsWith('element.ts')) && fileNames.some(path => path.endsWith('react.ts')))
  const program = ts.createProgram(fileNames, { ...options, noEmit: true })
  t.same(ts.getPreEmitDiagnostics(program).map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`), [])
})
