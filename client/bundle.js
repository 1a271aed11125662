// Makes one small file of a module and those that it imports, for pages that have no build of their own:
//   node client/bundle.js                             client/dist/live-comments-client.js
//   node client/bundle.js FOLDERS {MODULE FILE}...    others, of modules in these comma-separated folders

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import ts from 'typescript'

const OPTIONS = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, removeComments: true }

/** @param read gives a module's source by its name
 * @param entry the module whose exports are the bundle's
 * @returns the bundle */
export function bundle(read, entry = 'comments') {
  const texts = textsOf(read, entry)
  const program = programOf(texts)
  const checker = program.getTypeChecker()
  const files = [...texts.keys()].map(name => program.getSourceFile(name))
  const names = shortNames(files, checker)
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(files.at(-1))).map(symbol => `${names.of(resolved(checker, symbol))} as ${symbol.name}`)
  const tokens = files.flatMap(file => file.statements.flatMap(statement => [...tokensOf(statement, file, names)]))
  return `${joined(tokens)}${exported.length > 0 ? `export{${exported.join(',')}}` : ''}\n`
}

/** The module and those that it imports, without types, each after those that it needs. What it loads by `import()` stays
 * beside the bundle. */
function textsOf(read, entry, texts = new Map()) {
  // Their names are enough to tell them apart, wherever they lie.
  const outputText = ts.transpileModule(read(entry), { compilerOptions: OPTIONS }).outputText.replace(/ from '[^']*\/([\w-]+\.js)'/g, " from './$1'")
  for (const [, name] of outputText.matchAll(/ from '\.\/([\w-]+)\.js'/g)) if (!texts.has(`/${name}.js`)) textsOf(read, name, texts)
  return texts.set(`/${entry}.js`, outputText)
}

/** A program of these texts alone, for its scopes. */
function programOf(texts) {
  const host = {
    getSourceFile: name => (texts.has(name) ? ts.createSourceFile(name, texts.get(name), OPTIONS.target, true) : undefined),
    fileExists: name => texts.has(name),
    readFile: name => texts.get(name),
    getDefaultLibFileName: () => '/lib.d.ts',
    getCurrentDirectory: () => '/',
    getCanonicalFileName: name => name,
    useCaseSensitiveFileNames: () => true,
    getNewLine: () => '\n',
    writeFile() {},
  }
  return ts.createProgram([...texts.keys()], { ...OPTIONS, allowJs: true, noLib: true, types: [], moduleResolution: ts.ModuleResolutionKind.Bundler }, host)
}

const DECLARED = [ts.isVariableDeclaration, ts.isParameter, ts.isBindingElement, ts.isFunctionDeclaration, ts.isClassDeclaration]

const resolved = (checker, symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol)

/** What only the bundle sees gets a short name: variables, functions, classes, and private members. Properties keep theirs. */
function shortNames(files, checker) {
  /** What is named, by the scope that it is in, with its uses. */
  const scopes = new Map([[undefined, new Map()]])
  const taken = new Set()
  const count = (scope, key) => {
    if (!scopes.has(scope)) scopes.set(scope, new Map())
    scopes.get(scope).set(key, (scopes.get(scope).get(key) ?? 0) + 1)
  }
  const local = identifier => {
    if (isPropertyName(identifier)) return undefined
    const { parent } = identifier
    const symbol = ts.isShorthandPropertyAssignment(parent) ? checker.getShorthandAssignmentValueSymbol(parent) : checker.getSymbolAtLocation(identifier)
    if (!symbol) return undefined
    const own = resolved(checker, symbol)
    return own.valueDeclaration && DECLARED.some(is => is(own.valueDeclaration)) ? own : undefined
  }
  const member = identifier => checker.getSymbolAtLocation(identifier)
  const visit = node => {
    if (ts.isImportDeclaration(node)) return
    if (ts.isIdentifier(node)) {
      const key = local(node)
      if (key) count(functionAround(key.valueDeclaration), key)
      else taken.add(node.text)
    } else if (ts.isPrivateIdentifier(node)) count(member(node).valueDeclaration.parent, member(node))
    ts.forEachChild(node, visit)
  }
  files.forEach(visit)

  // A scope's names differ from those of the scopes around it, and may be those of others. Private names have a space of their own.
  const short = new Map()
  const uses = new Map()
  for (const [scope, symbols] of scopes) {
    const isClass = scope && ts.isClassLike(scope)
    let slot = 0
    for (let outer = scope; !isClass && outer; ) slot += scopes.get((outer = functionAround(outer)))?.size ?? 0
    for (const [symbol, count] of [...symbols].sort(([, a], [, b]) => b - a)) {
      const key = `${isClass ? '#' : ''}${slot++}`
      short.set(symbol, key)
      uses.set(key, (uses.get(key) ?? 0) + count)
    }
  }
  const names = new Map()
  let at = 0
  let privately = 0
  for (const [key] of [...uses].sort(([, a], [, b]) => b - a)) {
    let name
    if (key.startsWith('#')) name = `#${nameOf(privately++)}`
    else do name = nameOf(at++)
    while (taken.has(name) || ts.stringToToken(name) !== undefined)
    names.set(key, name)
  }
  return { of: symbol => names.get(short.get(symbol)), local, member }
}

