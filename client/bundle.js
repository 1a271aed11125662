// Makes one file of the compiled modules, without comments and indentation: dist/live-comments-client.js, for pages that
// have no build of their own.

import { readFileSync, writeFileSync } from 'node:fs'
import ts from 'typescript'

/** Each after those that it imports. */
const MODULES = ['surroundings', 'waiting', 'parser', 'requests', 'connection', 'history', 'delivery', 'stream', 'loop', 'outbox', 'comments']
const EXPORTED = 'export { Comments, Failure, Refusal }'

/** @param read gives a module's source by its name
 * @returns the bundle */
export function bundle(read) {
  const modules = MODULES.map(name => {
    const { outputText } = ts.transpileModule(read(name), { compilerOptions: { target: 'es2022', module: 'esnext', removeComments: true } })
    const exported = [...outputText.matchAll(/^export (?:async )?(?:class|function|const) (\w+)/gm)].map(([, each]) => each)
    const own = outputText.replace(/^(import|export) .* from '.*';$/gm, '').replace(/^export \{\};?$/gm, '').replace(/^export /gm, '')
    return `const { ${exported.join(', ')} } = (() => {\n${own}\nreturn { ${exported.join(', ')} }\n})()`
  })
  const text = [...modules, EXPORTED].join('\n').replace(/^\s+/gm, '')
  return shortened(text)
}

/** Private names are nobody else's: each gets a short one. */
function shortened(text) {
  const names = new Map()
  return text.replace(/#[a-zA-Z]\w*/g, name => {
    if (!names.has(name)) names.set(name, `#${names.size.toString(36).replace(/^\d/, digit => `_${digit}`)}`)
    return names.get(name)
  })
}

if (process.argv[1] === import.meta.filename) {
  const folder = import.meta.dirname
  writeFileSync(`${folder}/dist/live-comments-client.js`, bundle(name => readFileSync(`${folder}/dist/${name}.js`, 'utf8')))
}
