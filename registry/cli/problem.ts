/** What an operator is told and cannot be helped with: exit status 1, without a stack. */
export class Problem extends Error {
  override readonly name = 'Problem'
}