/** The function whose variable this is; undefined: a module's. */
function functionAround({ parent }) {
  while (parent && !ts.isFunctionLike(parent)) parent = parent.parent
  return parent
}

const LETTERS = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
const nameOf = number => (number < LETTERS.length ? '' : nameOf(Math.floor(number / LETTERS.length) - 1)) + LETTERS[number % LETTERS.length]

/** Whether the identifier says a property's name, and stands for nothing by itself. */
function isPropertyName(identifier) {
  const { parent } = identifier
  if (ts.isPropertyAccessExpression(parent) || ts.isMetaProperty(parent)) return parent.name === identifier
  if (ts.isBindingElement(parent)) return parent.propertyName === identifier
  return (ts.isPropertyAssignment(parent) || ts.isClassElement(parent) || ts.isMethodDeclaration(parent)) && parent.name === identifier
}

/** The tokens of a statement under their new names, without imports and exports. */
function* tokensOf(node, file, names) {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node) || node.kind === ts.SyntaxKind.ExportKeyword) return
  const children = node.getChildren(file)
  if (children.length > 0) {
    for (const child of children) yield* tokensOf(child, file, names)
    return
  }
  const text = node.getText(file)
  if (text === '') return
  const { parent } = node
  const short = ts.isPrivateIdentifier(node) ? names.of(names.member(node)) : ts.isIdentifier(node) ? names.of(names.local(node)) : undefined
  const isProperty = ts.isShorthandPropertyAssignment(parent) || (ts.isBindingElement(parent) && !parent.propertyName && !parent.dotDotDotToken && ts.isObjectBindingPattern(parent.parent) && parent.name === node)
  yield { text: short === undefined ? text : isProperty ? `${text}:${short}` : short, canGo: text === ';' && !ts.isForStatement(parent) && !ts.isEmptyStatement(parent) }
}

/** With spaces only where two tokens would become another. */
function joined(tokens) {
  let text = ''
  for (const [at, { text: next, canGo }] of tokens.entries()) {
    if (canGo && tokens[at + 1]?.text === '}') continue
    if (/[\w$]$/.test(text) && /^[\w$#]/.test(next) || /[-+/]$/.test(text) && text.at(-1) === next[0]) text += ' '
    text += next
  }
  return text
}

if (process.argv[1] === import.meta.filename) {
  const own = `${import.meta.dirname}/dist`
  const [folders = own, ...wanted] = process.argv.slice(2)
  const read = name => readFileSync(folders.split(',').map(folder => `${folder}/${name}.js`).find(existsSync), 'utf8')
  if (wanted.length === 0) wanted.push('comments', `${own}/live-comments-client.js`)
  for (let at = 0; at < wanted.length; at += 2) {
    mkdirSync(dirname(wanted[at + 1]), { recursive: true })
    writeFileSync(wanted[at + 1], bundle(read, wanted[at]))
  }
}
