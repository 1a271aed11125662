import ts from 'typescript'

/** One small change to a source, that some test should notice. */
export interface Mutation {
  /** From 1. */
  readonly line: number
  readonly what: string
  readonly start: number
  readonly end: number
  readonly text: string
}

const OPERATORS: Readonly<Partial<Record<ts.SyntaxKind, string>>> = {
  [ts.SyntaxKind.LessThanToken]: '<=',
  [ts.SyntaxKind.LessThanEqualsToken]: '<',
  [ts.SyntaxKind.GreaterThanToken]: '>=',
  [ts.SyntaxKind.GreaterThanEqualsToken]: '>',
  [ts.SyntaxKind.EqualsEqualsEqualsToken]: '!==',
  [ts.SyntaxKind.ExclamationEqualsEqualsToken]: '===',
  [ts.SyntaxKind.AmpersandAmpersandToken]: '||',
  [ts.SyntaxKind.BarBarToken]: '&&',
  [ts.SyntaxKind.PlusToken]: '-',
  [ts.SyntaxKind.MinusToken]: '+',
}

/** What counts and what is logged is no promise of the code. */
const UNPROMISED = /\b(metrics|log|trace)\b|#count\b/

/** Every mutation of a source: a comparison at its edge or turned round, `and` for `or`, a condition turned round, a call
 * left out, an assignment to a field left out. */
export function mutationsOf(source: string): Mutation[] {
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.ES2023, true)
  const found: Mutation[] = []
  const add = (node: ts.Node, text: string, what: string) => {
    const start = node.getStart(file)
    found.push({ line: file.getLineAndCharacterOfPosition(start).line + 1, what, start, end: node.getEnd(), text })
  }
  const visit = (node: ts.Node): void => {
    if (ts.isBinaryExpression(node)) {
      const other = OPERATORS[node.operatorToken.kind]
      if (other) add(node.operatorToken, other, `${node.operatorToken.getText(file)} → ${other}`)
    }
    if (ts.isIfStatement(node)) add(node.expression, `!(${node.expression.getText(file)})`, `if (!(${short(node.expression.getText(file))}))`)
    if (ts.isExpressionStatement(node) && !UNPROMISED.test(node.getText(file))) {
      const { expression } = node
      const call = ts.isCallExpression(expression) && expression.expression.kind !== ts.SyntaxKind.SuperKeyword
      const assignment = ts.isBinaryExpression(expression) && expression.operatorToken.kind === ts.SyntaxKind.EqualsToken && ts.isPropertyAccessExpression(expression.left) && !inConstructor(node)
      if (call || assignment) add(node, ';', `without ${short(node.getText(file))}`)
    }
    ts.forEachChild(node, visit)
  }
  visit(file)
  return found
}

export function mutate(source: string, { start, end, text }: Mutation): string {
  return source.slice(0, start) + text + source.slice(end)
}

function inConstructor(node: ts.Node): boolean {
  for (let at: ts.Node | undefined = node; at; at = at.parent) if (ts.isConstructorDeclaration(at)) return true
  return false
}

function short(text: string): string {
  const line = text.replace(/\s+/g, ' ')
  return line.length > 60 ? `${line.slice(0, 59)}…` : line
}
